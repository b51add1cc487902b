package sqlite

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

// vandal changes the journal behind the back of a Store.
type vandal struct {
	*testing.T
	db      *sql.DB
	random  *rand.Rand
	people  []string
	entries []reconcile.Entry // in order
}

// TestMutations changes one thing in a journal, again and again (P-56): a byte of
// any column of any row, a whole row, or the order of two. Each is found, and the
// first bad entry named.
func TestMutations(t *testing.T) {
	t.Parallel()
	rounds := 200
	if os.Getenv("CONNECTROSTER_FULL") == "1" {
		rounds = 1000
	}
	if testing.Short() {
		rounds = 60
	}
	s := openSubject(t, filepath.Join(t.TempDir(), "test.db"), time.Now)
	seed := uint64(time.Now().UnixNano())
	v := &vandal{T: t, random: rand.New(rand.NewPCG(seed, 0)), people: []string{"00u1", "00u2", "00u3"}}
	v.fill(s)
	var err error
	if v.db, err = sql.Open("sqlite", source(s.path, "synchronous(OFF)")); err != nil {
		t.Fatal(err)
	}
	defer v.db.Close()
	for _, trigger := range []string{"journal_no_update", "journal_no_delete", "journal_personal_no_update"} {
		v.exec(`DROP TRIGGER ` + trigger)
	}
	kinds := map[string]int{}
	for n := range rounds {
		what, want, undo := v.mutate()
		kinds[strings.Fields(what)[0]]++
		var broken *reconcile.BrokenChainError
		if err := s.Verify(t.Context(), ""); !errors.As(err, &broken) {
			t.Fatalf("seed %d, mutation %d, %s: verify says %v", seed, n, what, err)
		}
		if want != 0 && broken.Seq != want {
			t.Fatalf("seed %d, mutation %d, %s: verify says %v, want entry %d", seed, n, what, broken, want)
		}
		undo()
		if err := s.Verify(t.Context(), ""); err != nil {
			t.Fatalf("seed %d, after undoing mutation %d, %s: %v", seed, n, what, err)
		}
	}
	t.Logf("%d of 1000 mutations, all found: %v; CONNECTROSTER_FULL=1 makes all", rounds, kinds)
}

// fill records entries of every kind, with every column in use.
func (v *vandal) fill(s subject) {
	agent := func(i int) *plan.Agent {
		return &plan.Agent{
			ID: "agent", Username: "ada", FirstName: "Ada", LastName: "Løvelace <&>", SecurityProfiles: []string{"s1", "s2"},
			Proficiencies: []plan.Proficiency{{Attribute: "language", Value: "de", Level: i%5 + 1}}, Tags: map[string]string{"b": "1", "a": "\u2028\x00"},
			Since: time.Date(2026, 1, 1, 0, 0, i, 0, time.UTC),
		}
	}
	for i := range 45 {
		e := reconcile.Entry{
			Time: time.Now(), Person: v.people[i%3], Instance: "eu", Agent: "agent", Kind: reconcile.EntryChange, Action: plan.Update,
			Fields: []plan.Field{plan.FieldName, plan.FieldTags}, Code: plan.Held, Reason: "in group <Agents> & \u2028 \uFFFD \xff", Trigger: reconcile.TriggerHook,
			Event: "uuid", By: "eve", Hold: "H1", Error: "none", Duration: 1500, Before: agent(i), After: agent(i + 1),
		}
		if i%5 == 0 {
			e = reconcile.Entry{Time: time.Now(), Person: e.Person, Kind: reconcile.EntryRefusal, Reason: "r"}
		}
		if err := s.Record(v.Context(), e); err != nil {
			v.Fatal(err)
		}
		if i%20 == 10 {
			if err := s.Anchor(v.Context()); err != nil {
				v.Fatal(err)
			}
		}
	}
	var err error
	if v.entries, err = s.Recent(v.Context(), reconcile.Query{After: -1, Limit: 1000}); err != nil || len(v.entries) != 47 {
		v.Fatalf("%d entries (error %v)", len(v.entries), err)
	}
}

func (v *vandal) exec(query string, args ...any) {
	v.Helper()
	if _, err := v.db.Exec(query, args...); err != nil {
		v.Fatalf("%s: %v", query, err)
	}
}

