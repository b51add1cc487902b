package connect

import (
	"context"
	"errors"
	"io"
	"slices"
	"syscall"
	"testing"
	"time"
)

// TestEveryOperationMeetsEveryFault: whatever the operation, a fault is what the
// client sees, and the ledger tells whether the write happened.
func TestEveryOperationMeetsEveryFault(t *testing.T) {
	t.Parallel()
	coded := func(want string) func(error) bool {
		return func(err error) bool { return code(err) == want }
	}
	ended := func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }
	reset := func(err error) bool { return errors.Is(err, syscall.ECONNRESET) }
	late := func(err error) bool { return errors.Is(err, context.Canceled) }
	// The SDK does not read the answers of these, so it does not miss their end.
	unread := []string{"PutUserStatus", "DismissUserContact"}
	// The transport sends a GET again when its connection is reset, hence Times.
	kinds := map[string]struct {
		fault   Fault
		prepare func(w *world, operation string) error // in place of the fault
		fits    func(error) bool
		writes  bool
	}{
		"500":                  {fault: Fault{}, fits: coded("InternalServiceException")},
		"500 after commit":     {fault: Fault{Commit: true}, fits: coded("InternalServiceException"), writes: true},
		"refusal":              {fault: Fault{Status: 403, Code: codeAccessDenied, Message: "no"}, fits: coded(codeAccessDenied)},
		"reset":                {fault: Fault{Kind: FaultReset, Times: -1}, fits: reset},
		"reset after commit":   {fault: Fault{Kind: FaultReset, Commit: true, Times: -1}, fits: reset, writes: true},
		"cut off after commit": {fault: Fault{Kind: FaultTruncate, Commit: true}, fits: ended, writes: true},
		"late after commit":    {fault: Fault{Kind: FaultDelay, Delay: time.Hour, Commit: true}, fits: late, writes: true},
		"denied":               {fits: coded(codeAccessDenied), prepare: func(w *world, operation string) error { return w.Deny(operation) }},
		"throttled": {fits: func(err error) bool { return code(err) == codeThrottling || code(err) == codeTooManyRequests },
			prepare: func(w *world, operation string) error {
				if err := w.ChangeSettings(func(s *Settings) { s.Limits = map[string]Limit{operation: {Rate: 1e-9, Burst: 1}} }); err != nil {
					return err
				}
				w.mu.Lock()
				defer w.mu.Unlock()
				w.buckets[operation] = &bucket{filled: w.clock.Now()} // spent
				return nil
			}},
	}
	all := drives()
	for name, d := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startUnjudged(t, nil)
			user := furnish(t, w)
			before := len(w.Ledger())
			if err := d.good(t.Context(), w, user); err != nil {
				t.Fatal(err)
			}
			write := len(w.Ledger()) > before
			if reads := slices.Contains(readers, name); reads == write {
				t.Errorf("a call entered %d writes", len(w.Ledger())-before)
			}
			for kind, k := range kinds {
				w.Reset()
				w.sdk = w.client(nil)
				user := furnish(t, w)
				before := len(w.Ledger())
				var err error
				switch {
				case k.prepare != nil:
					err = k.prepare(w, name)
				default:
					k.fault.Operation = name
					err = w.AddFaults(k.fault)
				}
				if err != nil {
					t.Fatal(err)
				}
				ctx := t.Context()
				if k.fault.Kind == FaultDelay {
					ctx = w.leaving(t, func() bool {
						return w.Faults()[0].Struck > 0 && (!write || len(w.Ledger()) > before)
					})
				}
				err = d.good(ctx, w, user)
				if unseen := k.fault.Kind == FaultTruncate && slices.Contains(unread, name); unseen != (err == nil) || err != nil && !k.fits(err) {
					t.Errorf("%s: the client got %v", kind, err)
				}
				entries := w.Ledger()[before:]
				if wrote := len(entries) == 1 && entries[0].Operation == name; wrote != (write && k.writes) || len(entries) > 1 {
					t.Errorf("%s: the ledger holds %+v", kind, entries)
				}
				if len(entries) == 1 && entries[0].Fault == "" {
					t.Errorf("%s: the ledger does not tell of the fault", kind)
				}
			}
		})
	}
}

// readers are the operations that change nothing. The ledger holds the others.
var readers = []string{
	"DescribeInstance", "DescribePredefinedAttribute", "DescribeQuickConnect", "DescribeRoutingProfile", "DescribeSecurityProfile",
	"DescribeUser", "DescribeUserHierarchyGroup", "DescribeUserHierarchyStructure", "GetCurrentUserData", "ListAgentStatuses",
	"ListInstances", "ListPredefinedAttributes", "ListQuickConnects", "ListRoutingProfiles", "ListSecurityProfilePermissions",
	"ListSecurityProfiles", "ListTagsForResource", "ListUserHierarchyGroups", "ListUserProficiencies", "ListUsers",
	"SearchPredefinedAttributes", "SearchQuickConnects", "SearchResourceTags", "SearchRoutingProfiles", "SearchSecurityProfiles",
	"SearchUserHierarchyGroups", "SearchUsers",
}
