package okta

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Config describes an org. The zero value is an empty, healthy one.
type Config struct {
	// BaseURL is the address of the org in links and in deliveries, without a
	// trailing slash. Empty: links use the Host of the request, deliveries the
	// host that was last used to reach the org.
	BaseURL string
	// Tokens are the valid SSWS tokens. Empty means the one token "dev-token".
	Tokens []string
	// AllowHTTP lets event hooks point to http:// on a loopback address.
	// Okta itself takes https:// alone.
	AllowHTTP bool
	// Seed fixes identifiers, event ids and every random fault.
	Seed uint64
	// Now is the clock of timestamps, rate limits and the daily cap; nil means
	// time.Now. Deadlines and batch windows run in real time.
	Now func() time.Time
	// Log receives one line per failed delivery; nil discards.
	Log *slog.Logger
	// Client sends deliveries and verifications; nil means one of the org's
	// own. Redirects are never followed, whatever the client says.
	Client *http.Client
	// Settings are the switches at the start and after a reset.
	Settings Settings
	// Clients are the API clients at the start and after a reset.
	Clients []NewClient
}

// Org is a simulated Okta org. Its methods may be called concurrently.
type Org struct {
	cfg    Config
	mux    http.Handler
	client *http.Client

	mu    sync.Mutex // guards everything below
	state            // what a reset throws away

	ctx    context.Context // ends deliveries: on Close, and on reset
	cancel context.CancelFunc
	closed bool
	muted  bool          // while a reset waits for deliveries, changes are not offered
	busy   int           // goroutines that deliver
	quiet  chan struct{} // closed whenever busy is 0
	seen   string        // base URL by which the org was last called

	underway int // API calls
}

// state is the content of an org.
type state struct {
	set    Settings
	mint   mint       // ids of what is changed on request
	back   mint       // ids of what deliveries log, so that their timing changes no other id
	drops  *rand.Rand // decides at the time of an event
	faults *rand.Rand // decides at the time of a delivery: duplicates and order

	users    table[*user]
	logins   map[string]string // folded login -> user id
	groups   table[*group]
	everyone *group
	apps     table[*app]
	hooks    table[*hook]
	rules    table[*groupRule]
	shown    map[string][]version // what search shows of users and groups, by id

	log     []*event          // in order of persistence
	late    []*event          // not persisted yet, in the order in which they will be
	byUUID  map[string]*event // late ones included
	admin   actor
	buckets map[string]*bucket
	calls   map[string]*CallCount
	stats   Totals
	records []Delivery
	taken   int // events that went into a first delivery
	daily   daily
	arrived int // API calls since the start
	faulted []*plannedFault

	clients    map[string]*apiClient
	grants     map[string]*grant    // by access token
	used       map[string]time.Time // ids of assertions and proofs, until when
	nonces     []nonce              // of DPoP, oldest first
	tokenRoles map[string][]string  // of SSWS tokens that are not a super admin's
	keys       mint                 // makes tokens and nonces, which change no id
}

