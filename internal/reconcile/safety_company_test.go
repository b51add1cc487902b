package reconcile_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"connectroster/internal/okta"
	"connectroster/internal/reconcile"
	simconnect "connectroster/internal/sim/connect"
	simokta "connectroster/internal/sim/okta"
)

// company is a rig whose directory, feed and hook are the real ones, before a
// simulated org.
type company struct {
	*rig
	org    *simokta.Org
	app    string
	hookID string
	hook   *okta.Hook
	dir    *okta.Directory
	mapped []string   // what the configuration calls the mapped groups
	groups []string   // their ids, in the same order
	staff  [][]string // Okta ids of their members at the beginning
	told   int        // events that were delivered or lost so far
}

// newCompany has a mapped group for each size, with so many members who have
// agents, and one group that is not mapped.
func newCompany(t *testing.T, sizes ...int) *company {
	t.Helper()
	return newImpatientCompany(t, 10*time.Second, sizes...)
}

// newImpatientCompany waits so long for an answer of Okta, in real time.
func newImpatientCompany(t *testing.T, patience time.Duration, sizes ...int) *company {
	t.Helper()
	c := &company{rig: newLife(t)}
	var err error
	c.org, err = simokta.New(simokta.Config{
		Seed: 1, Now: c.clock.Now, Client: &http.Client{Transport: roundTripper(c.receive)}, Settings: simokta.Settings{RateLimitsOff: true, Concurrency: -1, DailyCap: -1},
	})
	must(t, err)
	t.Cleanup(func() { _ = c.org.Close(context.Background()) })
	server := httptest.NewServer(c.org)
	t.Cleanup(server.Close)
	client, err := okta.NewClient(okta.ClientConfig{
		Org: server.URL, Token: "dev-token", Share: 1, AllowLoopback: true, Random: func() float64 { return 0.5 }, Now: c.clock.Now,
		Timeout: patience, Wait: func(_ context.Context, d time.Duration) error { c.clock.Advance(d); return nil },
	})
	must(t, err)
	t.Cleanup(client.Close)
	c.organize(sizes)
	must(t, c.sim.ChangeSettings(quotaOff))

	groups := func() []string { return c.mapped }
	c.dir, err = okta.NewDirectory(okta.DirectoryConfig{Client: client, Groups: groups, App: appName})
	must(t, err)
	c.config.Directory = c.dir
	c.config.Feed, err = okta.NewFeed(okta.FeedConfig{Client: client, Directory: c.dir})
	must(t, err)
	c.hook, err = okta.NewHook(okta.HookConfig{
		Secrets: func() []string { return []string{secret} }, Groups: groups, Directory: c.dir, Queue: c.store, Poke: func() {}, Now: c.clock.Now,
	})
	must(t, err)
	c.config.Settings.Rules = nil
	for i, g := range c.groups {
		c.config.Settings.Rules = append(c.config.Settings.Rules, rule(g, []string{"agent", "sales"}[i%2]))
	}
	c.config.Scope = "company"
	c.restart()
	c.employ()
	c.lose()
	return c
}

// organize makes the groups, their members and the app.
func (c *company) organize(sizes []int) {
	c.t.Helper()
	for i, size := range sizes {
		name := fmt.Sprintf("Team %d", i)
		g, err := c.org.AddGroup(name)
		must(c.t, err)
		c.mapped, c.groups = append(c.mapped, name), append(c.groups, g.ID)
		var members []string
		for n := range size {
			u, err := c.org.AddUser(simokta.NewUser{Login: fmt.Sprintf("u%d.%04d@example.com", i, n), FirstName: "Ana", LastName: "Silva", Groups: []string{g.ID}})
			must(c.t, err)
			members = append(members, u.ID)
		}
		c.staff = append(c.staff, members)
	}
	lunch, err := c.org.AddGroup("Lunch")
	must(c.t, err)
	app, err := c.org.AddApp(simokta.NewApp{Label: appName, Groups: append([]string{lunch.ID}, c.groups...)})
	must(c.t, err)
	hook, err := c.org.AddHook(simokta.HookConfig{Name: "connectroster", URI: hookURL, Events: hookEvents, AuthValue: secret})
	must(c.t, err)
	c.app, c.hookID = app.ID, hook.ID
}

