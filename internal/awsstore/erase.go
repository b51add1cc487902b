package awsstore

import (
	"context"
	"encoding/json"
	"fmt"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

// Erase takes away what is personal about somebody: who they were and how their
// agents looked. Ids, digests and the chain of the journal stay, so that it can
// still be verified. After an error, the same call can be made again, and counts
// what was left. What the table's backups hold goes when they expire: those of
// point-in-time recovery after 35 days.
func (s *Store) Erase(ctx context.Context, person string) (reconcile.Erased, error) {
	var e reconcile.Erased
	for _, step := range []func(context.Context, string, *reconcile.Erased) error{
		s.eraseEntries, s.eraseFacts, s.eraseTombstones, s.eraseHolds, s.eraseIntents,
	} {
		if err := step(ctx, person, &e); err != nil {
			return e, fmt.Errorf("erase person %s: %w", person, err)
		}
	}
	return e, nil
}

// erase makes one change to each of the items, unless it was made already, and
// counts them.
func (s *Store) erase(ctx context.Context, items []item, count *int, c change) error {
	for _, i := range items {
		c.key = keyOf(i)
		err := s.write(ctx, c)
		if isConflict(err) {
			continue
		}
		if err != nil {
			return err
		}
		*count++
	}
	return nil
}

func (s *Store) eraseEntries(ctx context.Context, person string, e *reconcile.Erased) error {
	items, err := s.list(ctx, asked{partition: s.partition("chain", person), where: "attribute_exists(#salt)"})
	if err != nil {
		return err
	}
	return s.erase(ctx, items, &e.Entries, change{remove: []string{"salt", "before", "after"}, when: "attribute_exists(#salt)"})
}

func (s *Store) eraseFacts(ctx context.Context, person string, e *reconcile.Erased) error {
	items, err := s.list(ctx, asked{partition: s.partition("fact"), begins: below(person)})
	if err != nil {
		return err
	}
	return s.erase(ctx, items, &e.Facts, change{drop: true, when: "attribute_exists(#pk)"})
}

// eraseTombstones looks through all of them: they are as many as there are
// suspended agents, and somebody is forgotten rarely.
func (s *Store) eraseTombstones(ctx context.Context, person string, e *reconcile.Erased) error {
	items, err := s.list(ctx, asked{partition: s.partition("tomb"), where: "#person = :person", with: item{"person": text(person)}})
	if err != nil {
		return err
	}
	return s.erase(ctx, items, &e.Tombstones, change{drop: true, when: "#person = :person", with: item{"person": text(person)}})
}

func (s *Store) eraseHolds(ctx context.Context, person string, e *reconcile.Erased) error {
	pointers, err := s.list(ctx, asked{partition: s.partition("held", person), where: "attribute_exists(#hold)"})
	if err != nil {
		return err
	}
	var entries []item
	for _, i := range pointers {
		entries = append(entries, entryKey(i))
	}
	return s.erase(ctx, entries, &e.Holds, change{remove: []string{"change"}, when: "attribute_exists(#change)"})
}

func (s *Store) eraseIntents(ctx context.Context, person string, e *reconcile.Erased) error {
	items, err := s.list(ctx, asked{partition: s.partition("intent", person)})
	if err != nil {
		return err
	}
	for _, i := range items {
		var intended struct {
			Action plan.Action `json:"action"`
		}
		if i.has("change") {
			if err := json.Unmarshal([]byte(i.text("change")), &intended); err != nil {
				return fmt.Errorf("read an intent: %w", err)
			}
		}
		switch {
		case i.text("username") == "": // the next look makes the same plan again
			err = s.erase(ctx, []item{i}, &e.Intents, change{drop: true, when: "attribute_exists(#pk)"})
		case intended.Action == plan.Create:
			e.Open++
			err = s.erase(ctx, []item{i}, &e.Intents, change{remove: []string{"change"}, when: "attribute_exists(#change)"})
		default:
			e.Open++
		}
		if err != nil {
			return err
		}
	}
	return nil
}
