package storetest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"connectroster/internal/reconcile"
)

// sealed is an entry with the salt of its digest; nil if it has no personal part.
type sealed struct {
	reconcile.Entry
	salt []byte
}

// Record implements reconcile.Journal.
func (m *Memory) Record(_ context.Context, e reconcile.Entry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e.Kind == anchor {
		return errors.New("record: an anchor cannot be recorded as any entry can")
	}
	return m.record(e)
}

func (m *Memory) record(e reconcile.Entry) error {
	for _, text := range []*string{&e.Person, &e.Instance, &e.Agent, &e.Reason, &e.Event, &e.By, &e.Hold, &e.Error} {
		*text = strings.ToValidUTF8(*text, "\uFFFD")
	}
	if len(e.Fields) == 0 {
		e.Fields = nil
	}
	e.Fields, e.Before, e.After = slices.Clone(e.Fields), stored(e.Before), stored(e.After)
	e.Seq = m.seq + 1
	var salt []byte
	if e.Before != nil || e.After != nil {
		salt = []byte(rand.Text())
	}
	e, err := reconcile.Seal(e, salt, m.heads[e.Person].Hash)
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	m.seq = e.Seq
	m.journal = append(m.journal, sealed{e, salt})
	m.heads[e.Person] = reconcile.Head{Seq: e.Seq, Hash: e.Hash}
	return nil
}

// Recent implements reconcile.Journal.
func (m *Memory) Recent(_ context.Context, q reconcile.Query) ([]reconcile.Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	limit := q.Limit
	if limit <= 0 {
		limit = 100
	}
	order := slices.Backward(m.journal)
	if q.After != 0 {
		order = slices.All(m.journal)
	}
	var list []reconcile.Entry
	for _, e := range order {
		if q.Person != "" && e.Person != q.Person || q.Kind != "" && e.Kind != q.Kind || q.Before != 0 && e.Seq >= q.Before || q.After != 0 && e.Seq <= q.After {
			continue
		}
		e.Fields, e.Before, e.After = slices.Clone(e.Fields), stored(e.Before), stored(e.After)
		if list = append(list, e.Entry); len(list) == limit {
			break
		}
	}
	return list, nil
}

// Anchor implements Backend.
func (m *Memory) Anchor(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	reason := ends(m.heads)
	for _, e := range slices.Backward(m.journal) {
		if e.Kind == anchor && e.Reason == reason {
			return nil
		}
		if e.Kind == anchor {
			break
		}
	}
	if reason == "" {
		return nil
	}
	return m.record(reconcile.Entry{Time: m.now(), Kind: anchor, Reason: reason})
}

// ends is what an anchor says of the ends of all chains; empty if there are none.
func ends(heads map[string]reconcile.Head) string {
	n, sum := 0, sha256.New()
	for _, person := range slices.Sorted(maps.Keys(heads)) {
		if person != "" {
			n++
			fmt.Fprintf(sum, "%q %d %s\n", person, heads[person].Seq, heads[person].Hash)
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d chains end in %x", n, sum.Sum(nil))
}

// Verify implements Backend.
func (m *Memory) Verify(_ context.Context, person string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var chain reconcile.Chain
	heads := map[string]reconcile.Head{}
	for _, e := range m.journal {
		if person != "" && e.Person != person {
			continue
		}
		if err := chain.Check(e.Entry, e.salt); err != nil {
			return err
		}
		if person == "" && e.Kind == anchor && e.Reason != ends(heads) {
			return &reconcile.BrokenChainError{Seq: e.Seq, Reason: "it ties together other chains than there are"}
		}
		heads[e.Person] = reconcile.Head{Seq: e.Seq, Hash: e.Hash}
	}
	for _, id := range slices.SortedFunc(maps.Keys(m.heads), func(a, b string) int { return int(m.heads[a].Seq - m.heads[b].Seq) }) {
		if person != "" && id != person {
			continue
		}
		if err := chain.Ends(id, m.heads[id]); err != nil {
			return err
		}
	}
	return nil
}

// Tamper implements Tamperer.
func (m *Memory) Tamper(t *testing.T, seq int64, edit func(*reconcile.Entry)) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.IndexFunc(m.journal, func(e sealed) bool { return e.Seq == seq })
	switch {
	case i < 0:
		t.Fatalf("there is no entry %d", seq)
	case edit == nil:
		m.journal = slices.Delete(m.journal, i, i+1)
	default:
		e := m.journal[i].Entry
		e.Before, e.After = stored(e.Before), stored(e.After)
		edit(&e)
		m.journal[i].Entry = e
	}
}

// TamperHead implements Tamperer.
func (m *Memory) TamperHead(t *testing.T, person string, head reconcile.Head) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if head == (reconcile.Head{}) {
		delete(m.heads, person)
		return
	}
	m.heads[person] = head
}
