package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Guard says how much may be taken from people without somebody's approval, in
// each instance. Where it names a number and a share, the larger of the two
// counts, and a share is of the agents that this deployment owns there.
type Guard struct {
	// How many agents may be suspended because their owners are suspended or
	// deactivated in Okta or gone from it, or be deleted, within `short`: 1 to 1000.
	StatusCount int `yaml:"status_count" default:"5" example:"10"`

	// Or which share of the agents: 0.1% to 50%.
	StatusShare Share `yaml:"status_share" default:"10%" example:"5%"`

	// How many agents may be suspended because their owners left one group, within
	// `short`: 1 to 1000.
	GroupCount int `yaml:"group_count" default:"5" example:"10"`

	// How many may be suspended or deleted for whatever reason, within `long`: 1 to
	// 1000.
	LongCount int `yaml:"long_count" default:"5" example:"10"`

	// Or which share of the agents: 0.1% to 50%.
	LongShare Share `yaml:"long_share" default:"20%" example:"10%"`

	// How many may get another routing profile, other security profiles or another
	// username, within `short`: 1 to 1000.
	MoveCount int `yaml:"move_count" default:"5" example:"20"`

	// Or which share of the agents: 0.1% to 90%.
	MoveShare Share `yaml:"move_share" default:"30%" example:"50%"`

	// The length of the short window, 1m to 24h.
	Short time.Duration `yaml:"short" default:"15m" example:"30m"`

	// The length of the long window, 1h to 30d, and not less than `short`.
	Long time.Duration `yaml:"long" default:"24h" example:"2d"`

	// How long something that waits may be approved, 10m to 30d. Then it is worked
	// out and waits anew.
	HoldFor time.Duration `yaml:"hold_for" default:"24h" example:"3d"`

	// Allows values with which the guard stops hardly any mistake: more than 50
	// people, more than 25% by status, 30% in all or 50% of moves, a short window
	// under 5m, a long one under 12h.
	IUnderstand bool `yaml:"i_understand" default:"false" example:"true"`
}

// Share is a part of a whole, from 0 to 1.
type Share float64

func (s *Share) set(text string) complaint {
	number, percent := strings.CutSuffix(text, "%")
	n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || n != n {
		return complaint{"want a share such as 10% or 0.1", ""}
	}
	if percent {
		n /= 100
	} else if n >= 1 {
		return complaint{"is the whole or more", fmt.Sprintf("did you mean %s%%?", text)}
	}
	*s = Share(n)
	return complaint{}
}

// percent writes a share for people.
func (s Share) percent() string { return strconv.FormatFloat(float64(s)*100, 'f', -1, 64) + "%" }

// checkGuard keeps the guard from being switched off, and from being as good as
// off by mistake.
func (r *reader) checkGuard(g Guard) {
	const path = "guard."
	wide := false
	judge := func(key string, fits, narrow bool, want, most string) {
		at := path + key
		if r.bad[at] {
			return
		}
		switch {
		case !fits:
			r.test(at, complaint{"want " + want, "the guard cannot be switched off"})
		case !narrow:
			wide = true
			if !g.IUnderstand {
				r.test(at, complaint{"lets many mistakes pass: " + most, "write i_understand: true under guard if that is meant"})
			}
		}
	}
	for _, count := range []struct {
		key string
		n   int
	}{{"status_count", g.StatusCount}, {"group_count", g.GroupCount}, {"long_count", g.LongCount}, {"move_count", g.MoveCount}} {
		judge(count.key, count.n >= 1 && count.n <= 1000, count.n <= 50, "1 to 1000", "more than 50 people")
	}
	for _, share := range []struct {
		key          string
		share        Share
		most, narrow Share
	}{{"status_share", g.StatusShare, 0.5, 0.25}, {"long_share", g.LongShare, 0.5, 0.3}, {"move_share", g.MoveShare, 0.9, 0.5}} {
		judge(share.key, share.share >= 0.001 && share.share <= share.most, share.share <= share.narrow,
			"0.1% to "+share.most.percent(), "more than "+share.narrow.percent()+" of all agents")
	}
	judge("short", g.Short >= time.Minute && g.Short <= 24*time.Hour, g.Short >= 5*time.Minute, "1m to 24h", "the window is shorter than 5m")
	judge("long", g.Long >= time.Hour && g.Long <= 30*24*time.Hour, g.Long >= 12*time.Hour, "1h to 30d", "the window is shorter than 12h")
	if g.Long < g.Short && !r.bad[path+"short"] {
		at := path + "long"
		if r.values[at] == nil {
			at = path + "short"
		}
		r.test(at, complaint{"the long window is shorter than the short one", ""})
	}
	if g.HoldFor < 10*time.Minute || g.HoldFor > 30*24*time.Hour {
		r.test(path+"hold_for", complaint{"want 10m to 30d", ""})
	}
	if g.IUnderstand && !wide && r.ok(path+"i_understand") && !r.partial {
		r.warn(path+"i_understand", "is of no use: no value of the guard needs it", "leave it out, so that a later mistake is noticed")
	}
}
