package main

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"github.com/aws/aws-lambda-go/events"
)

var silent = slog.New(slog.DiscardHandler)

// messagesOf makes a message for each person, with the ids m0, m1 and so on.
func messagesOf(people ...string) []events.SQSMessage {
	var out []events.SQSMessage
	for i, person := range people {
		out = append(out, events.SQSMessage{MessageId: fmt.Sprintf("m%d", i), Body: fmt.Sprintf(`{"person":%q}`, person)})
	}
	return out
}

func ids(failures []events.SQSBatchItemFailure) []string {
	out := []string{}
	for _, f := range failures {
		out = append(out, f.ItemIdentifier)
	}
	return out
}

// TestEverySubsetFails has each of the 1,024 subsets of a batch of ten fail (P-13):
// with ten people, of whom those fail alone, and with three, of whom the later
// messages fail with the first.
func TestEverySubsetFails(t *testing.T) {
	t.Parallel()
	ten := []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"}
	three := []string{"a", "b", "a", "c", "b", "a", "c", "a", "b", "c"}
	for name, people := range map[string][]string{"ten people": ten, "three people": three} {
		for subset := range 1 << 10 {
			// The n-th look at a person fails if their n-th message is of the subset.
			var mu sync.Mutex
			looks := map[string]int{}
			places := map[string][]int{}
			for i, person := range people {
				places[person] = append(places[person], i)
			}
			got := ids(batch(messagesOf(people...), func(person string) error {
				mu.Lock()
				defer mu.Unlock()
				i := places[person][looks[person]]
				looks[person]++
				if subset>>i&1 == 1 {
					return errors.New("the store is away")
				}
				return nil
			}, silent))
			want := []string{}
			failed := map[string]bool{}
			for i, person := range people {
				if subset>>i&1 == 1 {
					failed[person] = true
				}
				if failed[person] {
					want = append(want, fmt.Sprintf("m%d", i))
				}
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%s, subset %010b: %v are to come again, want %v", name, subset, got, want)
			}
		}
	}
}

// TestUnreadableMessages: a message that is none concerns no other.
func TestUnreadableMessages(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"empty": "", "no JSON": "hello", "a list": `[]`, "a number as the person": `{"person":7}`, "nobody": `{"person":""}`, "something else": `{"other":"x"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			messages := messagesOf("a", "b", "c")
			messages[1].Body = body
			var mu sync.Mutex
			var seen []string
			got := ids(batch(messages, func(person string) error {
				mu.Lock()
				defer mu.Unlock()
				seen = append(seen, person)
				return nil
			}, silent))
			slices.Sort(seen)
			if !slices.Equal(got, []string{"m1"}) || !slices.Equal(seen, []string{"a", "c"}) {
				t.Errorf("%v are to come again and %v were looked at, want m1, and a and c", got, seen)
			}
		})
	}
}

// TestPanicInBatch: a panic fails the whole batch, once the others have come to
// their end.
func TestPanicInBatch(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	looked := 0
	defer func() {
		if p := recover(); p != "broken" || looked != 9 {
			t.Errorf("recovered %v after %d looks at others, want the panic after 9", p, looked)
		}
	}()
	batch(messagesOf("a", "b", "c", "d", "e", "f", "g", "h", "i", "j"), func(person string) error {
		if person == "d" {
			panic("broken")
		}
		mu.Lock()
		defer mu.Unlock()
		looked++
		return nil
	}, silent)
	t.Error("no panic")
}

func TestEmptyBatch(t *testing.T) {
	t.Parallel()
	got := batch(nil, func(string) error { return nil }, silent)
	if got == nil || len(got) != 0 {
		t.Errorf("got %v, want a list that is empty: none at all is an answer that Lambda takes for a failure of everything", got)
	}
}
