package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"connectroster/internal/app"
	"connectroster/internal/awsstore"
	"connectroster/internal/config"
)

// The variables of the environment, which deploy/cdk sets.
const (
	handlerVariable = "_HANDLER"
	configVariable  = "CONNECTROSTER_CONFIG"  // the path of the configuration
	workersVariable = "CONNECTROSTER_WORKERS" // how many processes call Amazon Connect at the same time
)

// duty is one of the functions that this program can be: all in which it differs from the
// others.
type duty struct {
	handle func(*parts, context.Context, []byte) ([]byte, error)
	// load reads the configuration, with the secrets that the function needs: its role
	// lets it have no others (deploy/cdk).
	load func(path string, getenv func(string) string) (*config.Config, error)
	// wire makes as much of the app as it has to do with.
	wire func(context.Context, app.Config) (*app.Functions, error)
	// hurried is the one for whose answer Okta waits, and not for long; what is answered 503
	// it sends once more.
	hurried bool
}

var duties = map[string]duty{
	"hook":    {(*parts).hook, config.LoadForHook, receiver, true},
	"work":    {(*parts).work, config.Load, app.NewFunctions, false},
	"catchup": {(*parts).catchUp, config.Load, app.NewFunctions, false},
	"sweep":   {(*parts).sweep, config.Load, app.NewFunctions, false},
	"wake":    {(*parts).wake, config.LoadForStore, receiver, false},
}

func receiver(_ context.Context, c app.Config) (*app.Functions, error) { return app.NewReceiver(c) }

// program is one function. It is called by one event at a time.
type program struct {
	duty
	path    string // of the configuration
	workers int
	name    string // of the deployment
	log     *slog.Logger
	metrics io.Writer
	now     func() time.Time

	calls sync.Mutex // held while an event is handled
	parts *parts     // nil until the first event
	ended time.Time  // when the last event was handled
}

// parts are what an event is handled with. Making them may need secrets, and so a
// call over the network.
type parts struct {
	*app.Functions
	name    string
	store   *awsstore.Store
	log     *slog.Logger
	metrics io.Writer
	now     func() time.Time

	told app.Tally // what was counted in metrics already
}

// load reads the environment and the configuration, and calls nobody: a mistake in
// them is told before the first event.
func load(getenv func(string) string) (*program, error) {
	handler := getenv(handlerVariable)
	d, known := duties[handler]
	if !known {
		return nil, fmt.Errorf("the handler is %q (%s): want hook, work, catchup, sweep or wake", handler, handlerVariable)
	}
	p := &program{duty: d, path: getenv(configVariable), workers: 1, metrics: os.Stdout, now: wall}
	if p.path == "" {
		return nil, fmt.Errorf("%s is not set: it must be the path of the configuration", configVariable)
	}
	if text := getenv(workersVariable); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%s is %q: want the number of workers that run at the same time, 1 or more", workersVariable, text)
		}
		p.workers = n
	}
	cfg, err := config.LoadForStore(p.path, getenv)
	if err != nil {
		return nil, err
	}
	if at := cfg.Store.AWS; at.Table == "" || at.Queue == "" {
		return nil, fmt.Errorf("%s: store.aws is missing, or its queue and leavers_queue are: functions have no other store, and nothing else that wakes workers", p.path)
	}
	p.name, p.log = cfg.Name, logger(cfg.Log.Level)
	return p, nil
}

// wall is the time of day alone. Go measures ages by a second clock, which stands still
// while Lambda freezes the process between two events, so that what is an hour old
// would count as new.
func wall() time.Time { return time.Now().Round(0) }

// Invoke handles one event. It implements lambda.Handler.
func (p *program) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	p.calls.Lock()
	defer p.calls.Unlock()
	ctx, cancel := soon(ctx, p.now())
	defer cancel()
	if p.parts != nil && p.now().Sub(p.ended) > restFor {
		p.parts.Close()
	}
	defer func() { p.ended = p.now() }()
	if err := p.ready(ctx); err != nil {
		p.log.Error("not ready", "error", err)
		if p.hurried {
			return unavailable(payload)
		}
		return nil, err
	}
	out, err := p.handle(p.parts, ctx, payload)
	p.parts.tally()
	return out, err
}

