package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"database/sql"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"connectroster/internal/doctor"
	simconnect "connectroster/internal/sim/connect"
	simokta "connectroster/internal/sim/okta"
	"connectroster/internal/sqlite"
)

// closed is an address at which nobody listens.
const closed = "127.0.0.1:1"

// faults are those that doctor must find, by name.
func faults() map[string]fault {
	all := map[string]fault{}
	for _, some := range []map[string]fault{configFaults(), databaseFaults(), oktaFaults(), hookFaults(), connectFaults(), peopleFaults(), daemonFaults()} {
		for name, f := range some {
			if _, twice := all[name]; twice {
				panic("two faults are called " + name)
			}
			all[name] = f
		}
	}
	return all
}

// change replaces a part of a key of the configuration.
func change(key, old, with string) func(*patient) {
	return func(p *patient) {
		if !strings.Contains(p.yaml[key], old) {
			p.t.Fatalf("%s holds no %q: %s", key, old, p.yaml[key])
		}
		p.yaml[key] = strings.Replace(p.yaml[key], old, with, 1)
	}
}

// rewrite changes the configuration of a deployment that runs.
func rewrite(key, old, with string) func(*patient) {
	return func(p *patient) {
		change(key, old, with)(p)
		p.write()
	}
}

func set(name, value string) func(*patient) []string {
	return func(*patient) []string { return []string{name + "=" + value} }
}

func configFaults() map[string]fault {
	return map[string]fault{
		"no configuration": {alone: true, after: func(p *patient) { p.must(os.Remove(p.file())) },
			check: "config", code: "config_missing", state: doctor.Fail, seen: "no such file"},
		"misspelled key": {alone: true, before: change("okta", "catch_up", "catchup"),
			check: "config", code: "config_faulty", state: doctor.Fail, seen: "catchup"},
		"policy without what it needs": {alone: true, before: change("leavers", "suspend_as: parked, ", ""),
			check: "config", code: "config_faulty", state: doctor.Fail, seen: "suspend_as"},
		"secret that everybody may read": {alone: true, before: func(p *patient) {
			file := filepath.Join(p.dir, "secret")
			p.must(os.WriteFile(file, []byte(hookSecret), 0o644))
			p.must(os.Chmod(file, 0o644))
			change("okta", "catch_up: 10s", `catch_up: 10s, hook: {secrets: ["file:secret"]}`)(p)
		}, check: "config", state: doctor.Warn, seen: "everybody on this machine may read", also: setUpLacks},
		"rate at which little gets done": {alone: true, before: change("connect", "rate: 1000", "rate: 0.09"),
			check: "config", state: doctor.Warn, seen: "connect.rate: is so little that 100 new agents take 19 minutes", also: setUpLacks},
		"hook-only mode": {alone: true, before: func(p *patient) {
			p.yaml["okta"], p.yaml["policy"], p.yaml["leavers"] = "", "create-only", ""
		}, check: "mode", state: doctor.Warn, seen: "the agents of leavers are not removed", also: []string{"config"}},
	}
}

// setUpLacks are the codes of what is wrong in an org that was not set up.
var setUpLacks = []string{"okta_app", "okta_hook", "username_impossible"}

