package awsstore

import (
	"testing"
	"time"

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
func (subject) Slow() int { return 20 }

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
