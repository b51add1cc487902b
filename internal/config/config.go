// Package config reads the one configuration file of a deployment. The file is
// strict YAML: what this version does not understand is a fault, and all faults
// are told at once, each with its line, what was expected and what was probably
// meant. The comments of Config's fields are the user's reference
// (docs/configuration.md is written from them).
package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"connectroster/internal/plan"
	"connectroster/internal/remedy"
)

// maxFile is the most bytes a configuration may have.
const maxFile = 1 << 20

// Config is a configuration that was found free of faults, with its defaults
// filled in and its paths made usable from the working directory.
//
// The tags of its fields say the key, the default, an example, what the key
// takes in words, whether it is needed (need), beside which other key nothing of
// it is (unless), and what to say to whoever has to choose (choose).
type Config struct {
	// The name of this deployment: 1 to 64 letters, digits, `_`, `.` and `-`.
	// It is written on every agent that is created and says whose they are, so
	// it must never change, and two deployments on one Amazon Connect instance
	// must not share it. The database remembers it: with another name nothing
	// starts, until connectroster release --all has given up the agents.
	Name string `yaml:"name" need:"yes" example:"production"`

	// How far changes may go; there is no default, so that nobody gets a wider one
	// by upgrading. `create-only` creates agents and touches no other.
	// `upsert-only` also keeps the agents of this deployment as the rules say.
	// `sync` also suspends and later deletes the agents of people who left, and
	// replaces those whose username changed; it needs `okta.auth` and
	// `leavers.suspend_as`.
	Policy plan.Policy `yaml:"policy" need:"yes" type:"create-only, upsert-only or sync" example:"create-only" choose:"create-only creates agents and touches no other; upsert-only also keeps them as the rules say; sync also suspends and deletes the agents of people who left. Begin with policy: create-only"`

	// Where Okta's deliveries (`/hooks/okta`), `/healthz` and `/readyz` are
	// served: a host, which may be left out to mean all addresses, and a port.
	Listen string `yaml:"listen" default:":8080" type:"host:port" example:"127.0.0.1:8080"`

	// The certificate that `listen` is served with. Left out, it is plain HTTP, for a
	// proxy in front that speaks HTTPS: Okta calls nothing else.
	TLS TLS `yaml:"tls"`

	// Where `/metrics` is served. It asks for no password, so any address but
	// this machine's own gives a warning.
	AdminListen string `yaml:"admin_listen" default:"127.0.0.1:9090" type:"host:port" example:"127.0.0.1:9191"`

	// The Unix socket through which the commands talk to the daemon. A relative
	// path starts at the folder of the configuration file. Left out, it stands
	// beside the database and is called like it, with `.sock` added; with
	// `store.aws` it is `connectroster.sock`. Systems allow no more than 103 bytes.
	Socket string `yaml:"socket" type:"path" example:"/run/connectroster/connectroster.sock"`

	// Okta, where people come from.
	Okta Okta `yaml:"okta"`

	// Amazon Connect, where agents go: one instance.
	Connect Connect `yaml:"connect" unless:"instances"`

	// Several instances of Amazon Connect in place of `connect`, each under a name
	// of your choice: 1 to 64 letters, digits, `_` and `-`. Every persona then says
	// to which it belongs, and one person may have an agent in each.
	Several map[string]Connect `yaml:"instances"`

	// The kinds of agent there are, each under a name of your choice: 1 to 64
	// letters, digits, `_` and `-`. A person gets one of them in an instance.
	Personas map[string]Persona `yaml:"personas"`

	// The persona of people whom rules match of which none names a persona. Left
	// out, such people get no agent.
	DefaultPersona string `yaml:"default_persona" example:"agent"`

	// Who gets what, in order. The first rule that matches a person and names a
	// persona gives it; what the `set` of matching rules says lies on top. Only
	// people in a group that a matching rule names get an agent.
	Rules []Rule `yaml:"rules"`

	// People who are never touched, whatever the rules say, one condition an entry.
	// Whoever meets one of them keeps the agent that they have, or have not.
	Exempt []Exemption `yaml:"exempt"`

	// Who decides about each part of an agent after it was created, the rules or
	// the floor, which is whoever changes agents in Amazon Connect itself: `enforce`
	// is the rules, at every look; `follow` the rules when their answer for the
	// person changes, and the floor in between; `initial` the rules at creation and
	// the floor from then on; `{allowed: [...]}` the floor as long as it chooses
	// among these, and the rules otherwise; `ignore` the floor alone. What no
	// persona and no rule says anything of is never touched.
	Authority Authorities `yaml:"authority"`

	// What becomes of the agents of people who left, with `sync`.
	Leavers Leavers `yaml:"leavers"`

	// How much may be taken from people without somebody's approval. What goes
	// beyond waits, and everything else goes on.
	Guard Guard `yaml:"guard"`

	// Lets moves to another routing profile, replacements and deletions wait until
	// the agent has no contact, for at most this long: 1m to 24h. Left out, they do
	// not wait. A suspension never does.
	WaitForContacts time.Duration `yaml:"wait_for_contacts" example:"30m"`

	// Who is told when something waits for approval, beside the log and the
	// metrics.
	Notify Notify `yaml:"notify"`

	// The short form, in place of `rules` and a persona: the routing profile, by
	// name, id or ARN, of everybody in `group`. Beside it `personas` holds nothing
	// but the persona of suspended agents.
	RoutingProfile string `yaml:"routing_profile" example:"Basic Routing Profile"`

	// The short form: the security profiles of everybody in `group`, as a list
	// or as text with commas.
	SecurityProfiles Names `yaml:"security_profiles" example:"[Agent]"`

	// The short form: the Okta group, by id, by its name in full or as a regular
	// expression between slashes. Left out, it is `Amazon Connect Agents`.
	Group string `yaml:"group" example:"Support"`

	// The daily look at everybody, which finds what was missed in between.
	Sweep Sweep `yaml:"sweep"`

	// Where the daemon keeps what it must not forget.
	Store Store `yaml:"store"`

	// How many people are looked at side by side, 1 to 64. More do not make
	// Amazon Connect answer faster than `connect.rate` allows.
	Workers int `yaml:"workers" default:"4" example:"8"`

	// What is logged, and how.
	Log Log `yaml:"log"`

	// Lets Okta, Amazon Connect and other services of AWS be programs on this
	// machine, such as the simulators, and plain `http` with them. For trials only.
	AllowLoopback bool `yaml:"allow_loopback" default:"false" example:"true"`

	// Warnings are what the file may well mean, but probably does not.
	Warnings Faults `yaml:"-"`

	refs     resolver
	sealed   *sealed
	settings plan.Settings

	expressions map[string]expression // by their text
}