// New returns an org that holds nothing but its Everyone group. It fails on a
// malformed base URL or impossible settings.
func New(cfg Config) (*Org, error) {
	if cfg.BaseURL != "" && !strings.HasPrefix(cfg.BaseURL, "http://") && !strings.HasPrefix(cfg.BaseURL, "https://") {
		return nil, fmt.Errorf("base URL %q: want http:// or https://", cfg.BaseURL)
	}
	if err := cfg.Settings.check(); err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	cfg.BaseURL = strings.TrimSuffix(cfg.BaseURL, "/")
	if len(cfg.Tokens) == 0 {
		cfg.Tokens = []string{"dev-token"}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	client := http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}
	if cfg.Client != nil {
		client = *cfg.Client
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	o := &Org{cfg: cfg, client: &client, quiet: make(chan struct{})}
	close(o.quiet)
	o.mux = o.routes()
	if err := o.fresh(); err != nil {
		return nil, err
	}
	return o, nil
}

// fresh fills o with an empty org. The caller holds o.mu or owns o. It fails on
// impossible clients alone.
func (o *Org) fresh() error {
	o.ctx, o.cancel = context.WithCancel(context.Background())
	o.state = state{
		set:     o.cfg.Settings.clone(),
		mint:    newMint(o.cfg.Seed, 1),
		back:    newMint(o.cfg.Seed, 2),
		drops:   rand.New(rand.NewPCG(o.cfg.Seed, 3)),
		faults:  rand.New(rand.NewPCG(o.cfg.Seed, 4)),
		users:   newTable[*user](),
		logins:  map[string]string{},
		groups:  newTable[*group](),
		apps:    newTable[*app](),
		hooks:   newTable[*hook](),
		byUUID:  map[string]*event{},
		buckets: map[string]*bucket{},
		calls:   map[string]*CallCount{},
		rules:   newTable[*groupRule](),
		shown:   map[string][]version{},
		clients: map[string]*apiClient{},
		grants:  map[string]*grant{},
		used:    map[string]time.Time{},
		keys:    newMint(o.cfg.Seed, 5),

		tokenRoles: map[string][]string{},
	}
	o.admin = actor{ID: o.mint.id("00u"), Type: "User", AlternateID: "it.admin@example.com", DisplayName: "Irene Admin"}
	now := o.now()
	o.everyone = &group{id: o.mint.id("00g"), kind: "BUILT_IN", name: "Everyone", description: "All users in your organization",
		created: now, updated: now, membersUpdated: now}
	o.groups.put(o.everyone.id, o.everyone)
	o.showGroup(o.everyone)
	for _, n := range o.cfg.Clients {
		if _, err := o.insertClient(n); err != nil {
			return err
		}
	}
	return nil
}

// Reset ends pending deliveries, waits for them, and returns the org to its
// first state: same seed, same settings, nothing in it.
func (o *Org) Reset(ctx context.Context) error {
	o.mu.Lock()
	o.muted = true
	o.cancel()
	o.mu.Unlock()
	err := o.Idle(ctx)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.muted = false
	if err != nil {
		return fmt.Errorf("reset: %w", err)
	}
	err = o.fresh()
	if o.closed {
		o.cancel()
	}
	return err
}

// Close ends deliveries, pending ones included, and returns when their
// goroutines have ended or ctx has. Reads go on working; hooks stay silent.
func (o *Org) Close(ctx context.Context) error {
	o.mu.Lock()
	o.closed = true
	o.cancel()
	o.mu.Unlock()
	err := o.Idle(ctx)
	o.client.CloseIdleConnections()
	return err
}

// Idle returns when no delivery is pending or under way, or when ctx ends.
func (o *Org) Idle(ctx context.Context) error {
	for {
		o.mu.Lock()
		busy, quiet := o.busy, o.quiet
		o.mu.Unlock()
		if busy == 0 {
			return nil
		}
		select {
		case <-quiet:
		case <-ctx.Done():
			return fmt.Errorf("wait for deliveries: %w", context.Cause(ctx))
		}
	}
}

// start runs f in a goroutine that Idle and Close await. The caller holds o.mu.
func (o *Org) start(f func()) {
	if o.busy == 0 {
		o.quiet = make(chan struct{})
	}
	o.busy++
	go func() {
		defer func() {
			o.mu.Lock()
			defer o.mu.Unlock()
			if o.busy--; o.busy == 0 {
				close(o.quiet)
			}
		}()
		f()
	}()
}

func (o *Org) now() time.Time { return o.cfg.Now().UTC().Truncate(time.Millisecond) }

// base is the org's address where no request tells it. The caller holds o.mu.
func (o *Org) base() string {
	switch {
	case o.cfg.BaseURL != "":
		return o.cfg.BaseURL
	case o.seen != "":
		return o.seen
	}
	return "https://example.okta.com"
}

// cause is who and what stands behind a change, as the System Log tells it.
type cause struct {
	uri string // request path; empty: what the Admin Console would call
	job bool   // a background job such as a group rule or an import
}

// table is rows by id, listed in the order of their ids. Ids are minted in
// ascending order, so that is the order of creation.
type table[T any] struct {
	ids  idset
	rows map[string]T
}

func newTable[T any]() table[T] { return table[T]{rows: map[string]T{}} }

func (t *table[T]) put(id string, row T) {
	t.ids.add(id)
	t.rows[id] = row
}

func (t *table[T]) remove(id string) {
	t.ids.remove(id)
	delete(t.rows, id)
}

// all yields the rows in order of id, beginning after the given one.
func (t *table[T]) all(after string) iter.Seq[T] {
	return func(yield func(T) bool) {
		for id := range t.ids.after(after) {
			if !yield(t.rows[id]) {
				return
			}
		}
	}
}

// idset is a sorted set of ids.
type idset []string

func (s *idset) add(id string) bool {
	i, found := slices.BinarySearch(*s, id)
	if !found {
		*s = slices.Insert(*s, i, id)
	}
	return !found
}

func (s *idset) remove(id string) bool {
	i, found := slices.BinarySearch(*s, id)
	if found {
		*s = slices.Delete(*s, i, i+1)
	}
	return found
}

func (s idset) sort() { slices.Sort(s) }

func (s idset) has(id string) bool {
	_, found := slices.BinarySearch(s, id)
	return found
}

func (s idset) after(id string) iter.Seq[string] {
	i, found := slices.BinarySearch(s, id)
	if found {
		i++
	}
	return slices.Values(s[i:])
}

// mint makes identifiers from a seed.
type mint struct {
	rand                *rand.Rand
	infix, tail         string
	count, calls, posts uint64
}

func newMint(seed, stream uint64) mint {
	m := mint{rand: rand.New(rand.NewPCG(seed, stream))}
	m.infix, m.tail = m.letters(4), m.letters(4)
	return m
}

// id returns a fresh identifier of 20 characters, greater than every earlier
// one of the same prefix.
func (m *mint) id(prefix string) string {
	m.count++
	return prefix + m.infix + base62(m.count, 9) + m.tail
}

// reply returns an identifier for an HTTP exchange or its error. These have a
// counter of their own: reading must not change the ids of what comes later.
func (m *mint) reply(prefix string) string {
	m.calls++
	return prefix + m.infix + base62(m.calls, 9) + m.tail
}

func (m *mint) letters(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = digits62[m.rand.IntN(len(digits62))]
	}
	return string(b)
}

// post returns the eventId of a delivery: a UUID that depends on no random
// stream, because deliveries run beside the changes that draw from it.
func (m *mint) post() string {
	m.posts++
	return fmt.Sprintf("85b60edb-4263-4e13-993b-%012x", m.posts)
}

// uuid returns a version 4 UUID (RFC 9562, section 5.4).
func (m *mint) uuid() string {
	hi, lo := m.rand.Uint64(), m.rand.Uint64()
	hi = hi&^0xf000 | 0x4000
	lo = lo&^(3<<62) | 2<<62
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", hi>>32, hi>>16&0xffff, hi&0xffff, lo>>48, lo&(1<<48-1))
}

const digits62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func base62(n uint64, width int) string {
	b := make([]byte, width)
	for i := width - 1; i >= 0; i-- {
		b[i] = digits62[n%62]
		n /= 62
	}
	return string(b)
}
