package app

import (
	"connectroster/internal/plan"
	"connectroster/internal/remedy"
)

// remedyFor gives what to do about a refusal.
func remedyFor(code plan.Code) string { return remedy.For(string(code)).Do }