func databaseFaults() map[string]fault {
	statement := func(query string) func(*patient) {
		return func(p *patient) {
			p.end()
			db, err := sql.Open("sqlite", p.database)
			p.must(err)
			_, err = db.ExecContext(p.t.Context(), query)
			p.must(err)
			p.must(db.Close())
		}
	}
	return map[string]fault{
		"folder of the database is missing": {alone: true, before: func(p *patient) { p.yaml["store"] = "{sqlite: not-there/connectroster.db}" },
			check: "database disk", code: "database_folder", state: doctor.Fail, seen: "does not exist", also: setUpLacks},
		"others may write in the folder": {after: func(p *patient) { p.must(os.Chmod(p.dir, 0o777)) },
			check: "database disk", state: doctor.Warn, seen: "others may write"},
		"disk is full": {alone: true, before: func(p *patient) {
			p.yaml["store"] = fmt.Sprintf("{sqlite: %q}", filepath.Join(smallDisk(p.t), "connectroster.db"))
		}, check: "database disk", code: "database_full", state: doctor.Fail, seen: "are free on the disk", also: append([]string{"database_disk"}, setUpLacks...)},
		"others may read the database": {after: func(p *patient) { p.must(os.Chmod(p.database, 0o644)) },
			check: "database", state: doctor.Warn, seen: "others may read"},
		"not Okta's API": {alone: true, before: func(p *patient) {
			other := httptest.NewServer(http.NotFoundHandler())
			p.t.Cleanup(other.Close)
			p.yaml["okta"] = fmt.Sprintf(`{org: %q, auth: {token: "env:OKTA_API_TOKEN"}, catch_up: 10s}`, other.URL)
		}, check: "okta role", code: "okta_odd_answer", state: doctor.Fail, seen: "look at the groups: okta answered 404"},
		"database of another program": {alone: true, after: func(p *patient) {
			db, err := sql.Open("sqlite", p.database)
			p.must(err)
			_, err = db.ExecContext(p.t.Context(), "CREATE TABLE addresses (street TEXT)")
			p.must(err)
			p.must(db.Close())
			p.must(os.Chmod(p.database, 0o600))
		}, check: "database", code: "database_foreign", state: doctor.Fail, seen: "of another program", also: setUpLacks},
		"no database at all": {alone: true, after: func(p *patient) {
			p.must(os.WriteFile(p.database, []byte(strings.Repeat("this is a letter to my mother\n", 200)), 0o600))
		}, check: "database", code: "database_foreign", state: doctor.Fail, seen: "not a SQLite database", also: setUpLacks},
		"damaged database": {after: func(p *patient) {
			p.end()
			f, err := os.OpenFile(p.database, os.O_RDWR, 0)
			p.must(err)
			info, err := f.Stat()
			p.must(err)
			for at := int64(8192); at < info.Size(); at += 8192 {
				_, err = f.WriteAt([]byte(strings.Repeat("damage", 300)), at)
				p.must(err)
			}
			p.must(f.Close())
		}, check: "database", code: "database_damaged", state: doctor.Fail, seen: "damaged"},
		"database of a newer version": {after: statement("INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)"),
			check: "database", code: "database_newer", state: doctor.Fail, seen: "schema 99"},
		"database in use by who does not answer": {alone: true, after: func(p *patient) {
			p.must(p.open().Close())
			lock, err := os.Open(p.database + ".lock") // which tells the id of this process
			p.must(err)
			p.t.Cleanup(func() { p.must(lock.Close()) })
			p.must(syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB))
		}, check: "database", code: "database_locked", state: doctor.Fail, seen: fmt.Sprint(os.Getpid()), also: setUpLacks},
	}
}

