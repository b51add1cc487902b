package awsstore

import (
	"errors"
	"testing"
	"time"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
	"connectroster/internal/storetest"
)

func TestBackend(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, now func() time.Time) storetest.Backend {
		c := fresh(t)
		c.Now = now
		return subject{open(t, c), c}
	})
}

// subject is a Store under test that can be opened again and tampered with.
type subject struct {
	*Store
	config Config
}

// Slow says that the stand-in for DynamoDB takes some 20 ms for an item.
func (subject) Slow() int {
	if testing.Short() {
		return 50
	}
	return 20
}

func (s subject) Reopen(t *testing.T) storetest.Backend {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return subject{open(t, s.config), s.config}
}

func (s subject) Tamper(t *testing.T, seq int64, edit func(*reconcile.Entry)) {
	t.Helper()
	content, err := s.get(t.Context(), s.journalKey(seq))
	if err != nil || content == nil {
		t.Fatalf("there is no entry %d (error %v)", seq, err)
	}
	// The personal part stands in the chain where it stood, whatever the entry says.
	at := s.chainKey(s.ownerOf(t, seq), seq)
	personal, err := s.get(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	if edit == nil {
		s.must(t, change{key: s.journalKey(seq), drop: true}, change{key: at, drop: true})
		return
	}
	r := readRow(seq, content, personal)
	e := r.Entry
	edit(&e)
	changed, personal, err := stored(e, r.salt)
	if err != nil {
		t.Fatal(err)
	}
	s.must(t, change{key: s.journalKey(seq), put: changed}, change{key: at, put: personal})
}

// ownerOf finds in whose chain an entry is, whatever it says itself.
func (s subject) ownerOf(t *testing.T, seq int64) string {
	t.Helper()
	heads, err := s.heads(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for person := range heads {
		i, err := s.get(t.Context(), s.chainKey(person, seq))
		if err != nil {
			t.Fatal(err)
		}
		if i != nil {
			return person
		}
	}
	t.Fatalf("entry %d is in no chain", seq)
	return ""
}

func (s subject) TamperHead(t *testing.T, person string, head reconcile.Head) {
	t.Helper()
	c := change{key: s.key("head", person), drop: head == reconcile.Head{}}
	if !c.drop {
		c.put = item{"person": text(person), "seq": number(head.Seq), "hash": text(head.Hash)}
	}
	s.must(t, c)
}

func (s subject) must(t *testing.T, changes ...change) {
	t.Helper()
	if err := s.write(t.Context(), changes...); err != nil {
		t.Fatal(err)
	}
}

// TestJournalParts takes away or damages one of the two parts of an entry, which
// the chain alone does not show.
func TestJournalParts(t *testing.T) {
	t.Parallel()
	for name, harm := range map[string]func(t *testing.T, s subject){
		"the entry is gone":         func(t *testing.T, s subject) { s.must(t, change{key: s.journalKey(2), drop: true}) },
		"the personal part is gone": func(t *testing.T, s subject) { s.must(t, change{key: s.chainKey("a", 2), drop: true}) },
		"the entry is unreadable":   func(t *testing.T, s subject) { s.must(t, change{key: s.journalKey(2), set: item{"entry": text("{")}}) },
		"the entry says more": func(t *testing.T, s subject) {
			s.must(t, change{key: s.journalKey(2), set: item{"entry": text(s.line(t) + " ")}})
		},
		"the agent is unreadable": func(t *testing.T, s subject) {
			s.must(t, change{key: s.chainKey("a", 2), set: item{"after": text("{")}})
		},
		"the salt is gone": func(t *testing.T, s subject) { s.must(t, change{key: s.chainKey("a", 2), remove: []string{"salt"}}) },
		"the last of both is gone": func(t *testing.T, s subject) {
			s.must(t, change{key: s.journalKey(3), drop: true}, change{key: s.chainKey("a", 3), drop: true})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := fresh(t)
			s := subject{open(t, c), c}
			for range 3 {
				e := reconcile.Entry{Time: time.Now(), Person: "a", Kind: reconcile.EntryChange, After: &plan.Agent{Username: "ada"}}
				if err := s.Record(t.Context(), e); err != nil {
					t.Fatal(err)
				}
			}
			for _, person := range []string{"", "a"} {
				if err := s.Verify(t.Context(), person); err != nil {
					t.Fatal(err)
				}
			}
			harm(t, s)
			for _, person := range []string{"", "a"} {
				var broken *reconcile.BrokenChainError
				if err := s.Verify(t.Context(), person); !errors.As(err, &broken) || broken.Seq < 2 {
					t.Errorf("verify %q: got %v, want a broken chain", person, err)
				}
			}
		})
	}
}

// line is entry 2 as it is stored.
func (s subject) line(t *testing.T) string {
	t.Helper()
	i, err := s.get(t.Context(), s.journalKey(2))
	if err != nil {
		t.Fatal(err)
	}
	return i.text("entry")
}