// mutate makes one change. It gives what it did, which entry must be named, 0 for
// any, and how to undo it.
func (v *vandal) mutate() (what string, seq int64, undo func()) {
	i := v.random.IntN(len(v.entries))
	e := v.entries[i]
	switch v.random.IntN(10) {
	case 0:
		return v.remove(i)
	case 1:
		other := v.entries[(i+1+v.random.IntN(len(v.entries)-1))%len(v.entries)]
		v.swap(e.Seq, other.Seq)
		return fmt.Sprintf("swap of entries %d and %d", e.Seq, other.Seq), min(e.Seq, other.Seq), func() { v.swap(e.Seq, other.Seq) }
	case 2:
		columns := []string{"seq", "hash", "person"}
		return v.column("journal_heads", columns[v.random.IntN(3)], `person = ?`, v.people[v.random.IntN(3)], 0)
	case 3, 4, 5:
		if e.Digest != "" {
			columns := []string{"salt", "before", "after"}
			return v.column("journal_personal", columns[v.random.IntN(3)], `seq = ?`, e.Seq, e.Seq)
		}
	}
	columns := strings.Split(strings.ReplaceAll(sealedColumns, " ", ""), ",")[1:] // seq is for swap
	return v.column("journal", columns[v.random.IntN(len(columns))], `seq = ?`, e.Seq, e.Seq)
}

// remove deletes an entry. The next one of its person does not follow then, or
// the chain ends too early.
func (v *vandal) remove(i int) (what string, seq int64, undo func()) {
	e := v.entries[i]
	seq = e.Seq
	for _, later := range v.entries[i+1:] {
		if later.Person == e.Person {
			seq = later.Seq
			break
		}
	}
	// An anchor notices the loss of somebody's last entry before it.
	for _, later := range v.entries[i+1:] {
		if later.Kind == anchorKind && later.Seq < seq {
			seq = later.Seq
		}
	}
	v.exec(`CREATE TABLE kept AS SELECT * FROM journal WHERE seq = ?`, e.Seq)
	v.exec(`DELETE FROM journal WHERE seq = ?`, e.Seq)
	return fmt.Sprintf("removal of entry %d", e.Seq), seq, func() {
		v.exec(`INSERT INTO journal SELECT * FROM kept`)
		v.exec(`DROP TABLE kept`)
	}
}

// swap exchanges the places of two entries, with their personal parts.
func (v *vandal) swap(a, b int64) {
	for _, table := range []string{"journal", "journal_personal"} {
		v.exec(`UPDATE `+table+` SET seq = -1 WHERE seq = ?`, a)
		v.exec(`UPDATE `+table+` SET seq = ? WHERE seq = ?`, a, b)
		v.exec(`UPDATE `+table+` SET seq = ? WHERE seq = -1`, b)
	}
}

// column changes a byte of a column of a row, or its type.
func (v *vandal) column(table, column, where string, key any, want int64) (what string, seq int64, undo func()) {
	var old any
	if err := v.db.QueryRow(`SELECT `+column+` FROM `+table+` WHERE `+where, key).Scan(&old); err != nil {
		v.Fatal(err)
	}
	what = fmt.Sprintf("change of %s of %s %v from %.300q", column, table, key, fmt.Sprint(old))
	var changed any
	switch old := old.(type) {
	case int64:
		changed = old ^ 1<<v.random.IntN(62)
	case string:
		changed = string(v.edit([]byte(old)))
		if v.random.IntN(8) == 0 && table == "journal" {
			changed = []byte(old) // it reads the same
		}
	case []byte:
		changed = v.edit(old)
	case nil:
		changed = "{}"
	}
	what += fmt.Sprintf(" to %.300q", changed)
	if table == "journal_heads" && column == "person" { // the row is another one now
		return what, want, v.rename(key, changed)
	}
	v.exec(`UPDATE `+table+` SET `+column+` = ? WHERE `+where, changed, key)
	return what, want, func() { v.exec(`UPDATE `+table+` SET `+column+` = ? WHERE `+where, old, key) }
}

func (v *vandal) rename(from, to any) func() {
	v.exec(`UPDATE journal_heads SET person = ? WHERE person = ?`, to, from)
	return func() { v.exec(`UPDATE journal_heads SET person = ? WHERE person = ?`, from, to) }
}

// edit changes, inserts or removes one byte.
func (v *vandal) edit(text []byte) []byte {
	text = bytes.Clone(text)
	if len(text) == 0 {
		return []byte{byte(' ' + v.random.IntN(90))}
	}
	i := v.random.IntN(len(text))
	switch v.random.IntN(4) {
	case 0:
		return slices.Insert(text, i, []byte(" \n\x00x\"\\\xff0")[v.random.IntN(8)])
	case 1:
		if len(text) > 1 {
			if i+1 < len(text) && text[i] == text[i+1] {
				break // removing either gives the same, which is fine too
			}
			return slices.Delete(text, i, i+1)
		}
	case 2:
		text[i] ^= 0x20 // another case, often
		return text
	}
	text[i] ^= byte(1 + v.random.IntN(255))
	return text
}
