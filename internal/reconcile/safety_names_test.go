package reconcile_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/unicode/norm"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

// hostileNames are names that a machine reads otherwise than a person, or that
// come back changed.
func hostileNames() []string {
	list := []string{
		"", " ", "\u200b", "\u200bAna", "A\u200bna", "Ana\u202e", "\u2066Ana\u2069", "e\u0301", "\u00e9", "\u1112\u1161\u11ab", "\u212b", "A\x00na", "Ana\r\nSilva",
		"\ufeffAna", "\ufffd", "क्\u200dष", "می\u200cخواهم", "👩\u200d👩\u200d👧", "𝕬𝖓𝖆", "ﬁ", "ǅ", "İ", "ß", "\u0301", "a\u0315\u0300\u05ae\u0062", "<script>", "'; DROP TABLE",
		"=cmd()", "\x1b[31m", "\u2028", "N/A", "null", "undefined", "%s%n", "../..", strings.Repeat("é", 300), strings.Repeat("e\u0301", 300), strings.Repeat("👩", 300),
		strings.Repeat("A ", 200), strings.Repeat("\u200b", 400) + "A", "\u115f", "\u2800", "\u00a0Ana\u00a0", "Ａｎａ",
	}
	random := rand.New(rand.NewPCG(31, 31))
	more := 60
	if full() {
		more = 2000
	}
	for range more {
		var b strings.Builder
		for range random.IntN(20) + 1 {
			b.WriteRune(rune(random.IntN(0x3100)))
		}
		list = append(list, strings.ToValidUTF8(b.String(), ""))
	}
	return list
}

// TestHostileNamesSettle is promises P-31 and P-32 for updates: whatever somebody
// is called, the second look makes no write.
func TestHostileNamesSettle(t *testing.T) {
	t.Parallel()
	r := newLife(t)
	id := r.team(1)[0]
	names, refused := hostileNames(), 0
	for _, name := range names {
		r.change(id, func(p *plan.Person) { p.FirstName, p.LastName = norm.NFC.String(name), norm.NFC.String(name+" "+name) })
		for turn := range 2 {
			n := len(r.sim.Ledger())
			r.ask(id)
			r.settle(time.Second)
			if now := len(r.sim.Ledger()); turn == 1 && now != n {
				t.Fatalf("%q: the second look makes %d writes", name, now-n)
			}
		}
		if w := r.state(id); w.State != reconcile.StateIdle {
			t.Fatalf("%q: %s %s", name, w.State, w.Reason)
		}
		r.outcomes = r.outcomes[:0]
		// The same as a username, which may be refused and never mangled.
		r.change(id, func(p *plan.Person) { p.Username = name + "@example.com" })
		before, _ := r.agentOf(id)
		r.ask(id)
		r.settle(time.Second)
		after, found := r.agentOf(id)
		switch {
		case !found:
			t.Fatalf("%q: there is no agent", name)
		case after.ID != before.ID && after.Username != name+"@example.com":
			t.Fatalf("%q became %q", name, after.Username)
		case after.ID == before.ID:
			refused++
		}
		r.change(id, func(p *plan.Person) { p.Username = after.Username })
	}
	t.Logf("%d names; as usernames %d of them refused", len(names), refused)
}