func oktaFaults() map[string]fault {
	ahead := func(d time.Duration) func(*patient) {
		return func(p *patient) {
			p.must(p.org.AddFaults(simokta.Fault{Kind: simokta.FaultLatency, Delay: 1, Times: -1, Headers: map[string]string{
				"Date": time.Now().Add(d).UTC().Format(http.TimeFormat),
			}}))
		}
	}
	roles := func(names ...string) func(*patient) {
		return func(p *patient) { p.must(p.org.SetTokenRoles(apiToken, names...)) }
	}
	return map[string]fault{
		"clock ahead of Okta's": {after: ahead(-2 * time.Minute), stop: true,
			check: "clock", state: doctor.Warn, seen: "s ahead of Okta's"},
		"clock far behind Okta's": {after: ahead(time.Hour), stop: true,
			check: "clock", state: doctor.Fail, seen: "behind Okta's"},
		"Okta is not there": {alone: true, before: func(p *patient) { change("okta", strings.TrimPrefix(p.okta, "http://"), closed)(p) },
			check: "okta reachable", state: doctor.Fail, seen: "connection refused"},
		"something else answers": {alone: true, before: func(p *patient) {
			page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>Please sign in</html>") }))
			p.t.Cleanup(page.Close)
			change("okta", p.okta, page.URL)(p)
		}, check: "okta reachable", state: doctor.Fail, seen: "not an answer of okta's API"},
		"token revoked": {alone: true, env: set("OKTA_API_TOKEN", "a-token-that-okta-does-not-know"),
			check: "okta credential", state: doctor.Fail, seen: "401"},
		"scope not granted": {alone: true, before: func(p *patient) { p.serviceApp("okta.users.read", "okta.groups.read", "okta.apps.read") },
			check: "okta credential", state: doctor.Fail, seen: "okta.logs.read"},
		"no admin role": {alone: true, before: roles("okta.apps.read"),
			check: "okta role", state: doctor.Fail, seen: "empty lists of groups, users, logs", also: []string{"okta_hook"}},
		"role without the System Log": {alone: true, before: roles("okta.apps.read", "okta.users.read", "okta.groups.read", "okta.schemas.read"),
			check: "okta role", state: doctor.Fail, seen: "empty lists of logs", also: []string{"okta_hook"}},
		"group renamed": {after: func(p *patient) { p.must(p.org.UpdateGroup(p.group.ID, "Agents of Amazon Connect", "")) }, stop: true,
			check: "okta groups", state: doctor.Fail, seen: agentGroup, also: []string{"okta_hook"}},
		"group gone by its id": {alone: true, before: change("rules", agentGroup, "00gAAAAAAAAAAAAAAAAA"),
			check: "okta groups", state: doctor.Fail, seen: "00gAAAAAAAAAAAAAAAAA", also: setUpLacks},
		"app misspelled": {alone: true, before: change("okta", "app: Amazon Connect", "app: Amazon Conect"),
			check: "okta app", state: doctor.Fail, seen: "Amazon Conect", also: []string{"okta_hook", "roster"}},
		"group not assigned to the app": {after: func(p *patient) { p.must(p.org.UnassignGroup("Amazon Connect", p.group.ID)) }, stop: true,
			check: "okta app", state: doctor.Fail, seen: "is not assigned", also: []string{"username_impossible"}},
		"group assigned without its role": {after: func(p *patient) {
			p.must(p.org.UnassignGroup("Amazon Connect", p.group.ID))
			p.must(p.org.AssignGroup("Amazon Connect", p.group.ID))
		}, stop: true, check: "okta app", state: doctor.Fail, seen: "without its role", also: []string{"username_impossible"}},
		"rate limit used up by others": {stop: true, after: func(p *patient) {
			p.must(p.org.AddFaults(simokta.Fault{Endpoint: "GET /api/v1/apps", Kind: simokta.FaultLatency, Delay: 1, Times: -1, Headers: map[string]string{"X-Rate-Limit-Remaining": "7"}}))
		}, check: "okta rate", state: doctor.Warn, seen: "7 of 100", also: []string{"okta_app", "roster", "okta_limited"}},
	}
}

// serviceApp makes the credential a service app with these scopes.
func (p *patient) serviceApp(scopes ...string) {
	p.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p.must(err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	p.must(err)
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	p.must(err)
	p.must(os.WriteFile(filepath.Join(p.dir, "okta.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	client, err := p.org.AddClient(simokta.NewClient{
		ClientKey: simokta.ClientKey{PEM: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))},
		Scopes:    scopes, Roles: []string{"READ_ONLY_ADMIN"},
	})
	p.must(err)
	change("okta", `token: "env:OKTA_API_TOKEN"`, fmt.Sprintf(`client_id: %s, private_key: "file:okta.pem"`, client.ClientID))(p)
}

