package okta_test

import (
	"fmt"
	"slices"
	"testing"

	"connectroster/internal/okta"
	sim "connectroster/internal/sim/okta"
)

// TestFindOffer lists what an org has, over several pages, and does without the
// apps where the credential may not list them.
func TestFindOffer(t *testing.T) {
	t.Parallel()
	org, client, calls := simOrg(t)
	for i := range 250 {
		if _, err := org.AddGroup(fmt.Sprintf("Team %03d", i)); err != nil {
			t.Fatal(err)
		}
	}
	offer, err := okta.FindOffer(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, g := range offer.Groups {
		names = append(names, g.Name)
		if g.ID == "" {
			t.Errorf("group %s has no id", g.Name)
		}
	}
	if len(names) != 253 || !slices.IsSorted(names) || !slices.Contains(names, apiName) {
		t.Errorf("%d groups, want 253 in order: %q", len(names), names)
	}
	if !slices.Equal(offer.Apps, []string{apiLabel}) || calls.Load() != 3 {
		t.Errorf("apps %q with %d calls; want %s with 3", offer.Apps, calls.Load(), apiLabel)
	}

	simply(t, org.AddFaults(sim.Fault{Endpoint: "GET /api/v1/apps", Times: -1, Status: 403}))
	if offer, err = okta.FindOffer(t.Context(), client); err != nil || offer.Apps != nil || len(offer.Groups) != 253 {
		t.Errorf("without the right to list apps: %d groups, apps %q, %v", len(offer.Groups), offer.Apps, err)
	}
	simply(t, org.AddFaults(sim.Fault{Endpoint: "GET /api/v1/groups", Times: -1, Status: 403}))
	if _, err = okta.FindOffer(t.Context(), client); err == nil {
		t.Error("without the right to list groups there is no error")
	}
}
