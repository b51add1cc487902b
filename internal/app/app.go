// Package app is the program: the engine, the HTTP endpoints and the loops that
// drive them, built from a configuration and a backend. The daemon, the
// developer's playground and the tests all start the same App.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"connectroster/internal/config"
	"connectroster/internal/okta"
	"connectroster/internal/reconcile"
)

// Backend is what an App stores things in.
type Backend interface {
	reconcile.Queue
	reconcile.Facts
	reconcile.Index
	reconcile.Intents
	reconcile.Notes
	reconcile.Tombstones
	reconcile.Guard
	reconcile.Journal

	// Wake is signalled after somebody may have become due.
	Wake() <-chan struct{}

	// NextDue tells when the next waiting person is due. ErrNotFound means that
	// nobody waits.
	NextDue(ctx context.Context) (time.Time, error)

	// Backlog counts the people in the queue.
	Backlog(ctx context.Context) (reconcile.Backlog, error)

	// People lists people in the queue, ordered by person.
	People(ctx context.Context, query reconcile.WaitingQuery) ([]reconcile.Waiting, error)

	// Replay makes a dead letter due again. ErrNotFound means that the person is
	// none.
	Replay(ctx context.Context, person string) error

	// Drop gives a dead letter up for good. ErrNotFound means that the person is
	// none.
	Drop(ctx context.Context, person string) error

	// Ready reports why a request could not be stored now, or nil.
	Ready(ctx context.Context) error

	// Verify checks the journal of one person, or all of it for an empty id. A
	// *reconcile.BrokenChainError names the first bad entry.
	Verify(ctx context.Context, person string) error

	// Anchor ties the ends of all chains of the journal together.
	Anchor(ctx context.Context) error

	// Erase takes away what is personal of somebody from all that is kept. Open
	// counts what must stay until the outcome of a creation is known.
	Erase(ctx context.Context, person string) (reconcile.Erased, error)
}

// Config is what an App is built from.
type Config struct {
	Config  *config.Config
	Backend Backend
	Version string
	Log     *slog.Logger
	Now     func() time.Time
	Observe func(reconcile.Outcome) // called for every outcome; may be nil
}

// App is a running connectroster.
type App struct {
	cfg      *config.Config
	backend  Backend
	log      *slog.Logger
	now      func() time.Time
	version  string
	observe  func(reconcile.Outcome)
	hook     *okta.Hook
	client   *okta.Client // of Okta's API; nil in hook-only mode
	signed   renewal      // how client has signed in
	sites    []*site
	engine   *reconcile.Engine
	guard    *guard
	notifier *notifier
	tracker  tracker

	admin   *http.ServeMux
	servers []*endpoint
	loops   sync.WaitGroup
	cancel  context.CancelFunc // begin nothing more
	end     context.CancelFunc // and break off what has begun
	bell    bell
	poked   chan struct{} // asks for a catch-up now
	asked   chan struct{} // asks for a sweep now
	started time.Time
	counts  outcomes
	calls   calls
	watch   watch
	stopped <-chan struct{} // closed when the app begins to stop
}

// New wires an App. It opens no port and calls nobody, but asks the backend whose
// deployment it is.
func New(ctx context.Context, c Config) (*App, error) {
	a, err := wire(ctx, c, false)
	if err != nil {
		return nil, err
	}
	if err := a.claim(ctx); err != nil {
		return nil, err
	}
	return a, nil
}

// begin makes what every process has, and says how deliveries are taken.
func begin(c Config) (*App, okta.HookConfig) {
	a := &App{
		cfg: c.Config, backend: c.Backend, log: c.Log, now: c.Now, version: c.Version, observe: c.Observe,
		admin: http.NewServeMux(), poked: make(chan struct{}, 1), asked: make(chan struct{}, 1),
	}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	if a.now == nil {
		a.now = time.Now
	}
	a.calls.log = a.log
	a.guard = &guard{Guard: c.Backend}
	a.notifier = newNotifier(notifierConfig{Deployment: c.Config.Name, Webhook: c.Config.Webhook, CAFile: c.Config.Okta.CAFile, AllowLoopback: c.Config.AllowLoopback, Log: a.log, Now: a.now})
	return a, okta.HookConfig{
		Secrets: secrets(c.Config, a.now, a.log),
		Header:  c.Config.Okta.Hook.Header,
		Groups:  c.Config.Groups,
		MaxBody: int64(c.Config.Okta.Hook.MaxBody),
		Queue:   ranked{c.Backend, &owners{Index: c.Backend}},
		Facts:   !c.Config.APIMode(),
		Log:     a.log,
		Now:     a.now,
	}
}

