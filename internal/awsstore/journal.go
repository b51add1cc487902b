package awsstore

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

// blockLength is how many entries of the journal one partition holds, so that none
// grows for ever.
const blockLength = 10_000

func (s *Store) journalKey(seq int64) item {
	return item{partition: text(s.block(seq)), sorting: text(digits(seq))}
}

func (s *Store) block(seq int64) string {
	return s.partition("journal", strconv.FormatInt((seq-1)/blockLength, 10))
}

func (s *Store) chainKey(person string, seq int64) item {
	return item{partition: text(s.partition("chain", person)), sorting: text(digits(seq))}
}

func (s *Store) endKey() item { return s.key("journal", "end") }

// Record implements reconcile.Journal. The number of the entry is taken on the
// condition that nobody else has taken it; then the entry, its personal part and
// the end of the chain are stored in the same piece. An entry of kind "anchor" is
// refused: those are made by Anchor.
func (s *Store) Record(ctx context.Context, e reconcile.Entry) error {
	e, err := reconcile.Genuine(e)
	if err == nil && e.Kind == anchorKind {
		err = errors.New("an anchor cannot be recorded as any entry can")
	}
	if err == nil {
		err = s.recorded(ctx, func() (*reconcile.Entry, error) { return &e, nil })
	}
	if err != nil {
		return fmt.Errorf("record journal entry of person %s: %w", e.Person, err)
	}
	return nil
}

// recorded appends what next gives once the end of the journal is known, unless it
// is nil. Next is asked again when somebody else recorded in between.
func (s *Store) recorded(ctx context.Context, next func() (*reconcile.Entry, error)) error {
	if err := s.writing.take(ctx); err != nil { // we need not be in our own way
		return err
	}
	defer s.writing.give()
	rev := nonce()
	return s.persist(ctx, func() error {
		end, err := s.end(ctx)
		if err != nil {
			return err
		}
		if end.Hash == rev { // done, by an attempt whose answer was lost
			return nil
		}
		e, err := next()
		if err != nil || e == nil {
			return err
		}
		head, err := s.head(ctx, e.Person)
		if err != nil {
			return err
		}
		changes, err := s.append(*e, end, head, rev)
		if err != nil {
			return err
		}
		err = s.write(ctx, changes...)
		var conflict *conflictError
		if errors.As(err, &conflict) && conflict.failed[0].text("rev") == rev {
			return nil
		}
		return err
	})
}

// end reads how far the journal goes; its Hash is the rev of whoever wrote last.
func (s *Store) end(ctx context.Context) (reconcile.Head, error) {
	i, err := s.get(ctx, s.endKey())
	if err != nil {
		return reconcile.Head{}, fmt.Errorf("read the end of the journal: %w", err)
	}
	return reconcile.Head{Seq: i.number("seq"), Hash: i.text("rev")}, nil
}

// head reads the end of a person's chain.
func (s *Store) head(ctx context.Context, person string) (reconcile.Head, error) {
	i, err := s.get(ctx, s.key("head", person))
	if err != nil {
		return reconcile.Head{}, fmt.Errorf("read the head of the chain: %w", err)
	}
	return readHead(i), nil
}

func readHead(i item) reconcile.Head {
	return reconcile.Head{Seq: i.number("seq"), Hash: i.text("hash")}
}

// append gives the changes that append an entry behind the ends that were read.
func (s *Store) append(e reconcile.Entry, end, head reconcile.Head, rev string) ([]change, error) {
	e.Seq = end.Seq + 1
	var salt []byte
	if e.Before != nil || e.After != nil {
		salt = make([]byte, 16)
		_, _ = rand.Read(salt) // never fails
	}
	e, err := reconcile.Seal(e, salt, head.Hash)
	if err != nil {
		return nil, err
	}
	last := change{key: s.endKey(), put: item{"seq": number(e.Seq), "rev": text(rev)}, when: "attribute_not_exists(#seq)"}
	if end.Seq > 0 {
		last.when, last.with = "#seq = :seq", item{"seq": number(end.Seq)}
	}
	advance := change{
		key: s.key("head", e.Person), put: item{"person": text(e.Person), "seq": number(e.Seq), "hash": text(e.Hash)}, when: "attribute_not_exists(#hash)",
	}
	if head != (reconcile.Head{}) {
		advance.when, advance.with = "#hash = :hash", item{"hash": text(head.Hash)}
	}
	content, personal, err := stored(e, salt)
	if err != nil {
		return nil, err
	}
	return []change{
		last, advance,
		{key: s.journalKey(e.Seq), put: content, when: "attribute_not_exists(#entry)"},
		{key: s.chainKey(e.Person, e.Seq), put: personal, when: "attribute_not_exists(#seq)"},
	}, nil
}