// restFor is how long connections may lie between two events. A process that was frozen
// has not seen that the other side has hung up, and a CreateUser that is sent into such
// a connection cannot be sent again: nobody knows whether it came through. The calls of
// the store are repeated.
const restFor = 5 * time.Second

// soon ends a context a little before Lambda ends the process, so that what was
// begun can be put in order.
func soon(ctx context.Context, now time.Time) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, deadline.Add(-min(maxMargin, deadline.Sub(now)/5)))
}

// maxMargin is how long putting in order what was begun may take.
const maxMargin = 3 * time.Second

// ready makes the parts, or has those that there are sign in to Okta anew where the
// credentials have changed. Hook secrets change without that.
func (p *program) ready(ctx context.Context) error {
	if p.parts == nil {
		parts, err := p.open(ctx)
		if err != nil {
			return err
		}
		p.parts = parts
		return nil
	}
	p.parts.Renew()
	return nil
}

func (p *program) open(ctx context.Context) (*parts, error) {
	cfg, err := p.load(p.path, os.Getenv)
	if err != nil {
		return nil, err
	}
	share(cfg, p.workers)
	for _, w := range cfg.Warnings {
		p.log.Warn("configuration", "warning", w.String())
	}
	store, err := awsstore.Open(ctx, p.storeOf(cfg))
	if err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	functions, err := p.wire(ctx, app.Config{Config: cfg, Backend: store, Version: version(), Log: p.log, Now: p.now})
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	s := &parts{Functions: functions, name: cfg.Name, store: store, log: p.log, metrics: p.metrics, now: p.now}
	if p.hurried {
		return s, nil // what it stores nobody works on whose store it is not
	}
	if err := s.Claim(ctx); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return s, nil
}

// share leaves each of the workers its part of what Amazon Connect takes. A sweep takes
// as much as one of them, of the operations that list and search: a look at one person
// uses those at the start of a process and where a username is taken, so together they
// stay within the rate but for a moment, after which a throttled call is repeated.
func share(cfg *config.Config, workers int) {
	each := func(c *config.Connect) {
		c.Rate /= float64(workers)
		c.Burst = min(2, max(1, c.Burst/workers))
	}
	each(&cfg.Connect)
	for name, c := range cfg.Several {
		each(&c)
		cfg.Several[name] = c
	}
}

// storeOf says where the deployment keeps things, and what wakes its workers.
func (p *program) storeOf(cfg *config.Config) awsstore.Config {
	at := cfg.Store.AWS
	c := awsstore.Config{
		Table: at.Table, Region: at.Region, Queue: at.Queue, LeaversQueue: at.LeaversQueue, Endpoint: at.Endpoint,
		AllowLoopback: cfg.AllowLoopback, Skew: clockSkew, Log: p.log, Now: p.now,
	}
	if !p.hurried {
		c.Timeout, c.Attempt = 15*time.Second, 5*time.Second
	}
	return c
}

// clockSkew is how far apart the clocks of two machines of AWS may be; they are kept
// within a millisecond.
const clockSkew = time.Second

// stop waits for the event that is being handled, whose context has ended, and
// gives back what is left. Lambda ends the process half a second after it said so.
func (p *program) stop() {
	p.calls.Lock()
	if p.parts == nil {
		return
	}
	if err := p.parts.store.Close(); err != nil {
		p.log.Error("cannot give back the people who were being looked at; their leases will end", "error", err)
	}
	p.log.Info("stopped")
}

// version is what the build knows of its origin.
func version() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "devel-" + s.Value[:12]
		}
	}
	return "devel"
}

// release is set by the linker for released programs.
var release = ""

// rounded makes a number of seconds fit to be read.
func rounded(d time.Duration) float64 { return math.Round(d.Seconds()*1000) / 1000 }
