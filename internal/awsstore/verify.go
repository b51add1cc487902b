package awsstore

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"

	"connectroster/internal/reconcile"
)

// anchorKind is the kind of an entry that Anchor makes.
const anchorKind = reconcile.EntryAnchor

// Anchor ties all chains of the journal together: it records an entry of kind
// "anchor" and of no person, whose Reason counts the chains and holds a digest of
// their ends. Whoever rewrites a whole chain later, and its end, does not get
// past Verify. It records nothing where nothing was recorded since the last one.
func (s *Store) Anchor(ctx context.Context) error {
	err := s.recorded(ctx, func() (*reconcile.Entry, error) {
		// The ends are of the moment at which the end of the journal was read, or
		// the anchor is not recorded.
		heads, err := s.heads(ctx)
		if err != nil {
			return nil, err
		}
		var all reconcile.Chains
		for person, head := range heads {
			all.End(person, head)
		}
		if all.Len() == 0 {
			return nil, nil
		}
		reason := ""
		err = s.walkChain(ctx, "", span{from: 1, to: math.MaxInt64, backward: true, page: 1}, func(last []row) (bool, error) {
			reason = last[0].Reason
			return false, nil
		})
		if err != nil || reason == all.String() {
			return nil, err
		}
		return &reconcile.Entry{Time: s.now(), Kind: anchorKind, Reason: all.String()}, nil
	})
	if err != nil {
		return fmt.Errorf("anchor the journal: %w", err)
	}
	return nil
}

// heads reads the ends of all chains, by person.
func (s *Store) heads(ctx context.Context) (map[string]reconcile.Head, error) {
	heads := map[string]reconcile.Head{}
	err := s.query(ctx, asked{partition: s.partition("head")}, func(i item) (bool, error) {
		heads[i.text("person")] = readHead(i)
		return true, nil
	})
	return heads, err
}

// Verify checks the journal of one person, or with an empty id all of it and its
// anchors, and reports a *reconcile.BrokenChainError for the first entry that is
// not what was recorded.
func (s *Store) Verify(ctx context.Context, person string) error {
	var err error
	if person == "" {
		err = s.verifyAll(ctx)
	} else {
		err = s.verifyChain(ctx, person)
	}
	if err != nil {
		return fmt.Errorf("verify journal: %w", err)
	}
	return nil
}

// verifyChain checks one chain. While it reads, the chain may grow.
func (s *Store) verifyChain(ctx context.Context, person string) error {
	v := verifier{}
	for {
		err := s.walkChain(ctx, person, span{from: v.next(), to: math.MaxInt64, page: 100}, v.take)
		if err != nil {
			return err
		}
		head, err := s.head(ctx, person)
		if err != nil {
			return err
		}
		if head == v.ends[person] {
			return nil
		}
		// It grew if there is an entry behind it, and is broken otherwise.
		if grown := head.Seq > v.last && head.Seq > 0; !grown || v.stuck(head.Seq) {
			return v.Ends(person, head)
		}
	}
}

// verifyAll checks everything up to the end of the journal as it was when it
// began, and the ends of chains that were written since as far as they got.
func (s *Store) verifyAll(ctx context.Context) error {
	v := verifier{Audit: reconcile.Audit{Everybody: true}}
	for {
		if err := s.walkAll(ctx, span{from: v.next(), to: math.MaxInt64, page: 100}, v.take); err != nil {
			return err
		}
		heads, err := s.heads(ctx)
		if err != nil {
			return err
		}
		grown := int64(0)
		people := slices.SortedFunc(maps.Keys(heads), func(a, b string) int { return cmp.Compare(heads[a].Seq, heads[b].Seq) })
		for _, person := range people {
			if heads[person] == v.ends[person] {
				continue
			}
			if heads[person].Seq <= v.last {
				return v.Ends(person, heads[person])
			}
			grown = max(grown, heads[person].Seq)
		}
		for person, head := range v.ends {
			if _, ok := heads[person]; !ok {
				return &reconcile.BrokenChainError{Seq: head.Seq, Person: person, Reason: "the end of the chain is missing"}
			}
		}
		if grown == 0 {
			return nil
		}
		if v.stuck(grown) {
			for _, person := range people {
				if err := v.Ends(person, heads[person]); err != nil {
					return err
				}
			}
		}
	}
}

// verifier checks entries as they come.
type verifier struct {
	reconcile.Audit
	ends   map[string]reconcile.Head // of what was checked
	last   int64                     // the number of the newest entry that was checked
	waited int64
}

func (v *verifier) next() int64 { return v.last + 1 }

// stuck reports whether an entry was waited for that is not there although it was
// said to be.
func (v *verifier) stuck(seq int64) bool {
	again := v.waited == seq
	v.waited = seq
	return again
}

func (v *verifier) take(rows []row) (more bool, err error) {
	for _, r := range rows {
		if r.fault != "" {
			return false, r.broken()
		}
		if err := v.Check(r.Entry, r.salt); err != nil {
			return false, err
		}
		if v.ends == nil {
			v.ends = map[string]reconcile.Head{}
		}
		v.ends[r.Person], v.last = reconcile.Head{Seq: r.Seq, Hash: r.Hash}, r.Seq
	}
	return true, nil
}
