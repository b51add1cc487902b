package connect

import (
	"errors"
	"fmt"
	"io"
	"net/http"
)

// floorRoutes serve what supervisors and agents do by hand.
func (in *Instance) floorRoutes(on func(pattern string, do func(*http.Request) (any, error))) {
	on("GET /_sim/agents/{id}/presence", func(r *http.Request) (any, error) { return in.presenceAnswer(r.PathValue("id")) })
	on("PUT /_sim/agents/{id}/presence", in.controlStatus)
	on("POST /_sim/agents/{id}/contacts", in.controlBeginContact)
	on("PATCH /_sim/contacts/{id}", in.controlChangeContact)
	on("DELETE /_sim/contacts/{id}", func(r *http.Request) (any, error) { return nil, in.EndContact(r.PathValue("id")) })

	on("GET /_sim/quick-connects", func(*http.Request) (any, error) { return in.QuickConnects(), nil })
	on("POST /_sim/quick-connects", in.controlAddQuickConnect)
	on("DELETE /_sim/quick-connects/{id}", func(r *http.Request) (any, error) { return nil, in.RemoveQuickConnect(r.PathValue("id")) })

	on("GET /_sim/predefined-attributes", func(*http.Request) (any, error) { return in.PredefinedAttributes(), nil })
	on("POST /_sim/predefined-attributes", in.controlAddAttribute)
	on("PATCH /_sim/predefined-attributes/{name}", in.controlChangeAttribute)
	on("DELETE /_sim/predefined-attributes/{name}", func(r *http.Request) (any, error) {
		return nil, in.RemovePredefinedAttribute(r.PathValue("name"))
	})

	on("PUT /_sim/denied/{operation}", func(r *http.Request) (any, error) { return nil, in.Deny(r.PathValue("operation")) })
	on("DELETE /_sim/denied/{operation}", func(r *http.Request) (any, error) { return nil, in.Permit(r.PathValue("operation")) })
	on("DELETE /_sim/denied", func(*http.Request) (any, error) { return nil, in.Permit() })
}

type madeID struct {
	ID string `json:"Id"`
}

func (in *Instance) controlAddEntry(r *http.Request, kind string) (any, error) {
	var e CatalogEntry
	if err := readControl(r, &e); err != nil {
		return nil, err
	}
	id, err := in.AddCatalogEntry(kind, e)
	if err != nil {
		return nil, err
	}
	return madeID{id}, nil
}

// patch decodes the body over v, whose lists and maps the caller has cleared.
func patch(data []byte, v any) error {
	if err := strictly(data, v); err != nil {
		return fmt.Errorf("read the body: %w", err)
	}
	return nil
}

func (in *Instance) controlChangeEntry(r *http.Request) (any, error) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, fmt.Errorf("read the body: %w", err)
	}
	var changed CatalogEntry
	err = in.changeEntry(r.PathValue("id"), func(e *CatalogEntry) error {
		old := *e
		e.Queues, e.Slots, e.Permissions, e.Tags = nil, nil, nil, nil // replaced when given, never merged
		if err := patch(data, e); err != nil {
			return err
		}
		e.Queues, e.Permissions = listOver(e.Queues, old.Queues), listOver(e.Permissions, old.Permissions)
		if e.Slots == nil {
			e.Slots = old.Slots
		}
		if e.Tags == nil {
			e.Tags = old.Tags
		}
		changed = *e
		return nil
	})
	if err != nil {
		return nil, err
	}
	return changed.clone(), nil
}

func (in *Instance) presenceAnswer(agent string) (any, error) {
	p, ok := in.Presence(agent)
	if !ok {
		return nil, errNoSuch
	}
	return p, nil
}

func (in *Instance) controlStatus(r *http.Request) (any, error) {
	var body struct{ Status string }
	if err := readControl(r, &body); err != nil {
		return nil, err
	}
	id := r.PathValue("id")
	if err := in.SetStatus(id, body.Status); err != nil {
		return nil, err
	}
	return in.presenceAnswer(id)
}

func (in *Instance) controlBeginContact(r *http.Request) (any, error) {
	var c Contact
	if err := readControl(r, &c); err != nil && !errors.Is(err, io.EOF) { // no body is a call
		return nil, err
	}
	id, err := in.BeginContact(r.PathValue("id"), c)
	if err != nil {
		return nil, err
	}
	return struct {
		ID string `json:"ContactId"`
	}{id}, nil
}

func (in *Instance) controlChangeContact(r *http.Request) (any, error) {
	var body struct{ State string }
	if err := readControl(r, &body); err != nil {
		return nil, err
	}
	return nil, in.ChangeContact(r.PathValue("id"), body.State)
}

func (in *Instance) controlAddQuickConnect(r *http.Request) (any, error) {
	var body struct{ Name, Agent string }
	if err := readControl(r, &body); err != nil {
		return nil, err
	}
	id, err := in.AddQuickConnect(body.Name, body.Agent)
	if err != nil {
		return nil, err
	}
	return madeID{id}, nil
}

func (in *Instance) controlAddAttribute(r *http.Request) (any, error) {
	var p PredefinedAttribute
	if err := readControl(r, &p); err != nil {
		return nil, err
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if err := in.attributes.add(in, p); err != nil {
		return nil, err
	}
	return in.attributes.named(p.Name).clone(), nil
}

func (in *Instance) controlChangeAttribute(r *http.Request) (any, error) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, fmt.Errorf("read the body: %w", err)
	}
	var changed PredefinedAttribute
	err = in.changeAttribute(r.PathValue("name"), func(p *PredefinedAttribute) error {
		old := *p
		p.Values, p.Purposes = nil, nil
		if err := patch(data, p); err != nil {
			return err
		}
		p.Values, p.Purposes = listOver(p.Values, old.Values), listOver(p.Purposes, old.Purposes)
		changed = *p
		return nil
	})
	if err != nil {
		return nil, err
	}
	return changed.clone(), nil
}