func hookFaults() map[string]fault {
	return map[string]fault{
		"hook was never made": {after: (*patient).dropHook, check: "okta hook", state: doctor.Fail, seen: "has no event hook"},
		"hook switched off": {after: func(p *patient) {
			p.management(http.MethodPost, "eventHooks/"+p.ourHook().ID+"/lifecycle/deactivate", "")
		},
			check: "okta hook", state: doctor.Fail, seen: "is not active"},
		"hook not verified": {after: func(p *patient) {
			p.dropHook()
			p.addHook(func(*simokta.HookConfig) {})
		}, check: "okta hook", state: doctor.Fail, seen: "not verified"},
		"hook lacks events": {after: func(p *patient) {
			p.dropHook()
			h := p.addHook(func(h *simokta.HookConfig) { h.Events = []string{"group.user_membership.add"} })
			p.verify(h.ID)
		}, check: "okta hook", state: doctor.Fail, seen: "does not deliver"},
		"hook filters another group": {after: func(p *patient) {
			p.dropHook()
			h := p.addHook(func(h *simokta.HookConfig) {
				h.Filters = map[string]string{"group.user_membership.add": "event.target.?[type eq 'UserGroup' && id eq '00gAAAAAAAAAAAAAAAAA'].size()>0"}
			})
			p.verify(h.ID)
		}, check: "okta hook", state: doctor.Fail, seen: "filters by something else"},
		"hook calls another address": {args: []string{"--url", "http://127.0.0.1:9/hooks/okta"},
			check: "okta hook", state: doctor.Fail, seen: "calls another address"},
		"deliveries failed": {after: func(p *patient) {
			p.end()
			p.leave(p.bo)
			p.join(p.bo)
			p.idle()
		}, check: "okta hook", code: "okta_deliveries", state: doctor.Warn, seen: "failed in the last 24 hours", also: []string{"open_holds"}},
		"another secret than the daemon's": {env: set("OKTA_HOOK_SECRET", "another-secret-than-the-daemons"),
			check: "hook endpoint", state: doctor.Fail, seen: "401"},
		"only the wrong secret knocks": {before: func(p *patient) {}, after: func(p *patient) {
			p.daemon.stop()
			p.daemon = p.started(p.env...)
			eventually(p.t, patience, func() error {
				if !strings.Contains(p.api(http.MethodGet, "/v1/status"), `"catch_up": {`+"\n"+`    "last"`) {
					return fmt.Errorf("not caught up yet")
				}
				return nil
			})
			if status, _, err := call(http.MethodPost, p.url(), []string{"Authorization: what-strangers-guess", "Content-Type: application/json"}, []byte("{}")); err != nil || status != http.StatusUnauthorized {
				p.t.Fatalf("%d %v", status, err)
			}
		}, check: "hook traffic", state: doctor.Warn, seen: "not one with a secret"},
	}
}

