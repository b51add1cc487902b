package awsstore

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

// anchorKind is the kind of an entry that Anchor makes.
const anchorKind = reconcile.EntryAnchor

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
	e, err := genuine(e)
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

// genuine gives the entry as it will be read again, which is what is sealed. In
// JSON, bytes that are no UTF-8 read all the same, so none may be left.
func genuine(e reconcile.Entry) (reconcile.Entry, error) {
	for _, text := range []*string{&e.Person, &e.Instance, &e.Agent, &e.Reason, &e.Event, &e.By, &e.Hold, &e.Error} {
		*text = strings.ToValidUTF8(*text, "\uFFFD")
	}
	e.Kind, e.Action, e.Code, e.Trigger = valid(e.Kind), valid(e.Action), valid(e.Code), valid(e.Trigger)
	content, err := json.Marshal([]any{e.Fields, e.Before, e.After})
	if err != nil {
		return e, err
	}
	e.Fields, e.Before, e.After = nil, nil, nil
	err = json.Unmarshal(content, &[]any{&e.Fields, &e.Before, &e.After})
	if len(e.Fields) == 0 {
		e.Fields = nil
	}
	return e, err
}

func valid[T ~string](text T) T { return T(strings.ToValidUTF8(string(text), "\uFFFD")) }

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

// rows puts entries together with their personal parts.
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
		var all chains
		for person, head := range heads {
			all.end(person, head)
		}
		if len(all) == 0 {
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

// chains are the ends of the chains of everybody. The chain of the anchors is none
// of them.
type chains map[string]reconcile.Head

func (c *chains) end(person string, head reconcile.Head) {
	if *c == nil {
		*c = chains{}
	}
	if person != "" {
		(*c)[person] = head
	}
}

// String is what an anchor says: how many chains there are, and the SHA-256 over
// a line for each, of the quoted person, the number and the hash of its end.
func (c chains) String() string {
	sum := sha256.New()
	for _, person := range slices.Sorted(maps.Keys(c)) {
		fmt.Fprintf(sum, "%q %d %s\n", person, c[person].Seq, c[person].Hash)
	}
	return fmt.Sprintf("%d chains end in %x", len(c), sum.Sum(nil))
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
		err := s.walkChain(ctx, person, span{from: v.next(), to: math.MaxInt64, page: 100}, v.check)
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
			return v.chain.Ends(person, head)
		}
	}
}

// verifyAll checks everything up to the end of the journal as it was when it
// began, and the ends of chains that were written since as far as they got.
func (s *Store) verifyAll(ctx context.Context) error {
	v := verifier{anchors: true}
	for {
		if err := s.walkAll(ctx, span{from: v.next(), to: math.MaxInt64, page: 100}, v.check); err != nil {
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
				return v.chain.Ends(person, heads[person])
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
				if err := v.chain.Ends(person, heads[person]); err != nil {
					return err
				}
			}
		}
	}
}

// verifier checks entries as they come.
type verifier struct {
	chain   reconcile.Chain
	ends    map[string]reconcile.Head // of what was checked
	all     chains
	last    int64 // the number of the newest entry that was checked
	anchors bool  // entries of everybody come, so anchors can be checked
	anchor  int64
	waited  int64
}

func (v *verifier) next() int64 { return v.last + 1 }

// stuck reports whether an entry was waited for that is not there although it was
// said to be.
func (v *verifier) stuck(seq int64) bool {
	again := v.waited == seq
	v.waited = seq
	return again
}

func (v *verifier) check(rows []row) (more bool, err error) {
	for _, r := range rows {
		if r.fault != "" {
			return false, r.broken()
		}
		if err := v.chain.Check(r.Entry, r.salt); err != nil {
			var broken *reconcile.BrokenChainError
			if errors.As(err, &broken) {
				return false, err
			}
			// It could never have been sealed, as with a time of the year 12345.
			return false, &reconcile.BrokenChainError{Seq: r.Seq, Person: r.Person, Reason: "its content was changed"}
		}
		if v.anchors && r.Kind == anchorKind {
			if r.Reason != v.all.String() {
				return false, &reconcile.BrokenChainError{Seq: r.Seq, Reason: fmt.Sprintf(
					"it ties together other chains than there are: one was rewritten or removed as a whole, and so were entries after number %d", v.anchor)}
			}
			v.anchor = r.Seq
		}
		if v.ends == nil {
			v.ends = map[string]reconcile.Head{}
		}
		head := reconcile.Head{Seq: r.Seq, Hash: r.Hash}
		v.ends[r.Person], v.last = head, r.Seq
		v.all.end(r.Person, head)
	}
	return true, nil
}
