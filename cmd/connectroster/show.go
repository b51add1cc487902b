package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/text/unicode/norm"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
	simconnect "connectroster/internal/sim/connect"
	simokta "connectroster/internal/sim/okta"
)

// fewPeople is up to how many people each gets a line; beyond it a bar is shown.
const fewPeople = 20

// show prints what happens in the playground.
type show struct {
	out      io.Writer
	paint    func(c colour, text string) string
	terminal bool
	people   int
	rate     float64       // agents per second that the instance allows; 0: without limit
	done     chan struct{} // closed when every person has an outcome
	login    func(id string) string

	mu      sync.Mutex
	users   []simokta.User
	joins   map[string]time.Time // by Okta user id
	settled map[string]bool
	times   []time.Time // when they were settled
	started time.Time
	first   time.Duration // the quickest and the slowest, from event to agent
	last    time.Duration
	drawn   bool // a bar is on the last line
	silent  bool
}

func newShow(out io.Writer, people int, rate float64) *show {
	p := &printer{colours: wantsColours(out)}
	return &show{out: out, paint: p.paint, terminal: isTerminal(out), people: people, rate: rate, done: make(chan struct{}), joins: map[string]time.Time{}, settled: map[string]bool{}}
}

func isTerminal(out any) bool {
	f, ok := out.(*os.File)
	return ok && terminalWidth(f) >= 0
}

// every is the time between two progress lines.
func (s *show) every() time.Duration {
	if s.terminal {
		return 250 * time.Millisecond
	}
	return 10 * time.Second
}

func (s *show) opening(p *playground) {
	fmt.Fprintf(s.out, "%s\n\n", s.paint(bold, "connectroster dev: Okta, Amazon Connect and the daemon on this machine"))
	fmt.Fprintf(s.out, "  Okta simulator            %s\n", p.orgURL)
	fmt.Fprintf(s.out, "  Amazon Connect simulator  %s\n", p.instanceURL)
	fmt.Fprintf(s.out, "  connectroster             http://%s/hooks/okta  %s\n\n", p.daemon.Addr(), s.paint(faint, "(verified by Okta)"))
	fmt.Fprintf(s.out, "%s the Okta group %q.", count(s.people, "person joins", "people join"), devGroup)
	if p.options.drop > 0 {
		fmt.Fprintf(s.out, " %s of the events are not delivered; the System Log tells of them every 10 s.", &p.options.drop)
	}
	fmt.Fprint(s.out, "\n\n")
}

// joined notes that a user is about to be put into the group.
func (s *show) joined(u simokta.User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started.IsZero() {
		s.started = time.Now()
	}
	s.users = append(s.users, u)
	s.joins[u.ID] = time.Now()
}

// outcome is called by the daemon's workers.
func (s *show) outcome(o reconcile.Outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.silent {
		return
	}
	joined, seeded := s.joins[o.Work.Person]
	if !seeded { // somebody who was hired by hand
		s.line(o, o.Finished.Sub(o.Work.Since))
		return
	}
	// Somebody may be looked at between being hired and joining the group.
	if o.Refusal != nil && o.Refusal.Code == plan.NotEntitled && !s.settled[o.Work.Person] {
		return
	}
	// Of many people, whoever waits for a rate limit is no news.
	again := o.Err != nil && o.Verdict.State == reconcile.Later
	if s.people <= fewPeople || o.Refusal != nil || o.Err != nil && !again {
		s.line(o, time.Since(joined))
	}
	if o.Verdict.State == reconcile.Later || s.settled[o.Work.Person] {
		return
	}
	if o.Action != "" {
		took := time.Since(joined)
		if s.first == 0 || took < s.first {
			s.first = took
		}
		s.last = max(s.last, took)
	}
	s.settled[o.Work.Person] = true
	s.times = append(s.times, time.Now())
	if len(s.settled) == s.people {
		close(s.done)
	}
}

// silence ends the lines about people: the playground is being closed.
func (s *show) silence() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silent = true
}

// line prints how one look at a person ended.
func (s *show) line(o reconcile.Outcome, took time.Duration) {
	s.wipe()
	login := s.login(o.Work.Person)
	switch {
	case o.Refusal != nil:
		fmt.Fprintf(s.out, "  %-32s %s %s\n", login, s.paint(yellow, "refused:"), o.Refusal.Reason)
	case o.Err != nil:
		fmt.Fprintf(s.out, "  %-32s %s\n", login, o.Verdict.Reason)
	case o.Action == plan.Create:
		fmt.Fprintf(s.out, "  %-32s %s in %8s   %s\n", login, s.paint(green, "event -> agent"), took.Round(time.Millisecond), s.paint(faint, o.Agent))
	case o.Action != "":
		fmt.Fprintf(s.out, "  %-32s %s in %8s   %s\n", login, s.paint(green, fmt.Sprintf("%-14s", o.Action)), took.Round(time.Millisecond), s.paint(faint, o.Agent))
	}
}

// progress draws the bar, if the people are many.
func (s *show) progress() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.people <= fewPeople {
		return
	}
	const width = 30
	n := len(s.settled)
	full := width * n / s.people
	left := "no estimate yet"
	if d, known := remaining(s.started, s.times, time.Now(), s.people-n); known {
		left = d.Round(time.Second).String() + " left"
	}
	text := fmt.Sprintf("  [%s%s] %d/%d  %s", strings.Repeat("#", full), strings.Repeat(".", width-full), n, s.people, left)
	if s.terminal {
		fmt.Fprintf(s.out, "\r\x1b[K%s", text)
		s.drawn = true
		return
	}
	fmt.Fprintln(s.out, text)
}

// recent is how far back it is counted how fast it goes, and recently the least
// number of people that it is counted by.
const (
	recent   = 30 * time.Second
	recently = 5
)

