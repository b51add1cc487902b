package okta

import (
	"golang.org/x/text/unicode/norm"

	"connectroster/internal/plan"
)

// What is looked at of Okta's objects. Source: Okta Management API, User, Group,
// Application and AppUser. Any value may be null.
type (
	oktaUser struct {
		ID      string `json:"id"`
		Status  string `json:"status"`
		Moving  string `json:"transitioningToStatus"`
		Profile struct {
			Login     string `json:"login"`
			FirstName string `json:"firstName"`
			LastName  string `json:"lastName"`
		} `json:"profile"`
	}

	oktaGroup struct {
		ID      string `json:"id"`
		Type    string `json:"type"`
		Profile struct {
			Name string `json:"name"`
		} `json:"profile"`
		Embedded struct {
			Stats struct {
				Users *int `json:"usersCount"` // nil: not told
			} `json:"stats"`
		} `json:"_embedded"`
	}

	oktaApp struct {
		ID    string `json:"id"`
		Label string `json:"label"`
	}

	oktaAppUser struct {
		ID          string `json:"id"` // of the user
		Credentials struct {
			UserName string `json:"userName"`
		} `json:"credentials"`
	}
)

// typeBuiltIn is the type of Okta's own groups, of which Everyone is one.
const typeBuiltIn = "BUILT_IN"

// convertUser makes a person of a user, without groups. The username is the
// login until the app tells another. Names are NFC, as Amazon Connect wants
// them; status and login are taken as they are.
func convertUser(u oktaUser) (plan.Person, error) {
	switch {
	case u.Status == "":
		return plan.Person{}, oddAnswer("a user without a status")
	case u.Profile.Login == "":
		return plan.Person{}, oddAnswer("a user without a login")
	}
	return plan.Person{
		ID:        u.ID,
		Username:  u.Profile.Login,
		FirstName: norm.NFC.String(u.Profile.FirstName),
		LastName:  norm.NFC.String(u.Profile.LastName),
		Status:    plan.Status(u.Status),
	}, nil
}

func convertGroup(g oktaGroup) plan.Group { return plan.Group{ID: g.ID, Name: g.Profile.Name} }
