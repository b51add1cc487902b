package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"connectroster/internal/config"
	"connectroster/internal/connect"
	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

// site is one Amazon Connect instance of the configuration.
type site struct {
	name     string // as the configuration calls it; empty where there is one
	instance *connect.Instance
	rate     float64
	burst    int
	info     atomic.Pointer[connect.Info] // nil until it was read
	fault    atomic.Pointer[string]       // why it could not be read last
}

// newSites makes a client for each instance of the configuration.
func newSites(ctx context.Context, a *App) ([]*site, error) {
	var out []*site
	for _, c := range a.cfg.Instances() {
		settings := connectConfig(a.cfg, c)
		settings.Observe, settings.Log, settings.Now = a.calls.add, a.log, a.now
		instance, err := connect.New(ctx, settings)
		if err != nil {
			return nil, about(c.Name, err)
		}
		out = append(out, &site{name: c.Name, instance: instance, rate: c.Rate, burst: c.Burst})
	}
	return out, nil
}

// connectConfig says how an instance of the configuration is worked on.
func connectConfig(cfg *config.Config, c config.Connection) connect.Config {
	return connect.Config{
		Instance:      c.Instance,
		Region:        c.Region,
		Profile:       c.Profile,
		RoleARN:       c.RoleARN,
		ExternalID:    c.ExternalID,
		Label:         c.Name,
		Reads:         reads(cfg.Settings(), c.Name),
		Deployment:    cfg.Name,
		Rate:          c.Rate,
		Burst:         c.Burst,
		AllowLoopback: cfg.AllowLoopback,
	}
}

// reads tells what somebody manages in an instance beside what all agents have.
func reads(s plan.Settings, instance string) connect.Reads {
	var out connect.Reads
	see := func(v plan.Values) {
		out.Hierarchy = out.Hierarchy || v.Hierarchy != nil
		out.Proficiencies = out.Proficiencies || len(v.Proficiencies) > 0
	}
	for _, p := range s.Personas {
		if p.Instance == instance {
			see(p.Values)
		}
	}
	for _, r := range s.Rules {
		if r.Set != nil && (r.Instance == "" || r.Instance == instance) {
			see(*r.Set)
		}
	}
	return out
}

// about names the instance in an error, where there are several.
func about(name string, err error) error {
	if err == nil || name == "" {
		return err
	}
	return fmt.Errorf("instance %s: %w", name, err)
}

// check reads the instances that were not read yet, side by side, and refuses
// those that cannot be worked with. The error of such a one is given first.
func (a *App) check(ctx context.Context) error {
	errs := make([]error, len(a.sites))
	var all sync.WaitGroup
	for i, s := range a.sites {
		if s.info.Load() == nil {
			all.Go(func() { errs[i] = s.check(ctx) })
		}
	}
	all.Wait()
	if err := a.twice(); err != nil {
		return err
	}
	for _, err := range errs {
		if reconcile.IsTerminal(err) {
			return err
		}
	}
	return errors.Join(errs...)
}

// twice refuses two names for one instance: what one gives, the other would take.
// The configuration cannot tell where one of them is an alias.
func (a *App) twice() error {
	names := map[string]string{}
	for _, s := range a.sites {
		info := s.info.Load()
		if info == nil {
			continue
		}
		if other, twice := names[info.ID]; twice {
			return reconcile.Terminal(fmt.Errorf("check the instances: %s and %s are the same instance, %s: give it one name under instances", other, s.name, info.ID))
		}
		names[info.ID] = s.name
	}
	return nil
}

func (s *site) check(ctx context.Context) error {
	info, err := s.instance.Check(ctx)
	if err != nil {
		text := err.Error()
		s.fault.Store(&text)
		return about(s.name, fmt.Errorf("check the instance: %w", err))
	}
	s.fault.Store(nil)
	s.info.Store(&info)
	return nil
}

// reached counts the instances that could be read.
func (a *App) reached() int {
	n := 0
	for _, s := range a.sites {
		if s.info.Load() != nil {
			n++
		}
	}
	return n
}

// site gives the instance of that name, or nil.
func (a *App) site(name string) *site {
	for _, s := range a.sites {
		if s.name == name {
			return s
		}
	}
	return nil
}

// guard counts what the backend's guard answers.
type guard struct {
	reconcile.Guard

	mu sync.Mutex
	n  map[reconcile.RemovalKind]Removals
}

// Removals counts what the guard answered to changes of one kind since the start.
type Removals struct {
	Granted uint64 `json:"granted"`
	Held    uint64 `json:"held"`
	Stayed  uint64 `json:"stayed"`
}

// Reserve implements reconcile.Guard.
func (g *guard) Reserve(ctx context.Context, r reconcile.Removal, l reconcile.Limits) (reconcile.Reservation, error) {
	answer, err := g.Guard.Reserve(ctx, r, l)
	if err != nil {
		return answer, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.n == nil {
		g.n = map[reconcile.RemovalKind]Removals{}
	}
	n := g.n[r.Kind]
	switch answer.State {
	case reconcile.ReservationGranted:
		n.Granted++
	case reconcile.ReservationHeld:
		n.Held++
	case reconcile.ReservationStayed:
		n.Stayed++
	}
	g.n[r.Kind] = n
	return answer, nil
}

func (g *guard) snapshot() map[reconcile.RemovalKind]Removals {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := map[reconcile.RemovalKind]Removals{}
	for kind, n := range g.n {
		out[kind] = n
	}
	return out
}
