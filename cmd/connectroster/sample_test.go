package main

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	simconnect "connectroster/internal/sim/connect"
	simokta "connectroster/internal/sim/okta"
)

// TestSample is the regression list of the AWS sample that this program takes
// the place of (amazon-connect-user-provision-with-okta): each test is a defect
// of it, seen from outside, with the real program between the simulators.
func TestSample(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		run  func(t *testing.T)
	}{
		{"S1", sampleS1}, {"S2", sampleS2}, {"S3", sampleS3}, {"S4", sampleS4}, {"S5", sampleS5}, {"S6", sampleS6},
		{"S7", sampleS7}, {"S8", sampleS8}, {"S9", sampleS9}, {"S10", sampleS10}, {"S11", sampleS11}, {"S12", sampleS12},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t)
		})
	}
}

// sampled is a world with a daemon that is subscribed, in which names may be
// more than two words.
func sampled(t *testing.T, s setup) (*world, *child) {
	t.Helper()
	w := newWorld(t, s)
	c := w.started()
	w.subscribe()
	return w, c
}

// fixture reads a delivery as Okta sends it.
func fixture(t *testing.T, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("..", "..", "testdata", "okta", name))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// agents waits until the daemon has nothing left to do and gives the names of
// the agents by username.
func (w *world) agents() map[string]string {
	w.t.Helper()
	eventually(w.t, patience, w.rests)
	names := map[string]string{}
	for _, a := range w.instance.Agents() {
		names[a.Username] = a.IdentityInfo.FirstName + "/" + a.IdentityInfo.LastName
	}
	return names
}

// S1: the sample asked for no secret, so that anybody who knew its address could
// make agents.
func sampleS1(t *testing.T) {
	w, _ := sampled(t, setup{})
	status, _, err := call(http.MethodPost, w.url(), nil, fixture(t, "hook-group.user_membership.add.json"))
	if err != nil || status != http.StatusUnauthorized {
		t.Errorf("without the secret: %d, %v", status, err)
	}
	if got := w.agents(); len(got) != 0 {
		t.Errorf("agents: %v", got)
	}
}

// S2: the sample looked at the first event of a delivery alone.
func sampleS2(t *testing.T) {
	w, _ := sampled(t, setup{})
	w.must(w.org.Configure(func(s *simokta.Settings) { s.MaxBatch, s.BatchWindow = 5, time.Minute }))
	for n := range 5 {
		w.join(w.hire(n))
	}
	w.taken()
	posts := map[string]int{} // a second attempt has the id of the first
	for _, d := range w.org.Deliveries() {
		if d.Kind == "event" {
			posts[d.EventID] = len(d.Events)
		}
	}
	if got := slices.Collect(maps.Values(posts)); !slices.Equal(got, []int{5}) {
		t.Errorf("deliveries of %d events, want one of five", got)
	}
	if got := w.agents(); len(got) != 5 {
		t.Errorf("agents: %v", got)
	}
}

// S3: the sample created an agent for whoever was taken out of the group.
func sampleS3(t *testing.T) {
	w, _ := sampled(t, setup{})
	w.must(w.org.Configure(func(s *simokta.Settings) { s.DropTypes = []string{"group.user_membership.add"} }))
	u := w.hire(1)
	w.join(u)
	w.leave(u)
	w.taken(w.story().events[0].UUID)
	if lost := w.story().lost(); len(lost) != 1 {
		t.Errorf("%d events were not delivered, want the first alone", len(lost))
	}
	if got := w.agents(); len(got) != 0 {
		t.Errorf("agents: %v", got)
	}
}

// S4: the sample looked for the user on the first page of ListUsers, and took
// the error of a second creation for a failure of the delivery. Here 150 agents
// of other people stand in front, and the person's own agent is among them when
// the database is lost.
func sampleS4(t *testing.T) {
	w := newWorld(t, setup{})
	for n := range 150 {
		_, err := w.instance.AddAgent(simconnect.Agent{Username: fmt.Sprintf("a%03d@example.com", n)})
		w.must(err)
	}
	first := w.started()
	w.subscribe()
	u := w.hire(1)
	w.join(u)
	w.taken()
	if got := w.agents(); len(got) != 151 {
		t.Fatalf("%d agents", len(got))
	}
	first.stop()
	for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
		if err := os.Remove(w.database + suffix); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}

	w.started()
	w.leave(u)
	w.join(u)
	w.taken()
	if got := w.agents(); len(got) != 151 {
		t.Errorf("%d agents", len(got))
	}
	if n := len(w.instance.Ledger()); n != 1 {
		t.Errorf("%d writes, want the one of the first time", n)
	}
}

// S5: null in the place of the targets, as in the preview of Okta's console, was
// a crash of the sample.
func sampleS5(t *testing.T) {
	w, c := sampled(t, setup{})
	for _, name := range []string{"hook-admin-preview-sample-nulls.json", "hook-null-fields-omitted.json"} {
		status, err := w.deliver(t.Context(), client(t, patience), fixture(t, name))
		if err != nil || status != http.StatusNoContent {
			t.Errorf("%s: %d, %v", name, status, err)
		}
	}
	eventually(t, patience, func() error { // it may not be answered in time
		d, err := w.org.Preview(t.Context(), w.hook.ID, "")
		if err == nil && d.Status != http.StatusNoContent {
			err = fmt.Errorf("preview: %+v", d)
		}
		return err
	})
	w.agents()
	c.stop() // it was not gone, and has said all that it had to say
	says(t, c.output.String(), "hook preview ignored: it holds sample data")
}

