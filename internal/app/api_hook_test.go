package app_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"connectroster/internal/reconcile"
)

// event is the body of a delivery with one event about a user and a group.
func event(kind, user, group string) string {
	return delivered(map[string]any{
		"eventType": kind, "uuid": fmt.Sprintf("%x", rand.Uint64()), "published": time.Now().UTC().Format(time.RFC3339Nano),
		"outcome": map[string]any{"result": "SUCCESS"},
		"target": []any{
			map[string]any{"id": user, "type": "User", "alternateId": "forged@example.com", "displayName": "For Ged"},
			map[string]any{"id": group, "type": "UserGroup", "alternateId": "unknown", "displayName": agentGroup},
		},
	})
}

// delivered wraps events into a delivery.
func delivered(events ...any) string {
	body, err := json.Marshal(map[string]any{
		"eventType": "com.okta.event_hook", "eventTypeVersion": "1.0", "cloudEventsVersion": "0.1", "eventId": fmt.Sprintf("%x", rand.Uint64()),
		"contentType": "application/json", "eventTime": time.Now().UTC().Format(time.RFC3339Nano), "data": map[string]any{"events": append([]any{}, events...)},
	})
	if err != nil {
		panic(err) // strings and maps always encode
	}
	return string(body)
}

func contains(text string, words ...string) bool {
	for _, word := range words {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}

// TestReplay sends what was recorded of 50 people ten times more.
func TestReplay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{catchUp: "1h", events: []string{"group.user_membership.add"}})
	w.start()
	w.ready()
	for i := range 50 {
		w.hire(i, agentGroup)
	}
	w.converges(60 * time.Second)
	w.quiet()
	var recorded []seen
	for _, r := range w.door.calls(http.MethodPost, "/hooks/okta") {
		if !slices.Contains(recorded, r) { // what could not be stored in time came again
			recorded = append(recorded, r)
		}
	}
	if len(recorded) != 50 {
		t.Fatalf("%d deliveries were recorded", len(recorded))
	}
	looks, entries := w.status().Outcomes.Looks, w.journal()
	for range 10 {
		for _, r := range recorded {
			if status := w.post(hookSecret, r.body); status != http.StatusNoContent {
				t.Fatalf("status %d", status)
			}
		}
		w.quiet()
	}
	w.becomes(w.entitled(), 0)
	if s := w.status(); s.Hook.Deliveries != 11*50 || s.Outcomes.Looks < looks+50 {
		t.Errorf("%d deliveries and %d further looks", s.Hook.Deliveries, s.Outcomes.Looks-looks)
	}
	if n := w.journal(); n != entries {
		t.Errorf("the journal grew from %d to %d entries", entries, n)
	}
}

// journal is how many entries there are.
func (w *world) journal() int {
	w.t.Helper()
	var entries []reconcile.Entry
	w.ask(http.MethodGet, "/v1/journal?limit=1000", &entries)
	return len(entries)
}

// TestForgedDeliveries sends deliveries with the right secret that claim things
// which are not so. What becomes of anybody is what the org says of them.
func TestForgedDeliveries(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{catchUp: "1h"})
	w.start()
	w.ready()
	w.drops(1)
	other := w.unmapped()
	users := []string{"00u00000000000000000", "nobody", w.group.ID, w.app.ID, other.ID, "00uAAAAAAAAAAAAAAAAA", "..", "me", "00u/../../groups", "", strings.Repeat("x", 200)}
	var members []string
	for i := range 40 {
		u := w.hire(i)
		switch i % 5 {
		case 0: // in the group; the org has lost the delivery
			w.join(u)
			members = append(members, u.ID)
		case 1:
			must(t, w.org.Join(u.ID, other.ID))
		case 2:
			w.join(u)
			must(t, w.org.Suspend(u.ID))
		case 3:
			w.join(u)
			must(t, w.org.Leave(u.ID, agentGroup))
		}
		users = append(users, u.ID)
	}
	kinds := append([]string{"com.okta.event_hook", "user.session.start", "application.user_membership.add", ""}, hooked...)
	groups := []string{w.group.ID, other.ID, "00g00000000000000000", "", agentGroup}

	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	pick := func(from []string) string { return from[random.IntN(len(from))] }
	for range 400 {
		w.post(hookSecret, event(pick(kinds), pick(users), pick(groups)))
	}
	for _, u := range users { // each at least once with all the rest in order
		w.post(hookSecret, event("group.user_membership.add", u, w.group.ID))
	}
	w.quiet()
	w.await("the members among them", 30*time.Second, func() bool { return len(w.roster()) >= len(members) })
	w.quiet()
	w.becomes(w.entitled(), 0)
	if s := w.status(); s.Outcomes.Dead != 0 || s.Hook.BadRequest != 0 {
		t.Errorf("%d dead letters, %d refused deliveries", s.Outcomes.Dead, s.Hook.BadRequest)
	}
}