// stored is an entry as two items, the personal part apart.
func stored(e reconcile.Entry, salt []byte) (content, personal item, err error) {
	personal = item{"seq": number(e.Seq)}
	if salt != nil {
		personal["salt"] = bytesOf(salt)
	}
	if err := encoded(personal, "before", e.Before); err != nil {
		return nil, nil, err
	}
	if err := encoded(personal, "after", e.After); err != nil {
		return nil, nil, err
	}
	e.Before, e.After = nil, nil
	line, err := json.Marshal(e)
	return item{"entry": text(string(line))}, personal, err
}

// row is an entry with what only Verify asks for.
type row struct {
	reconcile.Entry
	salt  []byte // nil: the personal part was erased or never was
	fault string // what is wrong with the way it is written down, although it may read the same

	unreadable bool // there is nothing to show of it
}

func (r *row) broken() error {
	return &reconcile.BrokenChainError{Seq: r.Seq, Person: r.Person, Reason: r.fault}
}

// readRow puts an entry together. A number that is not that of its place, and a
// part that is not as stored writes it, is a fault.
func readRow(seq int64, content, personal item) row {
	var r row
	if err := json.Unmarshal([]byte(content.text("entry")), &r.Entry); err != nil {
		return row{Entry: reconcile.Entry{Seq: seq}, fault: "it is unreadable", unreadable: true}
	}
	if r.Seq != seq {
		r.Seq, r.fault = seq, "it stands in another place"
		return r
	}
	if personal == nil {
		r.fault = "it is missing in the chain of its person"
		return r
	}
	r.salt = personal.bytes("salt")
	var err error
	if r.Before, err = decoded[plan.Agent](personal, "before"); err == nil {
		r.After, err = decoded[plan.Agent](personal, "after")
	}
	if err != nil {
		r.fault = "its personal part is unreadable"
		return r
	}
	again, part, err := stored(r.Entry, r.salt)
	switch {
	case err != nil || again.text("entry") != content.text("entry"):
		r.fault = "its content was changed"
	case part.text("before") != personal.text("before") || part.text("after") != personal.text("after"),
		r.salt == nil && (r.Before != nil || r.After != nil):
		r.fault = "its personal part was changed"
	}
	return r
}

// entries puts entries together with their personal parts.
func (s *Store) entries(ctx context.Context, contents []item) ([]row, error) {
	var keys []item
	for _, i := range contents {
		var of struct {
			Person string `json:"person"`
		}
		_ = json.Unmarshal([]byte(i.text("entry")), &of) // an entry that is unreadable has no personal part
		keys = append(keys, s.chainKey(of.Person, seqOf(i)))
	}
	found, err := s.getAll(ctx, keys)
	if err != nil {
		return nil, err
	}
	personal := map[[2]string]item{}
	place := func(i item) [2]string { return [2]string{i.text(partition), i.text(sorting)} }
	for _, i := range found {
		personal[place(i)] = i
	}
	var list []row
	for n, i := range contents {
		list = append(list, readRow(seqOf(i), i, personal[place(keys[n])]))
	}
	return list, nil
}

// seqOf is the number by which an entry stands where it does.
func seqOf(i item) int64 {
	seq, _ := strconv.ParseInt(i.text(sorting), 10, 64)
	return seq
}

// Recent implements reconcile.Journal.
func (s *Store) Recent(ctx context.Context, q reconcile.Query) ([]reconcile.Entry, error) {
	limit := q.Limit
	if limit <= 0 {
		limit = 100
	}
	var list []reconcile.Entry
	take := func(rows []row) (more bool, err error) {
		for _, r := range rows {
			if r.unreadable {
				return false, r.broken()
			}
			if q.Kind != "" && r.Kind != q.Kind || q.Person != "" && r.Person != q.Person {
				continue
			}
			if list = append(list, r.Entry); len(list) == limit {
				return false, nil
			}
		}
		return true, nil
	}
	walk := s.walkAll
	if q.Person != "" {
		walk = func(ctx context.Context, w span, do func([]row) (bool, error)) error {
			return s.walkChain(ctx, q.Person, w, do)
		}
	}
	w := span{from: q.After + 1, to: math.MaxInt64, backward: q.After == 0, page: min(limit, 100)}
	if q.Before != 0 {
		w.to = q.Before - 1
	}
	if q.Kind != "" {
		w.page = 100
	}
	if err := walk(ctx, w, take); err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	return list, nil
}