// Okta says which Okta org it is, how its events arrive, and how its API may be
// used.
type Okta struct {
	// The address of the Okta org, without a path. Needed with `auth`; without it
	// the org is not called, and the address only documents whose events these
	// are.
	Org string `yaml:"org" type:"https address" example:"https://example.okta.com"`

	// How connectroster signs in to Okta's API: with `client_id` and
	// `private_key`, as Okta advises, or with `token`. Left out, it runs in
	// hook-only mode and knows of people only what events said.
	Auth Auth `yaml:"auth"`

	// The Amazon Connect app in Okta, by its label or id. The username that
	// people have in this app is what Okta sends at sign-in, so it becomes the
	// username of the agent. Left out, that is the login. Only with `auth`.
	App string `yaml:"app" type:"label or id" example:"Amazon Connect"`

	// How much of each of Okta's rate limits may be used, from 0.05 to 0.9. The
	// rest stays free for the other programs that call the org. Only with `auth`.
	Share float64 `yaml:"share" default:"0.5" example:"0.3"`

	// A file of certificates in PEM that are trusted beside the system's, for a
	// proxy that looks into connections to Okta. A relative path starts at the
	// folder of the configuration file.
	CAFile string `yaml:"ca_file" type:"path" example:"/etc/ssl/proxy-ca.pem"`

	// How often the System Log is read for events whose delivery was lost or that
	// are never delivered, from 10s to 1h. Only with `auth`.
	CatchUp time.Duration `yaml:"catch_up" default:"60s" example:"2m"`

	// The event hook of the org that calls us.
	Hook Hook `yaml:"hook"`
}

// Auth says how to sign in to Okta's API, in one of two ways.
type Auth struct {
	// A reference to an API token. It has all the rights of the administrator who
	// made it and ends with their account. One in a file or in AWS Secrets Manager can
	// be replaced without a restart.
	Token string `yaml:"token" type:"reference" example:"env:OKTA_API_TOKEN"`

	// The client id of an API Services app, which needs `private_key` and an
	// administrator role that can see the people, groups and apps in question.
	ClientID string `yaml:"client_id" example:"0oa1abcdEFGHijklm5d7"`

	// A reference to the private key of the app, in PEM or as a JSON Web Key,
	// without a passphrase. One in a file or in AWS Secrets Manager can be replaced
	// without a restart; a JSON Web Key brings its id along.
	PrivateKey string `yaml:"private_key" type:"reference" example:"file:okta.pem"`

	// The id under which the app knows the key. Left out, it is the one in the
	// JSON Web Key, if there is one.
	KeyID string `yaml:"key_id" example:"connectroster-2026"`

	// What the app asks to be allowed, as a list or as text with commas. The app
	// must have been granted all of it. People, groups and the System Log must be
	// among it, and apps where `okta.app` is set.
	Scopes Names `yaml:"scopes" default:"okta.users.read,okta.groups.read,okta.logs.read,okta.apps.read" example:"[okta.users.read, okta.groups.read, okta.logs.read]"`
}