// wire makes all parts of an App and calls nobody. Apart says that sweeps are
// another process's.
func wire(ctx context.Context, c Config, apart bool) (*App, error) {
	a, hook := begin(c)
	queue := hook.Queue.(ranked)
	engine := reconcile.Config{
		Settings: c.Config.Settings(),
		Queue:    queue, Index: queue.owners, Intents: c.Backend, Notes: c.Backend, Tombstones: c.Backend, Guard: a.guard, Journal: c.Backend,
		Scope: c.Config.Hash(), Limits: limits(c.Config.Guard), WaitForContacts: c.Config.WaitForContacts, SweepsApart: apart,
		Log: a.log, Now: a.now, Observe: a.settled, Progress: a.watch.progress, Notify: a.notifier.tell,
	}
	var err error
	if c.Config.APIMode() {
		err = a.useAPI(&engine, &hook)
	} else {
		engine.Directory = okta.NewFactDirectory(c.Backend, c.Config.Groups)
	}
	if err != nil {
		return nil, fmt.Errorf("set up Okta: %w", err)
	}
	if a.hook, err = okta.NewHook(hook); err != nil {
		return nil, fmt.Errorf("set up the hook: %w", err)
	}
	if a.sites, err = newSites(ctx, a); err != nil {
		return nil, fmt.Errorf("set up Amazon Connect: %w", err)
	}
	for _, s := range a.sites {
		engine.Instances = append(engine.Instances, reconcile.Site{Name: s.name, Instance: s.instance})
	}
	if a.engine, err = reconcile.New(engine); err != nil {
		return nil, err
	}
	return a, nil
}

// limits gives the limits of the guard as the configuration says.
func limits(g config.Guard) reconcile.Limits {
	return reconcile.Limits{
		Short: g.Short, Long: g.Long, HoldFor: g.HoldFor,
		StatusCount: g.StatusCount, StatusShare: float64(g.StatusShare), GroupCount: g.GroupCount,
		LongCount: g.LongCount, LongShare: float64(g.LongShare), MoveCount: g.MoveCount, MoveShare: float64(g.MoveShare),
	}
}

// useAPI makes Okta's API the directory and its System Log the feed.
func (a *App) useAPI(engine *reconcile.Config, hook *okta.HookConfig) error {
	keys, err := a.cfg.OktaCredentials()
	if err != nil {
		return err
	}
	client, err := okta.NewClient(oktaClient(a.cfg, keys, a.version, a.log))
	if err != nil {
		return err
	}
	directory, err := okta.NewDirectory(okta.DirectoryConfig{Client: client, Groups: a.cfg.Groups, App: a.cfg.Okta.App})
	if err != nil {
		return err
	}
	feed, err := okta.NewFeed(okta.FeedConfig{Client: client, Directory: directory, Log: a.log})
	if err != nil {
		return err
	}
	a.client, engine.Directory, engine.Feed = client, directory, feed
	a.signed = renewal{keys: keys, looked: a.now()}
	hook.Directory, hook.Poke = directory, func() { nudge(a.poked) }
	return nil
}

// HandleAdmin adds a route to the admin endpoint. Call it before Start.
func (a *App) HandleAdmin(pattern string, h http.Handler) { a.admin.Handle(pattern, h) }

