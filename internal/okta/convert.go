package okta

import (
	"cmp"

	"golang.org/x/text/unicode/norm"

	"connectroster/internal/plan"
)

// What is looked at of Okta's objects. Source: Okta Management API, User, Group,
// Application and AppUser. Any value may be null.
type (
	oktaUser struct {
		ID      string         `json:"id"`
		Status  string         `json:"status"`
		Moving  string         `json:"transitioningToStatus"`
		Profile map[string]any `json:"profile"` // never to be shown
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

// text gives an attribute of the profile that can be nothing but text.
func (u oktaUser) text(name string) (string, error) {
	switch v := u.Profile[name].(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	}
	return "", oddAnswer("a user whose " + name + " is no text")
}

// convertUser makes a person of a user, without groups. The username is the
// login until the app tells another. Names are NFC, as Amazon Connect wants
// them; status, login and the rest of the profile are taken as they are.
func convertUser(u oktaUser) (plan.Person, error) {
	login, err := u.text("login")
	first, err1 := u.text("firstName")
	last, err2 := u.text("lastName")
	switch err := cmp.Or(err, err1, err2); {
	case err != nil:
		return plan.Person{}, err
	case u.Status == "":
		return plan.Person{}, oddAnswer("a user without a status")
	case login == "":
		return plan.Person{}, oddAnswer("a user without a login")
	}
	return plan.Person{
		ID:        u.ID,
		Username:  login,
		FirstName: norm.NFC.String(first),
		LastName:  norm.NFC.String(last),
		Status:    plan.Status(u.Status),
		Profile:   u.Profile,
	}, nil
}

func convertGroup(g oktaGroup) plan.Group { return plan.Group{ID: g.ID, Name: g.Profile.Name} }
