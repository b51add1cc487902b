package awsstore

import (
	"context"

	"connectroster/internal/reconcile"
)

// span is a range of numbers, both included, and in which order it is read.
type span struct {
	from, to int64
	backward bool
	page     int
}

// walkAll reads entries of everybody, some at once.
func (s *Store) walkAll(ctx context.Context, w span, do func([]row) (more bool, err error)) error {
	end, err := s.end(ctx)
	if err != nil {
		return err
	}
	w.to = min(w.to, end.Seq)
	for w.from <= w.to {
		at, low, high := w.from, w.from, w.to
		if w.backward {
			at = w.to
		}
		first := (at-1)/blockLength*blockLength + 1
		low, high = max(low, first), min(high, first+blockLength-1)
		more, err := s.walk(ctx, asked{partition: s.block(at), from: digits(low), to: digits(high)}, w, s.entries, do)
		if err != nil || !more {
			return err
		}
		if w.backward {
			w.to = low - 1
		} else {
			w.from = high + 1
		}
	}
	return nil
}

// walkChain reads entries of one person, some at once.
func (s *Store) walkChain(ctx context.Context, person string, w span, do func([]row) (more bool, err error)) error {
	q := asked{partition: s.partition("chain", person), from: digits(w.from), to: digits(w.to)}
	if w.from > w.to {
		return nil
	}
	_, err := s.walk(ctx, q, w, func(ctx context.Context, personal []item) ([]row, error) {
		var keys []item
		for _, i := range personal {
			keys = append(keys, s.journalKey(seqOf(i)))
		}
		found, err := s.getAll(ctx, keys)
		if err != nil {
			return nil, err
		}
		contents := map[int64]item{}
		for _, i := range found {
			contents[seqOf(i)] = i
		}
		var list []row
		for _, i := range personal {
			seq := seqOf(i)
			if contents[seq] == nil {
				list = append(list, row{Entry: reconcile.Entry{Seq: seq, Person: person}, fault: "its personal part is there and it is not", unreadable: true})
				continue
			}
			list = append(list, readRow(seq, contents[seq], i))
		}
		return list, nil
	}, do)
	return err
}

// walk asks for items and has them completed page by page.
func (s *Store) walk(ctx context.Context, q asked, w span, complete func(context.Context, []item) ([]row, error), do func([]row) (bool, error)) (more bool, err error) {
	q.backward, q.page = w.backward, int32(w.page)
	var some []item
	more = true
	flush := func() error {
		rows, err := complete(ctx, some)
		if err != nil {
			return err
		}
		some = nil
		more, err = do(rows)
		return err
	}
	err = s.query(ctx, q, func(i item) (bool, error) {
		if some = append(some, i); len(some) < w.page {
			return true, nil
		}
		err := flush()
		return more, err
	})
	if err == nil && more && len(some) > 0 {
		err = flush()
	}
	return more, err
}
