package reconcile

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Genuine gives an entry as it will be read again, which is what is sealed. In JSON,
// bytes that are no UTF-8 read all the same, so none may be left.
func Genuine(e Entry) (Entry, error) {
	for _, text := range []*string{&e.Person, &e.Instance, &e.Agent, &e.Reason, &e.Event, &e.By, &e.Hold, &e.Error} {
		*text = valid(*text)
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

// Chains are the ends of the chains of everybody, in the order of people. The chain of
// the anchors is none of them. The zero value has none.
type Chains struct {
	people []string
	heads  map[string]Head
}

// End notes where the chain of a person ends now.
func (c *Chains) End(person string, head Head) {
	if person == "" {
		return
	}
	if c.heads == nil {
		c.heads = map[string]Head{}
	}
	if _, ok := c.heads[person]; !ok {
		i, _ := slices.BinarySearch(c.people, person)
		c.people = slices.Insert(c.people, i, person)
	}
	c.heads[person] = head
}

// Len is how many there are.
func (c *Chains) Len() int { return len(c.people) }

// String is what an anchor says: how many chains there are, and the SHA-256 over
// a line for each, of the quoted person, the number and the hash of its end.
func (c *Chains) String() string {
	sum := sha256.New()
	for _, person := range c.people {
		fmt.Fprintf(sum, "%q %d %s\n", person, c.heads[person].Seq, c.heads[person].Hash)
	}
	return fmt.Sprintf("%d chains end in %x", len(c.people), sum.Sum(nil))
}

// Audit checks what a backend reads of a journal, entry by entry in the order of Seq:
// the chains and, where the entries of everybody come, the anchors.
type Audit struct {
	Chain
	Everybody bool

	ends   Chains
	anchor int64 // the number of the last one
}

// Check reports a *BrokenChainError if the entry is not what was once sealed at this
// place. The salt is what Seal was given; nil: the personal part was erased.
func (a *Audit) Check(e Entry, salt []byte) error {
	if err := a.Chain.Check(e, salt); err != nil {
		var broken *BrokenChainError
		if errors.As(err, &broken) {
			return err
		}
		// It could never have been sealed, as with a time of the year 12345.
		return &BrokenChainError{Seq: e.Seq, Person: e.Person, Reason: "its content was changed"}
	}
	if a.Everybody && e.Kind == EntryAnchor {
		if e.Reason != a.ends.String() {
			return &BrokenChainError{Seq: e.Seq, Reason: fmt.Sprintf(
				"it ties together other chains than there are: one was rewritten or removed as a whole, and so were entries after number %d", a.anchor)}
		}
		a.anchor = e.Seq
	}
	a.ends.End(e.Person, Head{Seq: e.Seq, Hash: e.Hash})
	return nil
}