// Hook says which deliveries are accepted.
type Hook struct {
	// References to the secrets that a delivery may carry; any one of them is
	// accepted, so write two while you change it. A secret has 16 to 4096
	// printable ASCII characters and is never itself in the configuration.
	Secrets []string `yaml:"secrets" default:"env:OKTA_HOOK_SECRET" type:"list of references" example:"[\"env:OKTA_HOOK_SECRET\", \"file:/run/secrets/next\"]"`

	// The name of the HTTP header that carries the secret, as set in Okta under
	// Authentication field.
	Header string `yaml:"header" default:"Authorization" example:"X-Hook-Secret"`

	// The https address at which Okta reaches the daemon. The commands of
	// connectroster okta compare the event hook with it, unless --url names another.
	URL string `yaml:"url" type:"address" example:"https://roster.example.com/hooks/okta"`

	// The largest delivery that is read: from 1KiB to 64MiB. Okta does not send a
	// refused delivery again.
	MaxBody Size `yaml:"max_body" default:"6MiB" example:"1MiB"`
}

// Connect says which Amazon Connect instance holds the agents, and how gently
// it is to be treated.
type Connect struct {
	// The instance: its id, its ARN or its alias, which is the first word of its
	// address.
	Instance string `yaml:"instance" need:"yes" type:"id, ARN or alias" example:"11111111-2222-3333-4444-555555555555"`

	// The AWS region of the instance. Left out, it is the one in the ARN, or else
	// whatever AWS's own settings say (`AWS_REGION`, the profile).
	Region string `yaml:"region" example:"eu-central-1"`

	// The profile of AWS's own configuration files whose credentials are used.
	// Left out, AWS's usual order applies: environment, default profile, role of
	// the machine.
	Profile string `yaml:"profile" example:"contact-centre"`

	// The role that is assumed to reach an instance in another AWS account.
	RoleARN string `yaml:"role_arn" type:"ARN of a role" example:"arn:aws:iam::123456789012:role/connectroster"`

	// The external id that the role asks for, as it is or as a reference. Only with
	// `role_arn`.
	ExternalID string `yaml:"external_id" type:"text or reference" example:"env:CONNECT_EXTERNAL_ID"`

	// How many calls a second each operation of Amazon Connect may get, above 0
	// and at most 1000. AWS allows 2 unless it raised your quota, and other
	// programs of the same account share it. Less than 0.1 is warned of, and with a
	// store in AWS, where each of four workers has a quarter of it, less than 0.5.
	Rate float64 `yaml:"rate" default:"2" example:"1.5"`

	// How many calls may go at once after a rest, 1 to 1000.
	Burst int `yaml:"burst" default:"5" example:"5"`
}

// TLS says with what `listen` speaks HTTPS. Both files are read again when they
// have changed, so that a certificate can be renewed without a restart.
type TLS struct {
	// The file with the certificate in PEM, followed by those between it and the
	// authority. A relative path starts at the folder of the configuration file.
	Cert string `yaml:"cert" type:"path" example:"/etc/connectroster/tls.crt"`

	// The file with its private key in PEM, without a passphrase.
	Key string `yaml:"key" type:"path" example:"/etc/connectroster/tls.key"`
}

// Given tells whether there is a certificate.
func (t TLS) Given() bool { return t.Cert != "" }

// Sweep says when everybody is looked at.
type Sweep struct {
	// The time of day, on this machine's clock and in its time zone.
	At TimeOfDay `yaml:"at" default:"02:30" example:"\"03:15\""`

	// By how much it starts later at most, from 0s to 6h. Chance decides each day
	// anew, so that several deployments do not call at once.
	Jitter time.Duration `yaml:"jitter" default:"30m" example:"1h"`
}

// Store says where the queue, the journal and the facts are kept: in a file or in
// AWS.
type Store struct {
	// The path of the database file, which is created when it is missing. A
	// relative path starts at the folder of the configuration file. It must lie
	// on a disk of this machine, and no two daemons may use it.
	SQLite string `yaml:"sqlite" default:"connectroster.db" type:"path" example:"/var/lib/connectroster/connectroster.db"`

	// A table of Amazon DynamoDB in place of the file, for several machines or for
	// none. The commands then work on it directly, and the journal says as whom AWS
	// knows whoever decided something.
	AWS StoreAWS `yaml:"aws"`
}

