package okta_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"connectroster/internal/okta"
	"connectroster/internal/reconcile"
)

// With access to the API every event type that can matter is a hint, without any
// facts, and what happens to whole groups pokes the catch-up.
func TestFixturesInAPIMode(t *testing.T) {
	t.Parallel()
	type outcome struct {
		Priority string // of the one request; empty: none
		Pokes    int
		Ignored  okta.Ignored
	}
	leaver, joiner, routine := outcome{Priority: "leaver"}, outcome{Priority: "joiner"}, outcome{Priority: "routine"}
	want := map[string]outcome{
		"hook-admin-preview-sample-nulls.json":              {Ignored: okta.Ignored{Preview: 1}},
		"hook-outcome-failure.json":                         {Ignored: okta.Ignored{NotSuccess: 1}},
		"hook-group.lifecycle.delete.json":                  {Pokes: 1},
		"hook-group.profile.update.json":                    {Ignored: okta.Ignored{OtherGroup: 1}}, // its new name is not mapped, its id not known yet
		"hook-application.user_membership.add.json":         joiner,
		"hook-application.user_membership.remove.json":      leaver,
		"hook-group.user_membership.add.json":               joiner,
		"hook-group.user_membership.add.by-group-rule.json": joiner,
		"hook-null-fields-omitted.json":                     joiner,
		"hook-target-order-swapped.json":                    joiner,
		"hook-group.user_membership.remove.json":            leaver,
		"hook-user.account.update_profile.json":             routine,
		"hook-user.lifecycle.activate.json":                 joiner,
		"hook-user.lifecycle.create.json":                   joiner,
		"hook-user.lifecycle.reactivate.json":               joiner,
		"hook-user.lifecycle.unsuspend.json":                joiner,
		"hook-user.lifecycle.deactivate.json":               leaver,
		"hook-user.lifecycle.suspend.json":                  leaver,
		"hook-user.lifecycle.delete.initiated.json":         leaver,
	}
	names := map[reconcile.Priority]string{reconcile.Leaver: "leaver", reconcile.Joiner: "joiner", reconcile.Routine: "routine"}
	for _, name := range fixtures(t) {
		if name == "hook-batch-out-of-order-with-duplicate.json" {
			continue // TestBatchInAPIMode
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := &queue{}
			h, pokes := apiHook(t, q)
			if w := deliver(h, fixture(t, name)); w.Code != http.StatusNoContent {
				t.Fatalf("answered %d %q", w.Code, w.Body)
			}
			got := outcome{Pokes: *pokes, Ignored: h.Stats().Ignored}
			requests := q.take()
			if len(requests) > 1 {
				t.Fatalf("%d requests", len(requests))
			}
			for _, r := range requests {
				got.Priority = names[r.Priority]
				if r.Person != userID || len(r.Facts) != 0 || r.Trigger != reconcile.TriggerHook || r.Event == "" {
					t.Errorf("request %+v", r)
				}
			}
			if diff := cmp.Diff(want[name], got); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBatchInAPIMode(t *testing.T) {
	t.Parallel()
	q := &queue{}
	h, _ := apiHook(t, q)
	deliver(h, fixture(t, "hook-batch-out-of-order-with-duplicate.json"))
	if got := len(q.take()); got != 4 {
		t.Errorf("%d requests of four events", got)
	}
}

// A delivery that is refused pokes the catch-up, since Okta does not repeat it;
// one without the secret pokes nobody.
func TestRefusedDeliveryPokes(t *testing.T) {
	t.Parallel()
	h, pokes := apiHook(t, &queue{})
	deliver(h, []byte(`{"data":`))
	if *pokes != 1 {
		t.Errorf("%d pokes after a refused delivery, want 1", *pokes)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, serve(t, h).URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if resp.StatusCode != http.StatusUnauthorized || *pokes != 1 {
		t.Errorf("answered %d with %d pokes, want 401 and none more", resp.StatusCode, *pokes)
	}
}

func apiHook(t *testing.T, q okta.Enqueuer) (*okta.Hook, *int) {
	t.Helper()
	client, err := okta.NewClient(okta.ClientConfig{Org: "https://example.okta.com", Token: "00token-of-the-test-0123456789"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	c := config(q)
	c.Directory, err = okta.NewDirectory(okta.DirectoryConfig{Client: client, Groups: c.Groups, App: "Amazon Connect"})
	if err != nil {
		t.Fatal(err)
	}
	pokes := new(int)
	c.Poke = func() { *pokes++ }
	return newHook(t, c), pokes
}