// remaining estimates how long so many people take still, from how fast the last
// ones were settled.
func remaining(started time.Time, settled []time.Time, now time.Time, left int) (time.Duration, bool) {
	n := len(settled)
	if n == 0 {
		return 0, false
	}
	first := sort.Search(n, func(i int) bool { return settled[i].After(now.Add(-recent)) })
	first = max(0, min(first, n-recently))
	since := started
	if first > 0 {
		since = settled[first-1]
	}
	if window := now.Add(-recent); n-first > recently && since.Before(window) {
		since = window
	}
	return time.Duration(float64(now.Sub(since)) / float64(n-first) * float64(left)), true
}

func (s *show) wipe() {
	if s.drawn {
		fmt.Fprint(s.out, "\r\x1b[K")
		s.drawn = false
	}
}

// summary prints the roster and reports whether every agent is right.
func (s *show) summary(p *playground) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wipe()
	fmt.Fprintln(s.out)
	right := 0
	rows := [][]string{{"AGENT", "FIRST NAME", "LAST NAME", "ROUTING PROFILE", "RESULT"}}
	for i, u := range s.users {
		agent, fault := p.agentFault(u)
		if fault == "" {
			right++
			fault = "ok"
			if i >= fewPeople {
				continue
			}
		}
		rows = append(rows, []string{u.Login, agent.IdentityInfo.FirstName, agent.IdentityInfo.LastName, p.routingName(agent.RoutingProfile), fault})
	}
	s.table(rows)
	if len(s.users) > fewPeople {
		fmt.Fprintf(s.out, "  and the rest: only those with a fault are shown beyond %d\n", fewPeople)
	}
	create := p.instance.Stats().Operations["CreateUser"]
	var calls, throttled int
	if create != nil {
		calls, throttled = create.Calls, create.Throttled
	}
	fmt.Fprintf(s.out, "\n%s %s of CreateUser, %d throttled.\nFrom event to agent: %s at best, %s at worst.\n",
		s.paint(bold, fmt.Sprintf("%d of %d agents are right.", right, len(s.users))), count(calls, "call", "calls"), throttled, s.first.Round(time.Millisecond), s.last.Round(time.Millisecond))
	return right == s.people
}

// table prints rows of as many cells as the first one has, which is the heading. The
// last cell says whether all is well.
func (s *show) table(rows [][]string) {
	widths := make([]int, len(rows[0]))
	for _, cells := range rows {
		for i, cell := range cells {
			widths[i] = max(widths[i], columns(cell))
		}
	}
	for n, cells := range rows {
		fmt.Fprint(s.out, "  ")
		for i, cell := range cells {
			c, last := plain, i == len(cells)-1
			switch {
			case n == 0:
				c = faint
			case last && cell == "ok":
				c = green
			case last:
				c = red
			}
			fmt.Fprint(s.out, s.paint(c, cell))
			if !last {
				fmt.Fprint(s.out, strings.Repeat(" ", widths[i]-columns(cell)+2))
			}
		}
		fmt.Fprintln(s.out)
	}
}

// next says what to try.
func (s *show) next(p *playground) {
	first, program := s.users[0], shellName()
	fmt.Fprintf(s.out, `
Try next, in another terminal:

  1. Hire somebody and watch the line appear here:
     curl -s -d '{"firstName":"Grace","lastName":"Hopper","login":"grace@example.com","groups":[%q]}' %s/_sim/people
`, devGroup, p.orgURL)
	if !p.options.hookOnly {
		fmt.Fprintf(s.out, `
  2. Give %s another queue, or suspend them in Okta, and watch Amazon Connect follow:
     curl -s -d '{"group":%q}' %s/_sim/people/%s/join
     curl -s -X POST %s/_sim/people/%s/suspend
`, first.Login, devQueue, p.orgURL, first.ID, p.orgURL, first.ID)
	}
	fmt.Fprintf(s.out, `
  3. Ask why somebody is what they are, what would be done now, and what was:
     %[3]s explain --socket %[1]s %[2]s
     %[3]s plan --socket %[1]s
     %[3]s journal --socket %[1]s
`, p.socket, first.Login, program)
	if !p.options.hookOnly {
		fmt.Fprintf(s.out, `
  4. Take everybody out of the group at once: nobody is suspended, all of it waits for you:
     curl -s -X POST %s/_sim/groups/%s/empty
     %s holds --socket %s
`, p.orgURL, p.group, program, p.socket)
	}
	fmt.Fprintf(s.out, `
  5. See what Amazon Connect was asked to do, call by call:
     curl -s %s/_sim/ledger

Ctrl-C ends it.
`, p.instanceURL)
}

// shellName is how this program is called from a shell: by its name, or by its path where
// the shell would not find it, as under go run.
func shellName() string {
	const name = "connectroster"
	if _, err := exec.LookPath(name); err == nil {
		return name
	}
	path, err := os.Executable()
	switch {
	case err != nil:
		return name
	case strings.ContainsAny(path, " '\"\\$`"):
		return strconv.Quote(path)
	}
	return path
}

// sameName reports whether the agent bears the name that Okta shows. Hooks tell
// only the display name, so in hook-only mode where it is split does not count.
func (p *playground) sameName(a simconnect.Agent, u simokta.User) bool {
	first, _ := u.Profile["firstName"].(string)
	last, _ := u.Profile["lastName"].(string)
	first, last = norm.NFC.String(first), norm.NFC.String(last)
	if p.options.hookOnly {
		return a.IdentityInfo.FirstName+" "+a.IdentityInfo.LastName == first+" "+last
	}
	return a.IdentityInfo.FirstName == first && a.IdentityInfo.LastName == last
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
