package awsstore

import (
	"context"
	"fmt"
	"iter"
	"time"

	"connectroster/internal/reconcile"
)

// Facts implements reconcile.Facts.
func (s *Store) Facts(ctx context.Context, person string) ([]reconcile.Fact, error) {
	items, err := s.list(ctx, asked{partition: s.partition("fact"), begins: below(person)})
	if err != nil {
		return nil, fmt.Errorf("read facts about person %s: %w", person, err)
	}
	var facts []reconcile.Fact
	for _, i := range items {
		facts = append(facts, readFact(i))
	}
	return facts, nil
}

// AllFacts implements reconcile.Facts. What it gives was true when it was read,
// page by page, while the caller may take its time.
func (s *Store) AllFacts(ctx context.Context) iter.Seq2[reconcile.Fact, error] {
	return func(yield func(reconcile.Fact, error) bool) {
		err := s.query(ctx, asked{partition: s.partition("fact"), page: 500}, func(i item) (bool, error) {
			return yield(readFact(i), nil), nil
		})
		if err != nil {
			yield(reconcile.Fact{}, fmt.Errorf("read all facts: %w", err))
		}
	}
}

// factItem is a fact without its key.
func factItem(f reconcile.Fact) item {
	return item{
		"person": text(f.Person), "group": text(f.Group), "group_name": text(f.GroupName), "login": text(f.Login), "display_name": text(f.DisplayName),
		"member": truth(f.Member), "published": number(f.Published.UnixMicro()), "event": text(f.Event),
	}
}

func readFact(i item) reconcile.Fact {
	return reconcile.Fact{
		Person: i.text("person"), Group: i.text("group"), GroupName: i.text("group_name"), Login: i.text("login"), DisplayName: i.text("display_name"),
		Member: i.truth("member"), Published: time.UnixMicro(i.number("published")).UTC(), Event: i.text("event"),
	}
}

// saveFact is the change that stores a fact, if it supersedes what is known, which
// is what reconcile.Fact.Supersedes says.
func (s *Store) saveFact(f reconcile.Fact) change {
	i := factItem(f)
	c := change{
		key: s.key("fact", f.Person, f.Group), put: i,
		when: "attribute_not_exists(#published) OR #published < :published", with: item{"published": i["published"]},
	}
	if !f.Member {
		c.when += " OR (#published = :published AND #member = :true)"
		c.with["true"] = truth(true)
	}
	return c
}