func connectFaults() map[string]fault {
	denied := func(operation string) func(*patient) {
		return func(p *patient) { p.must(p.instance.Deny(operation)) }
	}
	settings := func(change func(*simconnect.Settings)) func(*patient) {
		return func(p *patient) { p.must(p.instance.ChangeSettings(change)) }
	}
	nobody := []string{"AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY="}
	return map[string]fault{
		"no AWS credentials": {alone: true, env: func(*patient) []string { return nobody },
			check: "aws credentials", code: "aws_keys", state: doctor.Fail, also: setUpLacks},
		"AWS profile is not there": {alone: true, before: change("connect", "region:", "profile: nobody, region:"),
			check: "connect settings", state: doctor.Fail, seen: "nobody", also: setUpLacks},
		"Amazon Connect is not there": {alone: true, env: set("AWS_ENDPOINT_URL_CONNECT", "http://"+closed),
			check: "connect instance", code: "connect_unreachable", state: doctor.Fail, seen: "connection refused", also: setUpLacks},
		"instance of another account": {alone: true, before: func(p *patient) { change("connect", p.instance.ID(), "99999999-2222-3333-4444-555555555555")(p) },
			check: "connect instance", code: "instance_missing", state: doctor.Fail, seen: "there is no instance 99999999", also: setUpLacks},
		"one instance of two": {alone: true, before: func(p *patient) {
			p.yaml["policy"], p.yaml["leavers"], p.yaml["connect"] = "create-only", "", ""
			p.yaml["instances"] = fmt.Sprintf("\n  eu: {instance: %s, region: eu-central-1, rate: 1000}\n  us: {instance: 99999999-2222-3333-4444-555555555555, region: eu-central-1, rate: 1000}", p.instance.ID())
			p.yaml["personas"] = "\n  agent: {instance: eu, routing_profile: Basic Routing Profile, security_profiles: [Agent]}\n  abroad: {instance: us, routing_profile: Basic Routing Profile, security_profiles: [Agent]}"
			p.yaml["rules"] += fmt.Sprintf("\n  - {groups: [%s], persona: abroad}", agentGroup)
		}, check: "connect instance", code: "instance_missing", about: "us", state: doctor.Fail, seen: "there is no instance 99999999", also: setUpLacks},
		"alias misspelled": {alone: true, before: func(p *patient) { change("connect", p.instance.ID(), "conectroster-sim")(p) },
			check: "connect instance", code: "instance_missing", state: doctor.Fail, seen: "connectroster-sim", also: setUpLacks},
		"credentials refused": {stop: true, after: func(p *patient) {
			p.must(p.instance.AddFaults(simconnect.Fault{Status: http.StatusForbidden, Code: "ExpiredTokenException", Message: "The security token included in the request is expired", Times: -1}))
		}, check: "connect instance", code: "aws_refused", state: doctor.Fail, seen: "expired"},
		"instance may not be described": {stop: true, after: denied("DescribeInstance"),
			check: "connect instance", code: "aws_denied", state: doctor.Fail, seen: "connect:DescribeInstance"},
		"clock behind AWS's": {stop: true, after: settings(func(s *simconnect.Settings) { s.ClockAhead = 90 * time.Second }),
			check: "clock", state: doctor.Warn, seen: "behind AWS's"},
		"instance with passwords of its own": {alone: true, before: settings(func(s *simconnect.Settings) { s.IdentityType = simconnect.ConnectManaged }),
			check: "connect identity", state: doctor.Fail, seen: "CONNECT_MANAGED", also: setUpLacks},
		"agents may not be searched": {stop: true, after: denied("SearchUsers"),
			check: "connect permissions", code: "aws_denied", state: doctor.Fail, seen: "connect:SearchUsers"},
		"agents may not be described": {stop: true, after: denied("DescribeUser"),
			check: "connect permissions", code: "aws_denied", state: doctor.Fail, seen: "connect:DescribeUser"},
		"agents may not be created": {stop: true, after: denied("CreateUser"),
			check: "connect permissions", code: "aws_denied", state: doctor.Fail, seen: "connect:CreateUser and connect:TagResource"},
		"quick connects may not be searched": {stop: true, after: denied("SearchQuickConnects"),
			check: "connect permissions", code: "aws_denied", state: doctor.Fail, seen: "connect:SearchQuickConnects"},
		"routing profile misspelled": {stop: true, after: rewrite("personas", "Basic Routing Profile", "basic routing profile"),
			check: "connect catalog", code: "profile_unknown", state: doctor.Fail, seen: `there is "Basic Routing Profile"`},
		"park profile deleted": {stop: true, after: func(p *patient) { p.must(p.instance.RemoveCatalogEntry(p.instance.RoutingProfileID("Parked"))) },
			check: "connect catalog", code: "profile_unknown", state: doctor.Fail, seen: `"Parked"`},
		"hierarchy group is not there": {stop: true, after: rewrite("personas", "security_profiles: [Agent]", "security_profiles: [Agent], hierarchy: EMEA/Nowhere"),
			check: "connect catalog", code: "profile_unknown", state: doctor.Fail, seen: "EMEA/Nowhere", also: []string{"config"}},
		"value of an attribute is not there": {stop: true, after: func(p *patient) {
			p.must(p.instance.AddPredefinedAttribute("dialect", "north"))
			rewrite("personas", "security_profiles: [Agent]", "security_profiles: [Agent], proficiencies: {dialect: {south: 3}}")(p)
		}, check: "connect catalog", code: "profile_unknown", state: doctor.Fail, seen: `no value "south"`},
		"few places are left": {stop: true, after: func(p *patient) {
			for n := range 20 {
				p.byHand(fmt.Sprintf("made.by.hand.%d@example.com", n), nil)
			}
			n := len(p.instance.Agents())
			p.must(p.instance.ChangeSettings(func(s *simconnect.Settings) { s.Quota = n + 1 }))
		},
			check: "connect quota", code: "connect_quota", state: doctor.Warn, seen: "are left"},
		"instance is full": {stop: true, after: func(p *patient) {
			n := len(p.instance.Agents())
			p.must(p.instance.ChangeSettings(func(s *simconnect.Settings) { s.Quota = n }))
		}, check: "connect quota", code: "connect_quota_full", state: doctor.Fail, seen: "nobody can be added"},
		"calls are throttled": {stop: true, after: func(p *patient) {
			p.must(p.instance.AddFaults(simconnect.Fault{Operation: "SearchUsers", Status: 429, Code: "ThrottlingException", Times: 1}))
		}, check: "connect rate", state: doctor.Warn, seen: "were throttled", also: []string{"connect_throttled", "connect_quota"}},
		"AWS refuses the daemon": {after: func(p *patient) {
			p.must(p.instance.Deny("UpdateUserIdentityInfo"))
			p.must(p.org.UpdateProfile(p.ana.ID, map[string]any{"lastName": "Newname"}))
			eventually(p.t, patience, func() error {
				if !strings.Contains(p.api(http.MethodGet, "/v1/people/"+p.ana.ID), "UpdateUserIdentityInfo") {
					return fmt.Errorf("not refused yet")
				}
				return nil
			})
		}, check: "connect refusals", state: doctor.Warn, seen: "UpdateUserIdentityInfo"},
	}
}