// S6: the sample took the first and the last word of the display name, and made
// "N/A" the last name of people who have one word.
func sampleS6(t *testing.T) {
	w, _ := sampled(t, setup{})
	want := map[string]string{}
	for i, c := range []struct{ first, last, name string }{
		{"Maria del Carmen", "Lopez", "Maria/del Carmen Lopez"},
		{"Madonna", "", "Madonna/Madonna"},
		{"Maria", "de la Cruz", "Maria/de la Cruz"},
		{"Jose\u0301", "Garci\u0301a", "Jos\u00e9/Garc\u00eda"}, // in NFC
		{"李", "小龙", "李/小龙"},
	} {
		login := fmt.Sprintf("names%d@example.com", i)
		u, err := w.org.AddUser(simokta.NewUser{Login: login, FirstName: c.first, LastName: c.last})
		w.must(err)
		w.join(u)
		want[login] = c.name
	}
	w.taken()
	got := w.agents()
	for login, name := range want {
		if got[login] != name {
			t.Errorf("%s is called %q, want %q", login, got[login], name)
		}
	}
}

// S7: the sample logged whole events with their headers, the secret among them.
func sampleS7(t *testing.T) {
	w, c := sampled(t, setup{})
	u, err := w.org.AddUser(simokta.NewUser{Login: "ana.silva@example.com", FirstName: "Ana", LastName: "Silva"})
	w.must(err)
	w.join(u)
	w.taken()
	if got := w.agents(); len(got) != 1 {
		t.Fatalf("agents: %v", got)
	}
	c.stop()
	log := c.output.String()
	says(t, log, "level=INFO msg=changed person="+u.ID)
	for _, private := range []string{hookSecret, "Silva", "ana.silva", "example.com"} {
		if strings.Contains(log, private) {
			t.Errorf("%q is in the log:\n%s", private, log)
		}
	}
}

// S8: the sample first looked for the user and then created it, so that two
// deliveries at once both tried.
func sampleS8(t *testing.T) {
	w, _ := sampled(t, setup{connect: simconnect.Settings{Latency: 50 * time.Millisecond}})
	body := delivery(arrival(1))
	c := client(t, patience)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			status, err := w.deliver(t.Context(), c, body)
			if err != nil || status != http.StatusNoContent {
				t.Errorf("%d, %v", status, err)
			}
		})
	}
	all.Wait()
	if got := w.agents(); len(got) != 1 {
		t.Errorf("agents: %v", got)
	}
	if calls := w.instance.Stats().Operations["CreateUser"].Calls; calls != 1 {
		t.Errorf("%d calls of CreateUser", calls)
	}
}

// S9: the sample passed errors of Amazon Connect on as 409 or 400, which Okta
// never repeats: the work was lost. Here one person is throttled, and another
// has an agent that somebody made by hand.
func sampleS9(t *testing.T) {
	w, _ := sampled(t, setup{})
	w.must(w.instance.AddFaults(simconnect.Fault{Operation: "CreateUser", Times: 3, Status: http.StatusTooManyRequests, Code: "ThrottlingException", Message: "Rate exceeded"}))
	_, err := w.instance.AddAgent(simconnect.Agent{Username: "person1@example.com"}) // by hand
	w.must(err)
	w.join(w.hire(1))
	w.join(w.hire(2))
	w.taken()
	got := w.agents()
	if got["person2@example.com"] == "" {
		t.Errorf("who was throttled has no agent: %v", got)
	}
	says(t, w.api(http.MethodGet, "/v1/journal"), `"code": "exists_not_ours"`)
}

// S10: the sample called Amazon Connect while Okta waited, who gives up after
// three seconds.
func sampleS10(t *testing.T) {
	w, _ := sampled(t, setup{connect: simconnect.Settings{Latency: 4 * time.Second}})
	n := 0
	soon(t, 3*time.Second, "the delivery", func() time.Duration {
		n++
		u := w.hire(n)
		began := time.Now()
		w.join(u)
		w.taken()
		return time.Since(began)
	})
	w.converge()
}

// S11: the sample found the challenge of the verification only under one
// spelling of its header.
func sampleS11(t *testing.T) {
	w, _ := sampled(t, setup{})
	for _, header := range []string{"X-Okta-Verification-Challenge", "x-okta-verification-challenge", "X-OKTA-VERIFICATION-CHALLENGE"} {
		status, answer, err := call(http.MethodGet, w.url(), []string{"authorization: " + hookSecret, header + ": abc"}, nil)
		if err != nil || status != http.StatusOK || strings.TrimSpace(answer) != `{"verification":"abc"}` {
			t.Errorf("%s: %d %s, %v", header, status, answer, err)
		}
	}
	request := "GET /create_user HTTP/1.1\r\nhost: hook\r\nAUTHORIZATION: " + hookSecret + "\r\nx-OKTA-verification-CHALLENGE: abc\r\n\r\n"
	if status := w.raw(request); status != http.StatusOK {
		t.Errorf("on the wire: %d", status)
	}
}

// S12: the sample acted on events of what had failed in Okta.
func sampleS12(t *testing.T) {
	w, _ := sampled(t, setup{})
	body := fixture(t, "hook-outcome-failure.json")
	status, err := w.deliver(t.Context(), client(t, patience), body)
	if err != nil || status != http.StatusNoContent {
		t.Errorf("%d, %v", status, err)
	}
	if got := w.agents(); len(got) != 0 {
		t.Errorf("agents: %v", got)
	}
	// The same event with success is acted on.
	status, err = w.deliver(t.Context(), client(t, patience), []byte(strings.Replace(string(body), `"FAILURE"`, `"SUCCESS"`, 1)))
	if err != nil || status != http.StatusNoContent {
		t.Errorf("%d, %v", status, err)
	}
	if got := w.agents(); len(got) != 1 {
		t.Errorf("agents after success: %v", got)
	}
}
