package connect

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconnect "github.com/aws/aws-sdk-go-v2/service/connect"
	"github.com/aws/aws-sdk-go-v2/service/connect/types"

	"connectroster/internal/reconcile"
)

// Busy tells which of the agents have a contact now, by GetCurrentUserData. An
// agent whom its answer lacks is not signed in, or not there, and not busy. The
// answer is at most BusyTTL old. The other agents who were asked for lately are
// looked up with the same calls, so that many who wait, each for itself, cost a
// call for a hundred of them.
func (i *Instance) Busy(ctx context.Context, ids ...string) (map[string]bool, error) {
	return i.busy.get(ctx, ids)
}

// Limits of Busy.
const (
	busySize = 100             // the most that GetCurrentUserData takes and gives at once
	busyLast = 2 * time.Minute // how long an agent is looked up along with others
)

// busy keeps who is busy.
type busy struct {
	read func(context.Context, []string) (map[string]bool, error)
	ttl  time.Duration
	now  func() time.Time

	turn   chan struct{} // who holds it may touch agents
	agents map[string]*watched
}

// watched is an agent that was asked for.
type watched struct {
	asked time.Time // when last
	at    time.Time // when it was looked up; zero: never
	busy  bool
}

func newBusy(ttl time.Duration, now func() time.Time, read func(context.Context, []string) (map[string]bool, error)) *busy {
	return &busy{read: read, ttl: ttl, now: now, turn: make(chan struct{}, 1), agents: make(map[string]*watched)}
}

func (b *busy) get(ctx context.Context, ids []string) (map[string]bool, error) {
	select {
	case b.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, reconcile.After(0, context.Cause(ctx))
	}
	defer func() { <-b.turn }()

	now := b.now()
	maps.DeleteFunc(b.agents, func(_ string, w *watched) bool { return now.Sub(w.asked) > busyLast })
	for _, id := range ids {
		if b.agents[id] == nil {
			b.agents[id] = &watched{}
		}
		b.agents[id].asked = now
	}
	for batch := range slices.Chunk(b.due(ids, now), busySize) {
		found, err := b.read(ctx, batch)
		if err != nil {
			return nil, err
		}
		for _, id := range batch {
			b.agents[id].busy, b.agents[id].at = found[id], now
		}
	}
	answer := make(map[string]bool, len(ids))
	for _, id := range ids {
		answer[id] = b.agents[id].busy
	}
	return answer, nil
}

// due gives the agents to look up: those of ids of whom too little is known, and
// as many others as fit into the same calls, those of whom the oldest is known
// first.
func (b *busy) due(ids []string, now time.Time) []string {
	old := func(id string) bool {
		age := now.Sub(b.agents[id].at)
		return b.agents[id].at.IsZero() || age < 0 || age >= b.ttl
	}
	var due []string
	chosen := make(map[string]bool)
	for _, id := range ids {
		if old(id) && !chosen[id] {
			chosen[id] = true
			due = append(due, id)
		}
	}
	taken := len(due) % busySize // of the last call
	if taken == 0 {
		return due
	}
	var others []string
	for id := range b.agents {
		if old(id) && !chosen[id] {
			others = append(others, id)
		}
	}
	slices.SortFunc(others, func(x, y string) int {
		return cmp.Or(b.agents[x].at.Compare(b.agents[y].at), cmp.Compare(x, y))
	})
	return append(due, others[:min(len(others), busySize-taken)]...)
}

// readBusy asks for at most busySize agents. Whether one that is not there spoils
// the call for all of them is not documented: if so, they are asked for by halves
// until it is alone.
func (i *Instance) readBusy(ctx context.Context, ids []string) (map[string]bool, error) {
	instance, err := i.id.get(ctx)
	if err != nil {
		return nil, aboutInstance(err)
	}
	found := make(map[string]bool)
	err = walk(func(token *string) (*string, error) {
		out, err := i.api.GetCurrentUserData(ctx, &awsconnect.GetCurrentUserDataInput{
			InstanceId: &instance, Filters: &types.UserDataFilters{Agents: ids}, MaxResults: new(int32(busySize)), NextToken: token,
		})
		if err != nil {
			return nil, classify("GetCurrentUserData", err)
		}
		if out.UserDataList == nil {
			return nil, errors.New("GetCurrentUserData: the answer holds no list")
		}
		for _, d := range out.UserDataList {
			if d.User != nil && slices.ContainsFunc(d.Contacts, occupies) {
				found[aws.ToString(d.User.Id)] = true
			}
		}
		return out.NextToken, nil
	})
	if !errors.Is(err, errNoResource) {
		return found, err
	}
	if len(ids) == 1 {
		return map[string]bool{}, nil
	}
	first, err := i.readBusy(ctx, ids[:len(ids)/2])
	if err != nil {
		return nil, err
	}
	second, err := i.readBusy(ctx, ids[len(ids)/2:])
	if err != nil {
		return nil, err
	}
	maps.Copy(second, first)
	return second, nil
}

// occupies reports whether a contact keeps an agent busy. One that was missed or
// failed does not any more; one that has ended does, by the work after it.
func occupies(c types.AgentContactReference) bool {
	switch c.AgentContactState {
	case types.ContactStateMissed, types.ContactStateError, types.ContactStateRejected:
		return false
	}
	return true
}
