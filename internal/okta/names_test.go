package okta_test

import (
	"errors"
	"testing"

	"connectroster/internal/reconcile"
)

// No read fault of the lists by which groups and the app are found makes anybody
// be missing, neither from everybody nor from a person's groups: what is not
// found is an error.
func TestNameFaults(t *testing.T) {
	t.Parallel()
	for _, list := range []string{"groups", "apps"} {
		for _, fault := range apiFaults(t) {
			t.Run(list+"/"+fault.name, func(t *testing.T) {
				t.Parallel()
				_, client, hits := spoiled(t, fault, list, 1)
				d := newAPIDirectory(t, client, apiLabel, apiName)
				people, err := gather(t, d)
				if err == nil || errors.Is(err, reconcile.ErrNotFound) {
					t.Errorf("%d people, error %v", len(people), err)
				}
				if hits.Load() == 0 {
					t.Error("the fault was not met")
				}
			})
		}
	}
}
