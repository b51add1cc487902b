package okta

// ByHandSections are the texts that docs/okta-by-hand.md must have too.
func ByHandSections() []string {
	return []string{byHandGroup, byHandApp, byHandHook, byHandFilter, byHandVerify, byHandSecret, byHandRemove, byHandScopes}
}

// NamePrefix is the text with which all names begin that a regular expression
// matches.
var NamePrefix = namePrefix

// Org is the address of the org.
func (c *Client) Org() string { return c.org.String() }