func peopleFaults() map[string]fault {
	return map[string]fault{
		"username that Amazon Connect cannot hold": {stop: true, after: func(p *patient) {
			u, err := p.org.AddUser(simokta.NewUser{Login: "o'brien+1@example.com", FirstName: "Con", LastName: "O'Brien"})
			p.must(err)
			p.join(u)
		}, check: "usernames", code: "username_impossible", state: doctor.Warn, seen: "1 person"},
		"two people with one username": {stop: true, after: func(p *patient) {
			u := p.hire(7)
			p.join(u)
			p.must(p.org.SetAppUserName(u.ID, "Amazon Connect", p.bo.Login))
		}, check: "unowned agents", code: "username_held", state: doctor.Warn, seen: "another agent of this deployment"},
		"rules without a persona": {stop: true, after: func(p *patient) {
			g, err := p.org.AddGroup("Quality")
			p.must(err)
			u := p.hire(8)
			p.must(p.org.Join(u.ID, g.ID))
			p.must(p.org.AssignGroup("Amazon Connect", g.ID))
			p.yaml["rules"] += "\n  - {groups: [Quality], set: {security_profiles: [QualityAnalyst]}}"
			p.write()
		}, check: "people", code: "no_persona", state: doctor.Warn, seen: "1 person", also: []string{"okta_app", "okta_hook"}},
		"persona of an administrator": {stop: true, after: func(p *patient) {
			id := p.instance.SecurityProfileID("Admin")
			rewrite("personas", "[Agent]", "["+id+"]")(p)
		}, check: "people", code: "profile_forbidden", state: doctor.Fail, seen: "administrator"},
		"queue of a group that is not there": {stop: true, after: func(p *patient) {
			g, err := p.org.AddGroup("Connect Queue Nowhere")
			p.must(err)
			p.must(p.org.Join(p.ana.ID, g.ID))
			p.yaml["rules"] += "\n  - {groups: [\"/^Connect Queue (?<queue>.+)$/\"], set: {routing_profile: \"{queue}\"}}"
			p.write()
		}, check: "people", code: "profile_unknown", state: doctor.Fail, seen: "Nowhere", also: []string{"okta_app", "okta_hook"}},
		"agent made by hand": {stop: true, after: func(p *patient) {
			u := p.hire(9)
			p.byHand(u.Login, nil)
			p.join(u)
		}, check: "unowned agents", code: "exists_not_ours", state: doctor.Warn, seen: "made by hand"},
		"agent of another deployment": {stop: true, after: func(p *patient) {
			u := p.hire(10)
			p.byHand(u.Login, map[string]string{"connectroster:owner": u.ID, "connectroster:deployment": "staging", "connectroster:state": "active"})
			p.join(u)
		}, check: "unowned agents", code: "exists_elsewhere", state: doctor.Warn, seen: "another deployment"},
		"owner unknown to Okta": {stop: true, after: func(p *patient) {
			p.byHand("gone@example.com", map[string]string{"connectroster:owner": "00uAAAAAAAAAAAAAAAAA", "connectroster:deployment": "tests", "connectroster:state": "active"})
		}, check: "orphans", state: doctor.Warn, seen: " of 00uAAAAAAAAAAAAAAAAA"},
		"tags damaged by hand": {stop: true, after: func(p *patient) {
			p.byHand("nobody@example.com", map[string]string{"connectroster:deployment": "tests", "connectroster:state": "active"})
		}, check: "orphans", state: doctor.Warn, seen: "without an owner"},
		"somebody was given up": {after: func(p *patient) {
			p.must(p.instance.AddFaults(simconnect.Fault{Operation: "CreateUser", Status: http.StatusBadRequest, Code: "InvalidParameterException", Message: "no", Times: -1}))
			u := p.hire(11)
			p.join(u)
			eventually(p.t, patience, func() error {
				if !strings.Contains(p.api(http.MethodGet, "/v1/dead"), u.ID) {
					return fmt.Errorf("not given up yet")
				}
				return nil
			})
		}, check: "dead letters", state: doctor.Fail, seen: "InvalidParameter"},
		"dead letter without a daemon": {after: func(p *patient) {
			p.must(p.instance.AddFaults(simconnect.Fault{Operation: "CreateUser", Status: http.StatusBadRequest, Code: "InvalidParameterException", Message: "no", Times: -1}))
			u := p.hire(12)
			p.join(u)
			eventually(p.t, patience, func() error {
				if !strings.Contains(p.api(http.MethodGet, "/v1/dead"), u.ID) {
					return fmt.Errorf("not given up yet")
				}
				return nil
			})
			p.end()
		}, check: "dead letters", state: doctor.Fail, seen: "InvalidParameter"},
		"something waits for approval": {after: func(p *patient) {
			p.must(p.org.EmptyGroup(p.group.ID))
			eventually(p.t, patience, func() error {
				if !strings.Contains(p.api(http.MethodGet, "/v1/holds"), p.ana.ID) {
					return fmt.Errorf("not held yet")
				}
				return nil
			})
		}, check: "open holds", state: doctor.Warn, seen: "in H1"},
	}
}

