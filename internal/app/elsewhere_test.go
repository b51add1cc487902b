package app_test

import (
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectroster/internal/app"
	"connectroster/internal/config"
	"connectroster/internal/plan"
	simconnect "connectroster/internal/sim/connect"
)

// TestElsewhere asks by one process for what another one does, as commands do on a
// table in AWS where the functions work: each person is told of, and how it ended, also
// where the clock of the command is far ahead.
func TestElsewhere(t *testing.T) {
	t.Parallel()
	w := syncing(t, setup{})
	done, waiting, dead, refused := w.hire(1, agentGroup), w.hire(2, agentGroup), w.hire(3, agentGroup), w.hire(4)
	w.start()
	w.ready()
	w.converges(30 * time.Second)
	_, err := w.instance.AddAgent(simconnect.Agent{Username: refused.Login, Tags: map[string]string{"connectroster:deployment": "another", "connectroster:owner": "00uOfAnother"}})
	must(t, err)
	w.join(refused)
	w.quiet()

	cfg, err := config.Parse(filepath.Join(w.dir, "connectroster.yaml"), []byte(w.yaml()), func(name string) string { return w.env[name] })
	must(t, err)
	other, err := app.New(t.Context(), app.Config{
		Config: cfg, Backend: w.store, Version: "test", Log: slog.New(w.log),
		Now: func() time.Time { return time.Now().Add(10 * time.Minute) },
	})
	must(t, err)
	command := app.NewOffline(other)
	defer command.Stop()
	must(t, command.Read(t.Context())) // and no workers
	w.api = &http.Client{Transport: command, Timeout: time.Minute}

	order := func(what, person string) app.Settled {
		t.Helper()
		outcomes, summary := w.stream("/v1/"+what, w.asJSON(map[string][]string{"people": {person}}))
		if len(outcomes) != 1 || summary.Total != 1 || summary.Results[outcomes[person].Result] != 1 {
			t.Fatalf("%s: %+v, %+v", what, outcomes, summary)
		}
		return outcomes[person]
	}
	if got := order("release", done.ID); got.Result != app.ResultDone || len(got.Actions) != 1 || got.Actions[0] != plan.Release {
		t.Errorf("who was released: %+v", got)
	}
	if got := order("release", done.ID); got.Result != app.ResultDone || len(got.Actions) != 0 {
		t.Errorf("who was released already: %+v", got)
	}
	if got := order("adopt", refused.ID); got.Result != app.ResultRefused || got.Reason == "" {
		t.Errorf("who has an agent of another deployment: %+v", got)
	}
	must(t, w.instance.AddFaults(simconnect.Fault{Operation: "SearchUsers", Status: http.StatusForbidden, Code: "AccessDeniedException", Times: -1}))
	if got := order("adopt", refused.ID); got.Result != app.ResultWaiting || !strings.Contains(got.Reason, "connect:SearchUsers") {
		t.Errorf("who was refused before, and now AWS denies the look: %+v", got)
	}
	w.instance.ClearFaults()
	must(t, w.instance.AddFaults(simconnect.Fault{Operation: "UntagResource", Status: http.StatusForbidden, Code: "AccessDeniedException", Times: -1}))
	if got := order("release", waiting.ID); got.Result != app.ResultWaiting || !strings.Contains(got.Reason, "connect:UntagResource") {
		t.Errorf("whose change AWS denies: %+v", got)
	}
	w.instance.ClearFaults()
	must(t, w.instance.AddFaults(simconnect.Fault{Operation: "UntagResource", Status: http.StatusBadRequest, Code: "InvalidParameterException", Times: -1}))
	if got := order("release", dead.ID); got.Result != app.ResultDead || got.Reason == "" {
		t.Errorf("whose change Amazon Connect refuses: %+v", got)
	}
}
