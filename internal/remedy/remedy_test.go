package remedy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// A code on an error changes neither its text nor what it is.
func TestMark(t *testing.T) {
	t.Parallel()
	cause := errors.New("the disk is full")
	err := fmt.Errorf("store the request: %w", Mark("database_full", cause))
	if err.Error() != "store the request: the disk is full" || !errors.Is(err, cause) || CodeOf(err) != "database_full" {
		t.Errorf("%v %q", err, CodeOf(err))
	}
	if again := Mark("database_unwritable", err); CodeOf(again) != "database_unwritable" {
		t.Errorf("the last one counts, and it is %q", CodeOf(again))
	}
	if err := Mark("", cause); !errors.Is(err, cause) || CodeOf(err) != "" {
		t.Errorf("%v %q", err, CodeOf(err))
	}
	if err := Mark("database_full", nil); err != nil {
		t.Errorf("no error became %v", err)
	}
	if CodeOf(nil) != "" || CodeOf(cause) != "" {
		t.Error("a code from nowhere")
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	for written, want := range map[string]string{
		"okta_hook": "okta_hook", "Okta Hook": "okta_hook", " OKTA-HOOK ": "okta_hook", "connectrosterdown": "ConnectrosterDown",
		"": "", "okta_hoo": "", "nothing": "",
	} {
		if e, ok := Find(written); e.Code != want || ok != (want != "") {
			t.Errorf("%q finds %q", written, e.Code)
		}
	}
	if e := For("no_such_code"); e.Do != "" {
		t.Errorf("%+v", e)
	}
}

func TestNear(t *testing.T) {
	t.Parallel()
	for written, want := range map[string][]string{
		"exists":        {"exists_not_ours", "exists_elsewhere"},
		"hook_endpoint": {"hook_endpoint"},
		"xyzzy":         nil,
		"":              nil,
	} {
		if got := Near(written); !slices.Equal(got, want) {
			t.Errorf("%q is near %q, want %q", written, got, want)
		}
	}
	if got := Near("quota_of_users"); !slices.Contains(got, "connect_quota") {
		t.Errorf("a part of the words does not count: %q", got)
	}
}

// Whoever is told by an alarm to look at a log is told where that is.
func TestAlarmsNameLogs(t *testing.T) {
	t.Parallel()
	named := 0
	for _, e := range alarms {
		if !strings.Contains(e.Do, "log") {
			continue
		}
		named++
		if !strings.Contains(e.Do, "/connectroster/NAME/") {
			t.Errorf("%s: %s: where is that log?", e.Code, e.Do)
		}
	}
	if named < 10 {
		t.Errorf("only %d alarms lead to a log", named)
	}
}