// StoreAWS says which table and which queues.
type StoreAWS struct {
	// The name of the table. Needed with `aws`; docs/adr/0009 says how it must look.
	Table string `yaml:"table" example:"connectroster"`

	// The AWS region of the table and the queues. Left out, it is whatever AWS's own
	// settings say (`AWS_REGION`, the profile).
	Region string `yaml:"region" example:"eu-central-1"`

	// The name or the address of the FIFO queue of Amazon SQS that wakes workers for
	// people whose access should end. Only with `queue`. Left out, workers look for
	// themselves, as those of the daemon always do.
	LeaversQueue string `yaml:"leavers_queue" example:"connectroster-leavers.fifo"`

	// And that for everybody else.
	Queue string `yaml:"queue" example:"connectroster.fifo"`

	// The address of something in place of DynamoDB and SQS. On this machine only
	// with `allow_loopback`.
	Endpoint string `yaml:"endpoint" type:"address" example:"http://127.0.0.1:5000"`
}

// OnAWS tells whether the store is in AWS.
func (s Store) OnAWS() bool { return s.AWS != StoreAWS{} }

// Log says what is logged, and how.
type Log struct {
	// The least important lines to be written: `debug`, `info`, `warn` or
	// `error`.
	Level Level `yaml:"level" default:"info" example:"debug"`

	// `text` for people, `json` for machines.
	Format Format `yaml:"format" default:"text" example:"json"`
}

// sealed keeps secrets from being printed along with what holds them.
type sealed struct {
	secrets   []string
	externals map[string]string // external ids, by the name of the instance
}

// Load reads the configuration file at path. getenv looks up variables of the
// environment for secrets, as [os.Getenv] does. An error is a [Faults] when the
// content is at fault.
func Load(path string, getenv func(string) string) (*Config, error) {
	data, err := readFile(path, maxFile+1)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, remedy.Mark("config_missing", fmt.Errorf("read configuration: %w: write one with connectroster init, or name another with --config", err))
	}
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return Parse(path, data, getenv)
}

// Parse reads a configuration from data. Faults call it by name, and relative
// paths in it start at the folder of name. An error is always a [Faults].
func Parse(name string, data []byte, getenv func(string) string) (*Config, error) {
	return parse(newReader(name, getenv), data)
}

func parse(r *reader, data []byte) (*Config, error) {
	c := r.read(data)
	warnings, faults := r.src.render(r.warnings), r.src.render(r.faults)
	if len(faults) > 0 {
		return nil, faults
	}
	c.Warnings = warnings
	c.settings = c.compile()
	return c, nil
}

// readFile reads at most limit bytes of a regular file, so that neither a pipe
// nor a device can hold it up.
func readFile(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}

// APIMode tells whether Okta's API may be asked, so that what Okta says now is
// known and not only what its events said.
func (c *Config) APIMode() bool { return c.Okta.Auth.given() }

// Mode names the mode for people: hook-only or api.
func (c *Config) Mode() string {
	if c.APIMode() {
		return "api"
	}
	return "hook-only"
}

// Handler gives a log handler that writes to w as the configuration says.
func (l Log) Handler(w io.Writer) slog.Handler {
	options := &slog.HandlerOptions{Level: l.Level}
	if l.Format == JSON {
		return slog.NewJSONHandler(w, options)
	}
	return slog.NewTextHandler(w, options)
}

// setDefaults fills the parts of a short-form configuration that the long form
// has, and the paths that depend on others.
func (c *Config) setDefaults(dir string) {
	if c.short() {
		if c.Group == "" {
			c.Group = "Amazon Connect Agents"
		}
		personas := map[string]Persona{shortPersona: {RoutingProfile: c.RoutingProfile, SecurityProfiles: c.SecurityProfiles}}
		for name, p := range c.Personas {
			personas[name] = p
		}
		c.Personas = personas
		c.Rules = []Rule{{Groups: []string{c.Group}, Persona: shortPersona}}
	}
	if c.Okta.CAFile != "" {
		c.Okta.CAFile = within(dir, c.Okta.CAFile)
	}
	if c.TLS.Given() {
		c.TLS.Cert, c.TLS.Key = within(dir, c.TLS.Cert), within(dir, c.TLS.Key)
	}
	c.Store.SQLite = within(dir, c.Store.SQLite)
	switch {
	case c.Socket == "" && c.Store.OnAWS():
		c.Socket = within(dir, "connectroster.sock")
	case c.Socket == "":
		c.Socket = c.Store.SQLite + ".sock"
	default:
		c.Socket = within(dir, c.Socket)
	}
	if c.Connect.Region == "" {
		c.Connect.Region = arnRegion(c.Connect.Instance)
	}
	for name, connect := range c.Several {
		if connect.Region == "" {
			connect.Region = arnRegion(connect.Instance)
			c.Several[name] = connect
		}
	}
}

// shortPersona is the name of the persona that the short form makes.
const shortPersona = "agent"

// short tells whether the short form is used.
func (c *Config) short() bool { return c.RoutingProfile != "" || len(c.SecurityProfiles) > 0 }

// within makes a path start at dir unless it is absolute.
func within(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}
