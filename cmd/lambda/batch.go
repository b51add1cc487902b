package main

import (
	"log/slog"
	"sync"

	"github.com/aws/aws-lambda-go/events"
)

// batch has the people looked at whom messages name: different people side by side,
// since each of them waits for others' answers, and the messages of one person one
// after the other. It gives the messages that are to come again: those that failed,
// and the later ones of the same person, so that they stay in order. A message that
// cannot be read concerns nobody else. A panic is everybody's: it goes on in here,
// once all have come to an end.
func batch(messages []events.SQSMessage, look func(person string) error, log *slog.Logger) []events.SQSBatchItemFailure {
	failed := make([]bool, len(messages))
	of := map[string][]int{} // the places of the messages about a person
	for i, m := range messages {
		person, err := personOf(m.Body)
		if err != nil {
			log.Error("a message cannot be read", "message", m.MessageId, "error", err)
			failed[i] = true
			continue
		}
		of[person] = append(of[person], i)
	}
	var all sync.WaitGroup
	panics := make(chan any, len(of))
	for person, places := range of {
		all.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					panics <- p
				}
			}()
			for n, i := range places {
				if err := look(person); err != nil {
					log.Error("cannot look at a person; the message will come again", "person", person, "message", messages[i].MessageId, "error", err)
					for _, later := range places[n:] {
						failed[later] = true
					}
					return
				}
			}
		})
	}
	all.Wait()
	select {
	case p := <-panics:
		panic(p)
	default:
	}
	out := []events.SQSBatchItemFailure{}
	for i, m := range messages {
		if failed[i] {
			out = append(out, events.SQSBatchItemFailure{ItemIdentifier: m.MessageId})
		}
	}
	return out
}
