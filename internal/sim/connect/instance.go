package connect

import (
	crand "crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Config says which instance to simulate. The zero value is a fresh SAML
// instance in eu-central-1.
type Config struct {
	// Region of the instance; default eu-central-1.
	Region string
	// Account is the 12-digit AWS account; default 123456789012.
	Account string
	// InstanceID is a UUID; default 11111111-2222-3333-4444-555555555555.
	InstanceID string
	// Alias is the instance alias; default connectroster-sim.
	Alias string
	// Demo adds what a small contact centre has, as AddDemo does, now and after
	// each Reset.
	Demo bool
	// Settings are the switches to start with; nil means DefaultSettings.
	Settings *Settings
	// Now is the clock of timestamps, rates, lag and page tokens; default
	// time.Now. Latency and delays pass in real time.
	Now func() time.Time
	// Log gets one debug line per call, without personal data; nil discards.
	Log *slog.Logger
	// Rand makes the ids of agents and the jitter; nil is seeded at random.
	// The Instance is its only user from then on.
	Rand *rand.Rand
}

// Instance is a simulated Amazon Connect instance. It serves the Connect API
// and, below /_sim/, its own control API. All methods are safe for concurrent
// use.
type Instance struct {
	region, account, id, alias string

	now      func() time.Time
	log      *slog.Logger
	nfc      *normalizer
	tokenKey []byte
	api      *http.ServeMux
	control  *http.ServeMux
	initial  Settings
	demo     bool

	mu         sync.Mutex
	rand       *rand.Rand
	settings   Settings
	created    time.Time
	epoch      int64 // counts resets, so that page tokens do not outlive one
	agents     roster
	presences  map[string]*presence // by agent
	routing    *catalog
	security   *catalog
	groups     *catalog
	levelNames []string // of the hierarchy, from the top
	statuses   *catalog
	attributes attributes
	quick      quickConnects
	buckets    map[string]*bucket
	turn       bool // which code the next alternating throttle answers
	faults     []*plannedFault
	ledger     []Entry
	stats      Stats
}

// New returns a fresh instance with the routing profile "Basic Routing Profile",
// the security profiles Admin, Agent, CallCenterManager and QualityAnalyst and
// the agent statuses Available and Offline, as Connect makes one.
func New(cfg Config) (*Instance, error) {
	in := &Instance{
		region:  defaultTo(cfg.Region, "eu-central-1"),
		account: defaultTo(cfg.Account, "123456789012"),
		id:      strings.ToLower(defaultTo(cfg.InstanceID, "11111111-2222-3333-4444-555555555555")),
		alias:   defaultTo(cfg.Alias, "connectroster-sim"),
		now:     cfg.Now,
		log:     cfg.Log,
		rand:    cfg.Rand,
		demo:    cfg.Demo,
	}
	if err := in.checkNames(); err != nil {
		return nil, err
	}
	if in.now == nil {
		in.now = time.Now
	}
	if in.log == nil {
		in.log = slog.New(slog.DiscardHandler)
	}
	if in.rand == nil {
		in.rand = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	settings := DefaultSettings()
	if cfg.Settings != nil {
		settings = *cfg.Settings
	}
	settings, err := settings.clone().normalized()
	if err != nil {
		return nil, err
	}
	in.initial = settings
	in.tokenKey = make([]byte, 32)
	if _, err := io.ReadFull(crand.Reader, in.tokenKey); err != nil {
		return nil, fmt.Errorf("make a key for page tokens: %w", err)
	}
	if in.nfc, err = newNormalizer(); err != nil {
		return nil, err
	}
	in.api = in.apiMux()
	in.control = in.controlMux()
	in.Reset()
	return in, nil
}

// checkNames holds the parts of ARNs to the patterns of the service model.
func (in *Instance) checkNames() error {
	for _, c := range []struct{ what, value, pattern string }{
		{"region", in.region, `^[a-z]{2}(-[a-z]+){1,2}-[0-9]$`},
		{"account", in.account, `^[0-9]{12}$`},
		{"instance id", in.id, `^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`},
		{"alias", in.alias, `^[0-9a-zA-Z]([0-9a-zA-Z-]{0,43}[0-9a-zA-Z])?$`},
	} {
		if !regexp.MustCompile(c.pattern).MatchString(c.value) {
			return fmt.Errorf("simulate a Connect instance: %s %q does not match %s", c.what, c.value, c.pattern)
		}
	}
	if strings.HasPrefix(in.alias, "d-") {
		return fmt.Errorf("simulate a Connect instance: alias %q begins with d-", in.alias)
	}
	return nil
}

// ID returns the instance id.
func (in *Instance) ID() string { return in.id }

// ARN returns the ARN of the instance.
func (in *Instance) ARN() string {
	partition := "aws"
	switch {
	case strings.HasPrefix(in.region, "cn-"):
		partition = "aws-cn"
	case strings.HasPrefix(in.region, "us-gov-"):
		partition = "aws-us-gov"
	}
	return "arn:" + partition + ":connect:" + in.region + ":" + in.account + ":instance/" + in.id
}

// Region returns the AWS region of the instance.
func (in *Instance) Region() string { return in.region }

// Settings returns a copy of the switches.
func (in *Instance) Settings() Settings {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.settings.clone()
}

// ChangeSettings lets change edit the switches. An invalid result is an error
// and changes nothing.
func (in *Instance) ChangeSettings(change func(*Settings)) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	s := in.settings.clone()
	change(&s)
	return in.useSettings(s)
}

func (in *Instance) useSettings(s Settings) error {
	s, err := s.normalized()
	if err != nil {
		return err
	}
	recase := s.UsernameCase != in.settings.UsernameCase
	in.settings = s
	if recase {
		in.agents.reindex(s.UsernameCase)
	}
	return nil
}

// Reset makes the instance as New returned it: no agents, the first catalogue
// and settings, an empty ledger, no faults, full rate buckets. Page tokens made
// before are refused.
func (in *Instance) Reset() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.settings = in.initial.clone()
	in.created = in.now()
	in.epoch++
	in.agents = newRoster(in.settings.UsernameCase)
	in.presences = make(map[string]*presence)
	in.levelNames, in.attributes, in.quick = nil, attributes{}, quickConnects{}
	in.firstCatalogue()
	if in.demo {
		in.addDemo()
	}
	in.buckets = make(map[string]*bucket)
	in.faults = nil
	in.ledger = nil
	in.stats = Stats{Since: in.now(), Operations: make(map[string]*OperationStats)}
}

// uuid makes a random (version 4) id.
func (in *Instance) uuid() string {
	var b [16]byte
	for i := range b {
		b[i] = byte(in.rand.Uint32())
	}
	return formatUUID(b, 4)
}

func formatUUID(b [16]byte, version byte) string {
	b[6] = b[6]&0x0f | version<<4
	b[8] = b[8]&0x3f | 0x80
	s := hex.EncodeToString(b[:])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// bareID returns the id in ref, which is one already or an ARN of this noun in
// this instance. An ARN of something else is returned as it is, so that it
// matches nothing.
func (in *Instance) bareID(noun, ref string) string {
	if id, ok := strings.CutPrefix(ref, in.ARN()+"/"+noun+"/"); ok {
		return id
	}
	return ref
}

// isThis says whether ref names this instance by id or ARN.
func (in *Instance) isThis(ref string) bool { return ref == in.id || ref == in.ARN() }

func defaultTo(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}
