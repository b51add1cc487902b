package main

import (
	"testing"
)

// TestLife plays the life of an agent: a hire by either kind of gateway, a transfer,
// a leaver; what no delivery told, found by the System Log; and a sweep.
func TestLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.subscribe("/hooks/okta", "user.lifecycle.suspend")
	w.scheduled(w.sweep) // the first: whatever one wants to remove must be approved

	hired := w.hire(1)
	w.settle()
	a, ok := w.agent(hired)
	if !ok || a.Username != hired.Login || a.RoutingProfile != w.instance.RoutingProfileID("Basic Routing Profile") {
		t.Fatalf("the agent of who was hired is %+v", a)
	}
}