// TestWrongSecret checks that a delivery without the secret asks for nothing.
func TestWrongSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{catchUp: "1h"})
	w.start()
	w.ready()
	w.drops(1)
	u := w.hire(1)
	w.join(u)
	for _, secret := range []string{"", "wrong", hookSecret[1:], strings.ToUpper(hookSecret)} {
		if status := w.post(secret, event("group.user_membership.add", u.ID, w.group.ID)); status != http.StatusUnauthorized {
			t.Errorf("secret %q: status %d", secret, status)
		}
	}
	w.quiet()
	if s := w.status(); s.Outcomes.Looks != 0 || s.Hook.Unauthorized != 4 {
		t.Errorf("%d looks, %d refusals", s.Outcomes.Looks, s.Hook.Unauthorized)
	}
	// The same with the secret.
	w.post(hookSecret, event("group.user_membership.add", u.ID, w.group.ID))
	w.converges(30 * time.Second)
}

// TestRefusedDelivery refuses a delivery. What it was about is found at once in
// the System Log, although that would be read in an hour only.
func TestRefusedDelivery(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"broken":    `{"eventType":"com.okta.event_hook","data":{"events":[{"uuid":`,
		"too large": `{"eventType":"com.okta.event_hook","data":{"events":[]},"padding":"` + strings.Repeat("x", 7<<20) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, setup{catchUp: "1h"})
			w.start()
			w.ready()
			w.drops(1)
			w.join(w.hire(1))
			if status := w.post(hookSecret, body); status/100 != 4 {
				t.Fatalf("status %d", status)
			}
			w.converges(15 * time.Second)
			if w.log.count("ERROR", "hook delivery refused") != 1 {
				t.Error("the log does not say once that a delivery was refused")
			}
		})
	}
}

// TestRotation changes the secret in its files while the program runs.
func TestRotation(t *testing.T) {
	t.Parallel()
	const before, after = "the-secret-until-now", "the-secret-from-now-on"
	w := newWorld(t, setup{catchUp: "1h", secrets: `["file:current", "file:next"]`, noHook: true})
	write := func(name, secret string) {
		must(t, os.WriteFile(filepath.Join(w.dir, name+".new"), []byte(secret+"\n"), 0o600))
		must(t, os.Rename(filepath.Join(w.dir, name+".new"), filepath.Join(w.dir, name)))
	}
	write("current", before)
	write("next", before)
	w.start()
	w.ready()
	accepted := func(secret string) bool {
		return w.post(secret, delivered()) == http.StatusNoContent
	}
	if !accepted(before) || accepted(after) {
		t.Fatal("the rotation has begun by itself")
	}

	write("next", after)
	w.await("the new secret to be accepted", 10*time.Second, func() bool { return accepted(after) })
	if !accepted(before) {
		t.Fatal("the old secret is refused while it is still valid")
	}
	// Half a written file is no reason to refuse anybody.
	write("next", "short")
	w.await("a line about the bad secret", 10*time.Second, func() bool {
		if !accepted(before) || !accepted(after) {
			t.Fatal("a secret is refused while the files cannot be read")
		}
		return w.log.count("ERROR", "cannot read the hook secrets again") > 0
	})
	write("next", after)
	write("current", after)
	w.await("the old secret to be refused", 10*time.Second, func() bool {
		if !accepted(after) {
			t.Fatal("the new secret is refused")
		}
		return !accepted(before)
	})
	if w.log.count(before)+w.log.count(after) > 0 {
		t.Error("a secret is in the log")
	}
}
