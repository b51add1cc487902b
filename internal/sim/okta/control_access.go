package okta

import (
	"net/http"
)

// handleFunc registers a control endpoint.
type handleFunc func(pattern string, serve func(*http.Request) (any, error))

// controlAccess serves API clients, admin roles, nonces and group rules.
func (o *Org) controlAccess(handle handleFunc) {
	handle("GET /_sim/clients", func(*http.Request) (any, error) { return o.Clients(), nil })
	handle("POST /_sim/clients", func(r *http.Request) (any, error) {
		n, err := read[NewClient](r)
		if err != nil {
			return nil, err
		}
		return o.AddClient(n)
	})
	handle("PATCH /_sim/clients/{id}", func(r *http.Request) (any, error) {
		b, err := read[struct{ Scopes, Roles []string }](r)
		if err != nil {
			return nil, err
		}
		return o.ChangeClient(r.PathValue("id"), b.Scopes, b.Roles)
	})
	handle("DELETE /_sim/clients/{id}", func(r *http.Request) (any, error) { return object{}, o.RemoveClient(r.PathValue("id")) })
	handle("DELETE /_sim/clients/{id}/tokens", func(r *http.Request) (any, error) { return object{}, o.RevokeTokens(r.PathValue("id")) })
	handle("POST /_sim/clients/{id}/keys", func(r *http.Request) (any, error) {
		k, err := read[ClientKey](r)
		if err != nil {
			return nil, err
		}
		return o.AddClientKey(r.PathValue("id"), k)
	})
	handle("DELETE /_sim/clients/{id}/keys/{kid}", func(r *http.Request) (any, error) {
		return o.RemoveClientKey(r.PathValue("id"), r.PathValue("kid"))
	})
	handle("POST /_sim/token-roles", func(r *http.Request) (any, error) {
		b, err := read[struct {
			Token string
			Roles []string
		}](r)
		if err != nil {
			return nil, err
		}
		return object{}, o.SetTokenRoles(b.Token, b.Roles...)
	})
	handle("POST /_sim/rotate-nonce", func(*http.Request) (any, error) { o.RotateNonce(); return object{}, nil })
	handle("POST /_sim/rules", func(r *http.Request) (any, error) {
		b, err := read[struct{ Name, Expression, Group string }](r)
		if err != nil {
			return nil, err
		}
		return o.AddRule(b.Name, b.Expression, b.Group)
	})
	handle("POST /_sim/rules/{rule}/{switch}", func(r *http.Request) (any, error) {
		verb := r.PathValue("switch")
		if verb != "on" && verb != "off" {
			return nil, notFound(verb, "Switch")
		}
		return object{}, o.SwitchRule(r.PathValue("rule"), verb == "on")
	})
	handle("DELETE /_sim/rules/{rule}", func(r *http.Request) (any, error) {
		return object{}, o.DeleteRule(r.PathValue("rule"), r.URL.Query().Get("removeUsers") == "true")
	})
}

// controlFaults serves the fault plan.
func (o *Org) controlFaults(handle handleFunc) {
	handle("GET /_sim/faults", func(*http.Request) (any, error) { return o.Faults(), nil })
	handle("POST /_sim/faults", func(r *http.Request) (any, error) {
		list, err := read[oneOrMany](r)
		if err != nil {
			return nil, err
		}
		if err := o.AddFaults(list...); err != nil {
			return nil, err
		}
		return o.Faults(), nil
	})
	handle("DELETE /_sim/faults", func(*http.Request) (any, error) { o.ClearFaults(); return object{}, nil })
}
