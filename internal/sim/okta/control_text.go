package okta

import _ "embed"

// ControlRoutes lists the routes below /_sim/, for people.
//
//go:embed control.txt
var ControlRoutes string