func daemonFaults() map[string]fault {
	return map[string]fault{
		"daemon of another deployment": {after: func(p *patient) {
			p.yaml["name"] = "staging"
			p.write()
		}, check: "daemon", state: doctor.Fail, seen: "the daemon of the deployment tests answers", also: []string{"okta_hook", "hook_endpoint", "exists_elsewhere"}},
		"daemon with an older configuration": {after: func(p *patient) {
			p.yaml["policy"], p.yaml["leavers"] = "upsert-only", ""
			p.write()
		}, check: "daemon", state: doctor.Warn, seen: "runs with policy sync", also: []string{"config"}},
		"daemon with another database": {after: func(p *patient) {
			p.yaml["store"] = fmt.Sprintf("{sqlite: %q}", filepath.Join(p.dir, "other.db"))
			p.write()
			store, err := sqlite.Open(p.t.Context(), sqlite.Config{Path: filepath.Join(p.dir, "other.db")})
			p.must(err)
			p.must(store.Close())
		}, check: "database", state: doctor.Fail, seen: "though a daemon answers"},
		"sweep fails": {after: func(p *patient) {
			p.must(p.org.AddFaults(simokta.Fault{Endpoint: "GET /api/v1/groups/{id}/users", Kind: simokta.FaultNull, Times: -1}))
			p.api(http.MethodPost, "/v1/sweep")
			eventually(p.t, patience, func() error {
				if !strings.Contains(p.api(http.MethodGet, "/v1/status"), "okta's API") {
					return fmt.Errorf("not failed yet")
				}
				return nil
			})
		}, check: "sweep", state: doctor.Fail, seen: "read everybody", also: []string{"roster", "okta_odd_answer"}},
		"System Log cannot be read": {after: func(p *patient) {
			p.must(p.org.SetTokenRoles(apiToken, "okta.users.read", "okta.groups.read", "okta.apps.read", "okta.schemas.read", "okta.eventhooks.read"))
			p.must(p.org.Configure(func(s *simokta.Settings) { s.MissingRoleForbids = true }))
			eventually(p.t, patience, func() error {
				if !strings.Contains(p.api(http.MethodGet, "/v1/status"), "okta answered 403") {
					return fmt.Errorf("not failed yet")
				}
				return nil
			})
		}, check: "catch up", state: doctor.Fail, seen: "cannot be read", also: []string{"okta_role", "okta_deliveries"}},
		"webhook does not answer": {before: func(p *patient) {
			p.env = []string{"TELL=http://" + closed + "/tell"}
			p.yaml["notify"] = `{webhook: "env:TELL"}`
		}, after: func(p *patient) {
			p.must(p.org.EmptyGroup(p.group.ID))
			eventually(p.t, patience, func() error {
				if strings.Contains(p.api(http.MethodGet, "/v1/status"), `"failed": 0,`+"\n"+`      "dropped"`) {
					return fmt.Errorf("not failed yet")
				}
				return nil
			})
		}, check: "webhook", state: doctor.Warn, seen: "did not", also: []string{"open_holds"}},
	}
}