// employ gives everybody their agent: the first of each group by the engine, the
// others as copies of that.
func (c *company) employ() {
	c.t.Helper()
	c.sweepAndCatchUp()
	for _, members := range c.staff {
		if len(members) == 0 {
			continue
		}
		c.ask(members[0])
		c.rig.settle(time.Minute)
		first, found := c.agentOf(members[0])
		if !found {
			c.t.Fatal("the first of a team has no agent")
		}
		for _, id := range members[1:] {
			u, err := c.org.User(id)
			must(c.t, err)
			a := first
			a.ID, a.ARN, a.Username = "", "", u.Login
			a.Tags = map[string]string{}
			for k, v := range first.Tags {
				a.Tags[k] = v
			}
			a.Tags["connectroster:owner"] = id
			_, err = c.sim.AddAgent(a)
			must(c.t, err)
		}
	}
	if n := c.sweepAndCatchUp().Changes; n > 0 {
		c.t.Fatalf("%d people are not as they should be at the beginning", n)
	}
	c.settle(time.Minute)
}

// sweepAndCatchUp lets the time for both come.
func (c *company) sweepAndCatchUp() reconcile.Swept {
	c.t.Helper()
	if _, err := c.engine.CatchUp(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
	out := c.sweep()
	if n := out.Changes; n == 0 || len(c.sim.Agents()) > 0 {
		return out
	}
	for { // requests of the very first sweep are for employ to answer
		work, err := c.store.Claim(c.t.Context(), time.Minute)
		if errors.Is(err, reconcile.ErrNotFound) {
			return out
		}
		must(c.t, err, c.store.Settle(c.t.Context(), work, reconcile.Verdict{State: reconcile.Done}))
	}
}

// receive takes a delivery.
func (c *company) receive(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r = r.Clone(c.t.Context())
	r.Body = io.NopCloser(bytes.NewReader(body))
	recorder := httptest.NewRecorder()
	c.hook.ServeHTTP(recorder, r)
	return recorder.Result(), nil
}

// mail gives the uuids of the events since the last time.
func (c *company) mail() (fresh []string) {
	events := c.org.Events(hookEvents...)
	for _, e := range events[c.told:] {
		fresh = append(fresh, e.UUID)
	}
	c.told = len(events)
	return fresh
}

// lose lets no hook come of what happened so far.
func (c *company) lose() { c.mail() }

// deliver posts events to the hook.
func (c *company) deliver(events ...string) {
	c.t.Helper()
	for part := range slices.Chunk(events, 100) {
		_, err := c.org.Redeliver(c.t.Context(), c.hookID, part...)
		must(c.t, err)
	}
}

// everybody is all staff.
func (c *company) everybody() []string { return slices.Concat(c.staff...) }

// settle is that of the rig, with the checks at the end alone where there are
// many agents.
func (c *company) settle(limit time.Duration) {
	c.t.Helper()
	end := c.clock.Now().Add(limit)
	for range 100_000 {
		err := c.engine.Work(c.t.Context())
		if err == nil {
			continue
		}
		if !errors.Is(err, reconcile.ErrNotFound) {
			c.t.Fatal(err)
		}
		due, err := c.store.NextDue(c.t.Context())
		if errors.Is(err, reconcile.ErrNotFound) || err == nil && due.After(end) {
			c.safe()
			return
		}
		must(c.t, err)
		c.clock.Advance(max(due.Sub(c.clock.Now()), time.Millisecond))
	}
	c.t.Fatal("the engine never came to rest")
}

// gone gives those of the people who have lost something: their agent, or what
// it may do.
func (c *company) gone(ids []string) (lost []string) {
	c.t.Helper()
	live := map[string]simconnect.Agent{}
	parked := c.sim.RoutingProfileID("Parked")
	for _, a := range c.sim.Agents() {
		if a.Tags["connectroster:state"] == "active" && a.RoutingProfile != parked {
			live[a.Tags["connectroster:owner"]] = a
		}
	}
	for _, id := range ids {
		if _, found := live[id]; !found {
			lost = append(lost, id)
		}
	}
	return lost
}

// held gives the people about whom something waits for approval.
func (c *company) held() (people []string) {
	c.t.Helper()
	for _, e := range c.waiting() {
		people = append(people, e.Person)
	}
	slices.Sort(people)
	return slices.Compact(people)
}
