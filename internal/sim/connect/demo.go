package connect

import (
	"fmt"
	"strings"
)

// firstCatalogue is what Connect puts into a fresh instance.
func (in *Instance) firstCatalogue() {
	in.routing, in.security = newCatalog(nounRouting), newCatalog(nounSecurity)
	in.groups, in.statuses = newCatalog(nounGroup), newCatalog(nounStatus)
	entries := []struct {
		to *catalog
		e  CatalogEntry
	}{
		{in.routing, CatalogEntry{Name: "Basic Routing Profile", Description: "A simple routing profile"}},
		{in.security, CatalogEntry{Name: "Admin", Description: "Every permission",
			Permissions: []string{"BasicAgentAccess", "Users.Create", "Users.Delete", "Users.Edit", "Users.EditPermission", "Users.View"}}},
		{in.security, CatalogEntry{Name: "Agent", Description: "Contact handling", Permissions: []string{"BasicAgentAccess", "OutboundCallAccess"}}},
		{in.security, CatalogEntry{Name: "CallCenterManager", Description: "User, queue and routing management",
			Permissions: []string{"AccessMetrics", "Users.Edit", "Users.View"}}},
		{in.security, CatalogEntry{Name: "QualityAnalyst", Description: "Metrics and recordings", Permissions: []string{"AccessMetrics", "ListenCallRecordings"}}},
		{in.statuses, CatalogEntry{Name: "Available", Type: statusRoutable}},
		{in.statuses, CatalogEntry{Name: "Offline", Type: statusOffline}},
	}
	for _, x := range entries {
		_, _ = x.to.add(in, x.e) // into an empty catalogue it cannot fail
	}
}

// AddDemo adds what a small contact centre has and the instance lacks: the
// routing profiles Sales, Support, Billing and Parked, the last without queues;
// the security profile "No permissions"; the regions EMEA and Americas with
// departments and teams ("EMEA/Support/Tier 1"); the predefined attributes
// language (de, en, fr) and product (Router, Phone, Cloud); the agent statuses
// Break, Lunch and Training.
func (in *Instance) AddDemo() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.addDemo()
}

func (in *Instance) addDemo() {
	busy := map[string]int{"VOICE": 1, "CHAT": 3, "TASK": 1, "EMAIL": 1}
	for _, x := range []struct {
		to *catalog
		e  CatalogEntry
	}{
		{in.routing, CatalogEntry{Name: "Sales", Description: "Sales calls and chats", Queues: []string{"Sales", "Callbacks"}, Slots: busy}},
		{in.routing, CatalogEntry{Name: "Support", Description: "Support calls and chats", Queues: []string{"Support", "Callbacks"}, Slots: busy}},
		{in.routing, CatalogEntry{Name: "Billing", Description: "Billing calls", Queues: []string{"Billing"}}},
		{in.routing, CatalogEntry{Name: "Parked", Description: "No queues: for agents who are away", Queues: []string{}}},
		{in.security, CatalogEntry{Name: "No permissions", Description: "For agents who are away"}},
		{in.statuses, CatalogEntry{Name: "Break"}},
		{in.statuses, CatalogEntry{Name: "Lunch"}},
		{in.statuses, CatalogEntry{Name: "Training"}},
	} {
		_, _ = x.to.add(in, x.e) // refused when it is there
	}
	if in.levelNames == nil {
		in.levelNames = []string{"Region", "Department", "Team"}
	}
	for _, path := range []string{"EMEA/Support/Tier 1", "EMEA/Support/Tier 2", "EMEA/Sales", "EMEA/Billing", "Americas/Support/Tier 1", "Americas/Sales"} {
		_, _ = in.groups.addPath(in, path)
	}
	_ = in.attributes.add(in, PredefinedAttribute{Name: "language", Values: []string{"de", "en", "fr"}})
	_ = in.attributes.add(in, PredefinedAttribute{Name: "product", Values: []string{"Router", "Phone", "Cloud"}})
}

// addPath adds the groups that a path lacks and returns the id of the last.
func (t *catalog) addPath(in *Instance, path string) (string, error) {
	parent := ""
	for name := range strings.SplitSeq(path, "/") {
		e := t.child(parent, name)
		if e == nil {
			var err error
			if e, err = t.add(in, CatalogEntry{Name: name, Parent: parent}); err != nil {
				return "", fmt.Errorf("add %q: %w", path, err)
			}
		}
		parent = e.ID
	}
	return parent, nil
}

// child finds the group of a name right below another.
func (t *catalog) child(parent, name string) *CatalogEntry {
	for _, e := range t.order {
		if e.Parent == parent && e.Name == name {
			return e
		}
	}
	return nil
}
