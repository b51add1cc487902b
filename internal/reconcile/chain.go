package reconcile

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"connectroster/internal/plan"
)

// Seal gives an entry its place in the chain of its person: previous is the Hash
// of the entry before, empty for the first. Seq must be set already. Time is cut
// to microseconds and put in UTC, which is what every backend keeps.
//
// Canonical JSON here is what encoding/json gives, with the keys of every object
// sorted, numbers as they were written, no white space, and <, > and & as they
// are. A field of Entry or plan.Agent that is left out when empty can therefore
// be added later without breaking the chains of old.
//
//   - Digest is the lower-case hex SHA-256 over the salt followed by the
//     canonical JSON of {"after": After, "before": Before}, null where there is
//     none. It is empty when there is neither.
//   - Hash is the lower-case hex SHA-256 over the canonical JSON of the entry
//     without Before, After and Hash.
func Seal(e Entry, salt []byte, previous string) (Entry, error) {
	e.Time = e.Time.Truncate(time.Microsecond).UTC()
	e.Previous = previous
	var err error
	if e.Digest, err = digest(e, salt); err != nil {
		return Entry{}, err
	}
	if e.Hash, err = hash(e); err != nil {
		return Entry{}, err
	}
	return e, nil
}

// Chain checks the journal, entry by entry in the order of Seq. The zero value
// starts at the first entry of everybody.
type Chain struct {
	heads map[string]Head
}

// Head is the newest entry of one person's chain.
type Head struct {
	Seq  int64
	Hash string
}

// Check reports a *BrokenChainError if the entry is not what was once sealed at
// this place. The salt is what Seal was given; a nil salt says that the personal
// part was erased, so that the Digest cannot be checked.
func (c *Chain) Check(e Entry, salt []byte) error {
	broken := func(reason string) error {
		return &BrokenChainError{Seq: e.Seq, Person: e.Person, Reason: reason}
	}
	head := c.heads[e.Person]
	if e.Seq <= head.Seq {
		return broken("its number is out of order")
	}
	if e.Previous != head.Hash {
		return broken("it does not follow the entry before it")
	}
	want, err := hash(e)
	if err != nil {
		return err
	}
	if e.Hash != want {
		return broken("its content was changed")
	}
	if salt != nil || e.Before != nil || e.After != nil {
		if want, err = digest(e, salt); err != nil {
			return err
		}
		if e.Digest != want {
			return broken("its personal part was changed")
		}
	}
	if c.heads == nil {
		c.heads = map[string]Head{}
	}
	c.heads[e.Person] = Head{Seq: e.Seq, Hash: e.Hash}
	return nil
}

// Ends reports a *BrokenChainError if the chain of the person does not end in
// the head that was kept apart from it, which says that entries were cut off.
func (c *Chain) Ends(person string, head Head) error {
	if last := c.heads[person]; last != head {
		return &BrokenChainError{Seq: max(last.Seq, head.Seq), Person: person, Reason: "the chain does not end where it should"}
	}
	return nil
}

// BrokenChainError names the first bad entry of a journal.
type BrokenChainError struct {
	Seq    int64
	Person string
	Reason string
}

func (e *BrokenChainError) Error() string {
	return fmt.Sprintf("journal entry %d of person %s is not genuine: %s", e.Seq, e.Person, e.Reason)
}

func digest(e Entry, salt []byte) (string, error) {
	if e.Before == nil && e.After == nil {
		return "", nil
	}
	text, err := canonical(map[string]*plan.Agent{"before": e.Before, "after": e.After})
	if err != nil {
		return "", fmt.Errorf("digest of journal entry %d: %w", e.Seq, err)
	}
	sum := sha256.Sum256(append(bytes.Clone(salt), text...))
	return hex.EncodeToString(sum[:]), nil
}

func hash(e Entry) (string, error) {
	e.Before, e.After, e.Hash = nil, nil, ""
	text, err := canonical(e)
	if err != nil {
		return "", fmt.Errorf("hash of journal entry %d: %w", e.Seq, err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// canonical renders v as Seal describes. Going through maps sorts the keys.
func canonical(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var tree any
	if err := decoder.Decode(&tree); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(tree); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}
