package main

import (
	"archive/zip"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// settings are what a deployment is made from.
type settings struct {
	stack string // its name
	lock  *lock
	// assets is the folder or the zip file of the functions, with the program
	// "bootstrap" and the configuration. Where nothing was built, it is a folder
	// that stands in for it, built is false, and the deployment is refused.
	assets string
	built  bool
	// existing are resources that a former deployment has left and that this one
	// takes over as they are: table, hook-secret.
	existing []string
	// reserve sets functions' share of the account's concurrency aside. Without it
	// they run all the same, and compete with the other functions of the account.
	// unreserved says why there is none: somebody wants it so (false), or the account
	// has none left (none-left) at this deployment.
	reserve    bool
	unreserved string
	logDays    float64
	quietDays  float64 // for how many days Okta may deliver nothing
	alarmMail  string
	alarmTopic string // an ARN
}

const (
	defaultStack  = "OktaConnectorStack" // as the AWS sample calls it
	defaultConfig = "../../connectroster.yaml"
	defaultAssets = "../../bin/lambda"

	defaultLogDays   = "30"
	defaultQuietDays = "1"

	noneLeft = "none-left"

	lockName = "connectroster.lock.json"
)

// settingsFrom reads the settings from the context of the CDK, which is what -c
// NAME=VALUE gives.
func settingsFrom(context func(string) string) (*settings, error) {
	get := func(key, otherwise string) string {
		if text := context(key); text != "" {
			return text
		}
		return otherwise
	}
	s := &settings{stack: get("stack", defaultStack), alarmMail: get("alarm-mail", ""), alarmTopic: get("alarm-topic", "")}
	if !regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,127}$`).MatchString(s.stack) {
		return nil, fmt.Errorf("-c stack=%s: the name of a stack begins with a letter and has letters, digits and - after it", s.stack)
	}
	var err error
	if text := get("reserve", "true"); text == noneLeft {
		s.unreserved = noneLeft
	} else if s.reserve, err = strconv.ParseBool(text); err != nil {
		return nil, fmt.Errorf("-c reserve=%s: want true, false or %s", text, noneLeft)
	} else if !s.reserve {
		s.unreserved = "false"
	}
	if s.logDays, err = strconv.ParseFloat(get("log-days", defaultLogDays), 64); err != nil || !slices.Contains(logDays, s.logDays) {
		return nil, fmt.Errorf("-c log-days=%s: want one of %v", get("log-days", ""), logDays)
	}
	if s.quietDays, err = strconv.ParseFloat(get("quiet-days", defaultQuietDays), 64); err != nil || !slices.Contains([]float64{1, 2, 3, 4, 5, 6, 7}, s.quietDays) {
		return nil, fmt.Errorf("-c quiet-days=%s: want 1 to 7", get("quiet-days", ""))
	}
	if text := get("existing", ""); text != "" {
		s.existing = strings.Split(text, ",")
	}
	for _, name := range s.existing {
		if name != "table" && name != "hook-secret" {
			return nil, fmt.Errorf("-c existing=%s: want table, hook-secret or both with a comma", name)
		}
	}
	config := get("config", defaultConfig)
	text, err := os.ReadFile(config)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w; name another with -c config=PATH", err)
	}
	if s.lock, err = readLock(get("lock", filepath.Join(filepath.Dir(config), lockName)), text); err != nil {
		return nil, err
	}
	return s, s.findAssets(context("assets"), text)
}

// choices writes what differs from what a deployment is without being told, as start.sh
// reads it. No value has a space.
func (s *settings) choices() string {
	var out []string
	add := func(key, value, otherwise string) {
		if value != otherwise {
			out = append(out, key+"="+value)
		}
	}
	add("alarm-mail", s.alarmMail, "")
	add("alarm-topic", s.alarmTopic, "")
	add("quiet-days", strconv.FormatFloat(s.quietDays, 'f', -1, 64), defaultQuietDays)
	add("log-days", strconv.FormatFloat(s.logDays, 'f', -1, 64), defaultLogDays)
	add("reserve", s.unreserved, "")
	return strings.Join(out, " ")
}

// findAssets checks what was built, so that a deployment does not fail at its first
// event.
func (s *settings) findAssets(path string, config []byte) error {
	s.assets = path
	if path == "" {
		s.assets = defaultAssets
		if _, err := os.Stat(s.assets); errors.Is(err, fs.ErrNotExist) {
			return s.standIn()
		}
	}
	s.built = true
	info, err := os.Stat(s.assets)
	if err != nil {
		return fmt.Errorf("the functions are not built: %w; start.sh builds them, and docs/aws.md shows how", err)
	}
	open := func(name string) (io.ReadCloser, error) { return os.Open(filepath.Join(s.assets, name)) }
	if !info.IsDir() {
		z, err := zip.OpenReader(s.assets)
		if err != nil {
			return fmt.Errorf("the functions %s are neither a folder nor a zip file: %w", s.assets, err)
		}
		defer func() { _ = z.Close() }()
		open = func(name string) (io.ReadCloser, error) { return z.Open(name) }
	}
	if info.IsDir() {
		if err := checkModes(s.assets); err != nil {
			return fmt.Errorf("the functions %s: %w", s.assets, err)
		}
	}
	if err := checkProgram(open); err != nil {
		return fmt.Errorf("the functions %s: %w", s.assets, err)
	}
	f, err := open(s.lock.Config.Name)
	if err != nil {
		return fmt.Errorf("the functions %s: the configuration is not among them: %w", s.assets, err)
	}
	defer f.Close()
	got, err := io.ReadAll(f)
	if err != nil {
		return fmt.Errorf("the functions %s: read the configuration: %w", s.assets, err)
	}
	if string(got) != string(config) {
		return fmt.Errorf("the functions %s hold another %s than the one that was locked: copy it there anew", s.assets, s.lock.Config.Name)
	}
	return nil
}

// checkModes makes sure that Lambda can read the files of a folder and run the program:
// they keep their modes on the way there.
// Source: AWS Lambda Developer Guide, "Deploying Lambda functions as .zip file archives",
// setting permissions.
func checkModes(dir string) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := os.Stat(path)
		switch {
		case err != nil:
			return err
		case entry.Name() == "bootstrap" && info.Mode()&0o005 != 0o005:
			return errors.New("bootstrap must be executable for everybody, since Lambda runs it as another user: chmod 755 it")
		case info.Mode()&0o004 == 0:
			return fmt.Errorf("%s must be readable for everybody, since Lambda reads it as another user: chmod 644 it", entry.Name())
		}
		return nil
	})
}

// checkProgram makes sure that the program runs where Lambda runs it.
func checkProgram(open func(string) (io.ReadCloser, error)) error {
	f, err := open("bootstrap")
	if err != nil {
		return fmt.Errorf("the program is not there: %w; start.sh builds it", err)
	}
	defer f.Close()
	program, err := io.ReadAll(f)
	if err != nil {
		return fmt.Errorf("read the program: %w", err)
	}
	header, err := elf.NewFile(strings.NewReader(string(program)))
	if err != nil || header.Machine != elf.EM_AARCH64 {
		return errors.New("bootstrap is no program for linux on arm64; build it with GOOS=linux GOARCH=arm64")
	}
	return nil
}

// standIn makes a folder in the place of the functions, for a template that is
// looked at and not deployed.
func (s *settings) standIn() error {
	dir, err := os.MkdirTemp("", "connectroster-")
	if err != nil {
		return fmt.Errorf("stand in for the functions: %w", err)
	}
	s.assets = dir
	return os.WriteFile(filepath.Join(dir, "bootstrap"), []byte("#!/bin/sh\necho 'the functions were not built' >&2\nexit 1\n"), 0o755)
}

// close removes what stood in for the functions.
func (s *settings) close() {
	if !s.built && s.assets != "" {
		_ = os.RemoveAll(s.assets)
	}
}

func (s *settings) exists(name string) bool { return slices.Contains(s.existing, name) }

// lock is what connectroster catalog --lock has written: see cmd/connectroster/lock.go,
// whose tests write the locks that the tests here read.
type lock struct {
	Version    int    `json:"version"`
	Deployment string `json:"deployment"`
	Config     struct {
		Name   string `json:"name"`
		SHA256 string `json:"sha256"`
	} `json:"config"`
	Policy    string     `json:"policy"`
	OktaAPI   bool       `json:"okta_api"`
	Deletes   bool       `json:"deletes"`
	Contacts  bool       `json:"waits_for_contacts"`
	Secrets   []string   `json:"secrets"`
	Hook      []string   `json:"hook_secrets"`
	Elsewhere []string   `json:"secrets_elsewhere"`
	Store     store      `json:"store"`
	Instances []instance `json:"instances"`
}

// store is where the configuration says that the rows and the queues are. The stack
// makes them under these names.
type store struct {
	Table        string `json:"table"`
	Region       string `json:"region"`
	LeaversQueue string `json:"leavers_queue"`
	Queue        string `json:"queue"`
}

// instance is an Amazon Connect instance, and what its agents can be given.
type instance struct {
	Name             string   `json:"name"`
	ID               string   `json:"id"`
	ARN              string   `json:"arn"`
	ByAlias          bool     `json:"by_alias"`
	Role             string   `json:"role_arn"`
	Profile          string   `json:"profile"`
	RoutingProfiles  []entry  `json:"routing_profiles"`
	OpenRouting      []string `json:"routing_profiles_open"`
	SecurityProfiles []entry  `json:"security_profiles"`
	Hierarchy        []entry  `json:"hierarchy_groups"`
	OpenHierarchy    []string `json:"hierarchy_groups_open"`
	ManagesHierarchy bool     `json:"manages_hierarchy"`
	ManagesSkills    bool     `json:"manages_proficiencies"`
	Offline          []entry  `json:"offline_statuses"`
	Tags             []string `json:"tags"`
}

type entry struct {
	Name string `json:"name"`
	ID   string `json:"id"`
}

var (
	instanceARN  = regexp.MustCompile(`^arn:aws[a-z-]*:connect:[a-z0-9-]+:[0-9]{12}:instance/[0-9A-Za-z-]+$`)
	deploymentOf = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)
	idOf         = regexp.MustCompile(`^[0-9A-Za-z-]{1,100}$`)
)

// functionName is how long the name of a function may be. Source: AWS Lambda API,
// CreateFunction.
const functionName = 64

// readLock reads the lock of a configuration.
func readLock(path string, config []byte) (*lock, error) {
	const again = "write it anew with: connectroster catalog --lock"
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the lock: %w; %s", err, again)
	}
	var l lock
	dec := json.NewDecoder(strings.NewReader(string(text)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&l); err != nil {
		return nil, fmt.Errorf("read the lock %s: %w; %s", path, err, again)
	}
	sum := sha256.Sum256(config)
	switch {
	case l.Version != 2:
		return nil, fmt.Errorf("the lock %s has the version %d, and this deployment reads 2; %s", path, l.Version, again)
	case l.Config.SHA256 != hex.EncodeToString(sum[:]):
		return nil, fmt.Errorf("the lock %s belongs to another state of the configuration; %s", path, again)
	case !deploymentOf.MatchString(l.Deployment), len(l.Instances) == 0:
		return nil, fmt.Errorf("the lock %s is not whole; %s", path, again)
	case !slices.Contains(l.Hook, l.hookSecret()):
		return nil, fmt.Errorf("the configuration does not name the secret that this deployment makes for the event hook; write\n  okta: {hook: {secrets: [\"secretsmanager:%s\"]}}\nand lock it anew", l.hookSecret())
	}
	if name := l.resource("-" + catchupHandler); len(name) > functionName {
		return nil, fmt.Errorf("the name %s of the deployment is too long: a function would be called %s, and Lambda takes %d characters; choose one of %d at most, and lock it anew",
			l.Deployment, name, functionName, functionName-len(name)+len(l.Deployment))
	}
	if len(l.Elsewhere) > 0 {
		return nil, fmt.Errorf("the functions cannot look up the secrets %s: put them into Secrets Manager, refer to them as secretsmanager:NAME, and lock the configuration anew", strings.Join(l.Elsewhere, ", "))
	}
	if !l.Store.whole() {
		return nil, fmt.Errorf("the configuration does not name a table and two queues for this deployment to make; write\n"+
			"  store: {aws: {table: %[1]s, leavers_queue: %[1]s-leavers.fifo, queue: %[1]s.fifo}}\nand lock it anew", l.resource(""))
	}
	for _, in := range l.Instances {
		if err := in.check(); err != nil {
			return nil, fmt.Errorf("the lock %s: instance %s %s: %w; %s", path, in.Name, in.ID, err, again)
		}
	}
	return &l, nil
}

// whole tells whether there is a name for everything. A queue's dead queue is called
// like it with five characters more, and a name has 80 at most.
func (s store) whole() bool {
	queue := regexp.MustCompile(`^[A-Za-z0-9_-]{1,70}\.fifo$`)
	return regexp.MustCompile(`^[A-Za-z0-9_.-]{3,255}$`).MatchString(s.Table) && queue.MatchString(s.Queue) && queue.MatchString(s.LeaversQueue) && s.Queue != s.LeaversQueue
}

// check keeps out what would be more than one resource in a policy.
func (in instance) check() error {
	if !instanceARN.MatchString(in.ARN) || !strings.HasSuffix(in.ARN, "/"+in.ID) {
		return fmt.Errorf("%q is not its ARN", in.ARN)
	}
	if in.Profile != "" {
		return fmt.Errorf("the configuration names the profile %s, which functions do not have: leave profile out, and give it to start.sh or in AWS_PROFILE", in.Profile)
	}
	if len(in.SecurityProfiles) == 0 {
		return errors.New("no security profiles are listed")
	}
	for _, e := range slices.Concat(in.RoutingProfiles, in.SecurityProfiles, in.Hierarchy, in.Offline) {
		if !idOf.MatchString(e.ID) {
			return fmt.Errorf("%q is not an id", e.ID)
		}
	}
	for _, key := range in.Tags {
		if key == "" || strings.ContainsAny(key, "*?$") {
			return fmt.Errorf("the key %q of a tag cannot stand in a policy", key)
		}
	}
	return nil
}

// hookSecret is the name of the secret of the event hook.
func (l *lock) hookSecret() string { return "connectroster/" + l.Deployment + "/hook" }

// resource is a name for the deployment's own resources. Queues allow no dots.
func (l *lock) resource(suffix string) string {
	return "connectroster-" + strings.ReplaceAll(l.Deployment, ".", "-") + suffix
}