// Start opens the endpoints and starts the loops. When it returns nil, hooks are
// acknowledged. A mistake that no waiting can mend, such as an instance whose
// identity type is not SAML, is an error and nothing is left running; a Connect
// that cannot be reached is not, since requests can be stored without it.
func (a *App) Start(ctx context.Context) error {
	a.started = a.now()
	// Okta gives up after three seconds and tries once more, so nothing may keep
	// the hook closed for longer.
	checking, cancelCheck := context.WithTimeout(ctx, 3*time.Second)
	defer cancelCheck()
	if err := a.check(checking); err != nil && reconcile.IsTerminal(err) {
		a.close()
		return err
	} else if err != nil {
		a.log.Error("cannot read the Amazon Connect instance; requests are stored and will be worked on later", "error", err)
	}
	if err := a.listen(ctx); err != nil {
		a.close()
		return err
	}
	looking, end := context.WithCancel(context.WithoutCancel(ctx))
	running, cancel := context.WithCancel(looking)
	a.cancel, a.end, a.stopped = cancel, end, running.Done()
	for _, s := range a.servers {
		a.loops.Go(s.serve)
	}
	a.loops.Go(func() { a.notifier.run(running) })
	a.loops.Go(func() { a.relay(running) })
	if a.cfg.APIMode() {
		a.loops.Go(func() { a.renewals(running) })
	}
	a.loops.Go(func() { a.work(running, looking) })
	a.log.Info("started", "name", a.cfg.Name, "policy", string(a.cfg.Policy), "mode", a.cfg.Mode(),
		"listen", a.Addr(), "admin", a.AdminAddr(), "socket", a.cfg.Socket, "version", a.version)
	if !a.cfg.APIMode() {
		a.log.Warn("hook-only mode: there is no Okta API access, so lost events are not found, and the agents of leavers are not removed")
	}
	return nil
}

// patience is how long a stop lets looks at people go on that have begun. One
// that is broken off leaves nothing behind but an open intent, which costs the
// next process some seconds to resolve.
const patience = 5 * time.Second

// Stop stops taking requests, lets those that are being answered or worked on
// finish, and waits for all goroutines. ctx bounds the wait for answers.
func (a *App) Stop(ctx context.Context) error {
	a.cancel()
	breakOff := time.AfterFunc(patience, a.end)
	defer breakOff.Stop()
	var errs []error
	for _, s := range a.servers {
		errs = append(errs, s.shutdown(ctx))
	}
	a.loops.Wait()
	a.end()
	a.hangUp()
	a.log.Info("stopped")
	return errors.Join(errs...)
}

// close gives up what New and Start have opened, where nothing is served yet.
func (a *App) close() {
	a.hangUp()
	for _, s := range a.servers {
		_ = s.listener.Close()
	}
}

// Addr is where hooks are taken, AdminAddr where metrics are; both are known
// after Start.
func (a *App) Addr() string { return a.servers[0].listener.Addr().String() }

// AdminAddr is where metrics are served.
func (a *App) AdminAddr() string { return a.servers[1].listener.Addr().String() }

// hangUp drops what connections are left.
func (a *App) hangUp() {
	for _, s := range a.sites {
		s.instance.Close()
	}
	if a.client != nil {
		a.client.Close()
	}
}

// secrets gives the valid hook secrets at every delivery, so that a secret can be
// changed while the program runs.
func secrets(c *config.Config, now func() time.Time, log *slog.Logger) func() []string {
	return reread(c.HookSecrets(), c.ResolveSecrets, now, log)
}

const (
	// secretsAge is how long secrets are taken as they are.
	secretsAge = 5 * time.Second
	// secretsWithin bounds how long a delivery waits for them to be read again: Okta
	// waits three seconds for all of it, and storing may take two.
	secretsWithin = 500 * time.Millisecond
)

// reread gives secrets that are read again at most once in secretsAge. While they
// cannot be read, or not in time, the last good ones stay valid.
func reread(last []string, read func() ([]string, error), now func() time.Time, log *slog.Logger) func() []string {
	var mu sync.Mutex
	var reading chan struct{} // closed when the reading is over; nil: nobody reads
	at := now()               // when the last one began
	begin := func() {
		began, done := now(), make(chan struct{})
		reading = done
		go func() {
			defer close(done)
			valid, err := read()
			mu.Lock()
			defer mu.Unlock()
			at, reading = began, nil
			if err != nil {
				log.Error("cannot read the hook secrets again; the last ones stay valid", "error", err)
				return
			}
			last = valid
		}()
	}
	return func() []string {
		mu.Lock()
		if age := now().Sub(at); age >= 0 && age < secretsAge {
			defer mu.Unlock()
			return last
		}
		if reading == nil {
			begin()
		}
		done := reading
		mu.Unlock()
		select {
		case <-done:
		case <-time.After(secretsWithin):
		}
		mu.Lock()
		defer mu.Unlock()
		return last
	}
}
