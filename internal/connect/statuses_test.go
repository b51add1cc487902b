package connect

import (
	"testing"

	simconnect "connectroster/internal/sim/connect"
)

// All statuses are read, over as many pages as there are, or none.
func TestStatuses(t *testing.T) {
	t.Parallel()
	w := open(t, nil, nil)
	all, err := w.Statuses(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]Status{}
	for _, s := range all {
		byName[s.Name] = s
	}
	if len(all) != 2 || !byName["Offline"].Offline() || byName["Available"].Offline() || byName["Offline"].ID == "" {
		t.Errorf("statuses: %+v", all)
	}
	w.fault(t, simconnect.Fault{Operation: "ListAgentStatuses", Code: "InternalServiceException", Status: 500, Times: -1})
	if all, err := w.Statuses(t.Context()); err == nil || all != nil {
		t.Errorf("a failed reading gives %v, %v", all, err)
	}
}
