package config

import (
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"time"
)

// Names are written as a list or as text with commas.
type Names []string

func (n *Names) set(text string) complaint {
	*n = nil
	for name := range strings.SplitSeq(text, ",") {
		if name = strings.TrimSpace(name); name == "" {
			return complaint{"has a comma with nothing before or after it", ""}
		}
		*n = append(*n, name)
	}
	return complaint{}
}

// Size is a number of bytes.
type Size int64

func (s *Size) set(text string) complaint {
	const wrong = "want a size such as 6MiB, 512KiB or a number of bytes"
	unit, digits := int64(1), text
	for suffix, bytes := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
		if before, ok := strings.CutSuffix(text, suffix); ok {
			unit, digits = bytes, strings.TrimSpace(before)
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return complaint{wrong, ""}
	}
	if n < 0 || n > (1<<62)/unit {
		return complaint{"is out of range; " + wrong, ""}
	}
	*s = Size(n * unit)
	return complaint{}
}

// WorkLimit is a number of seconds after a contact. Zero means without limit,
// as it does in Amazon Connect.
type WorkLimit int

// maxWorkLimit is in seconds. Source: Amazon Connect API, UserPhoneConfig.
const maxWorkLimit = 2_000_000

func (w *WorkLimit) set(text string) complaint {
	if text == "unlimited" {
		*w = 0
		return complaint{}
	}
	d, fault := duration(text)
	switch {
	case fault.hint != "":
		return fault
	case fault.problem != "":
		return complaint{"want a duration such as 30s, or unlimited", ""}
	case d == 0:
		return complaint{"0 means without limit in Amazon Connect", "write unlimited if that is meant, or at least 1s"}
	case d%time.Second != 0:
		return complaint{"want whole seconds", ""}
	case d > maxWorkLimit*time.Second:
		return complaint{fmt.Sprintf("is more than %ds, the most that Amazon Connect takes", maxWorkLimit), ""}
	}
	*w = WorkLimit(d / time.Second)
	return complaint{}
}

// duration reads a duration that is not negative.
func duration(text string) (time.Duration, complaint) {
	if n, err := strconv.Atoi(text); err == nil && n > 0 {
		return 0, complaint{"has no unit", fmt.Sprintf("did you mean %ds?", n)}
	}
	const wrong = "want a duration such as 30s, 5m or 2d"
	days := time.Duration(0)
	if whole, rest, ok := strings.Cut(text, "d"); ok {
		n, err := strconv.ParseUint(whole, 10, 16)
		if err != nil {
			return 0, complaint{wrong, ""}
		}
		if days, text = time.Duration(n)*24*time.Hour, rest; rest == "" {
			return days, complaint{}
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || strings.HasPrefix(text, "+") || d > math.MaxInt64-days {
		return 0, complaint{wrong, ""}
	}
	return days + d, complaint{}
}

// TimeOfDay is a time on the clock, in minutes after midnight.
type TimeOfDay int

func (t *TimeOfDay) set(text string) complaint {
	const wrong = "want a time of day from 00:00 to 23:59, such as 02:30"
	if text == "24:00" {
		return complaint{wrong, "did you mean 00:00?"}
	}
	at, err := time.Parse("15:04", text)
	if err != nil {
		return complaint{wrong, ""}
	}
	*t = TimeOfDay(at.Hour()*60 + at.Minute())
	if t.String() != text {
		return complaint{wrong, "did you mean " + t.String() + "?"}
	}
	return complaint{}
}

// String gives the time of day as in 02:30.
func (t TimeOfDay) String() string { return fmt.Sprintf("%02d:%02d", t/60, t%60) }

// Next gives the first time after now that the clock of now's location shows this
// time of day. On a day on which that clock leaves it out, it is an hour off.
func (t TimeOfDay) Next(now time.Time) time.Time {
	year, month, day := now.Date()
	for {
		at := time.Date(year, month, day, int(t/60), int(t%60), 0, 0, now.Location())
		if at.After(now) {
			return at
		}
		day++
	}
}

// Level is the least importance of a log line. It is a [slog.Leveler].
type Level slog.Level

// Level gives the level as package slog knows it.
func (l Level) Level() slog.Level { return slog.Level(l) }

func (l *Level) set(text string) complaint {
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
		if strings.ToLower(level.String()) == text {
			*l = Level(level)
			return complaint{}
		}
	}
	return choice(text, "debug", "info", "warn", "error")
}

// Format is the form of the log.
type Format string

// The forms of the log.
const (
	Text Format = "text"
	JSON Format = "json"
)

func (f *Format) set(text string) complaint {
	if text != string(Text) && text != string(JSON) {
		return choice(text, string(Text), string(JSON))
	}
	*f = Format(text)
	return complaint{}
}

// choice complains of a word that is none of those to choose from.
func choice(word string, among ...string) complaint {
	c := complaint{problem: "want " + strings.Join(among[:len(among)-1], ", ") + " or " + among[len(among)-1]}
	if near := nearest(word, among); near != "" {
		c.hint = "did you mean " + near + "?"
	}
	return c
}
