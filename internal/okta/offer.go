package okta

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"connectroster/internal/plan"
)

// Offer is what an org has that a configuration may name.
type Offer struct {
	Groups []plan.Group
	Apps   []string // labels; nil where the credential may not list apps
}

// FindOffer lists the groups and the apps of an org, ordered by name. It takes one
// call for each 200 of them. A credential that may not list apps gives none of
// them, and no error: whoever has them names theirs.
func FindOffer(ctx context.Context, c *Client) (Offer, error) {
	groups, err := list(ctx, c, apiCall{
		what: "list the groups", class: classGroups, url: c.path(url.Values{"limit": {strconv.Itoa(groupPage)}}, "groups"), patience: patient,
	}, func(g oktaGroup) string { return g.ID }, nil)
	if err != nil {
		return Offer{}, err
	}
	var out Offer
	for _, g := range groups {
		out.Groups = append(out.Groups, convertGroup(g))
	}
	slices.SortFunc(out.Groups, func(a, b plan.Group) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	apps, err := list(ctx, c, apiCall{
		what: "list the apps", class: classApps, url: c.path(url.Values{"limit": {strconv.Itoa(appPage)}}, "apps"), patience: patient,
	}, func(a oktaApp) string { return a.ID }, nil)
	var e *APIError
	switch {
	case errors.As(err, &e) && e.Status == http.StatusForbidden:
		return out, nil
	case err != nil:
		return Offer{}, err
	}
	for _, a := range apps {
		out.Apps = append(out.Apps, a.Label)
	}
	slices.Sort(out.Apps)
	return out, nil
}
