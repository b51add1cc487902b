package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// units counts the units of reading and writing that DynamoDB would charge for calls
// of one table, from the items as they are before and after each call. Twice is
// counted in a transaction, for the index too.
// Source: Amazon DynamoDB Developer Guide, "DynamoDB read and write operations",
// "Local secondary indexes", "Item sizes and formats".
type units struct {
	t  testing.TB
	db *dynamodb.Client

	mu            sync.Mutex
	written, read int
	parts         map[string]int // of what is written, by the kind of the partition
}

// written is one write as it is in the body of a call.
type written struct {
	TableName string
	Key, Item map[string]map[string]any
}

func (u *units) measure(target string, body []byte, call func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	_, operation, _ := strings.Cut(target, ".")
	if !strings.HasPrefix(target, "DynamoDB") {
		operation = ""
	}
	var writes []written
	times := 1
	switch operation {
	case "GetItem", "Query":
		u.read++ // none of the items and lists here is larger than 4 KB
	case "PutItem", "UpdateItem", "DeleteItem":
		var w written
		u.must(json.Unmarshal(body, &w))
		writes = append(writes, w)
	case "TransactWriteItems":
		times = 2
		var in struct{ TransactItems []map[string]written }
		u.must(json.Unmarshal(body, &in))
		for _, one := range in.TransactItems {
			for _, w := range one {
				writes = append(writes, w)
			}
		}
	case "BatchGetItem":
		u.t.Error("a call that reads many items is not counted here")
	}
	var before []map[string]types.AttributeValue
	for _, w := range writes {
		before = append(before, u.item(w))
	}
	call()
	for i, w := range writes {
		n := times * cost(before[i], u.item(w))
		kind, _, _ := strings.Cut(w.key("pk"), "/")
		u.written += n
		u.parts[kind] += n
	}
}

func (u *units) must(err error) {
	if err != nil {
		u.t.Error(err)
	}
}

func (w written) key(name string) string {
	from := w.Key
	if from == nil {
		from = w.Item
	}
	text, _ := from[name]["S"].(string)
	return text
}

func (u *units) item(w written) map[string]types.AttributeValue {
	out, err := u.db.GetItem(context.Background(), &dynamodb.GetItemInput{TableName: &w.TableName, Key: map[string]types.AttributeValue{
		"pk": &types.AttributeValueMemberS{Value: w.key("pk")}, "sk": &types.AttributeValueMemberS{Value: w.key("sk")},
	}})
	if err != nil {
		u.t.Error(err)
		return nil
	}
	return out.Item
}

// cost is what one write takes: the item in the table, the larger of the two, and
// every entry that it puts into the index or takes from it.
func cost(before, after map[string]types.AttributeValue) int {
	was, is := thousands(before), thousands(after)
	n := max(1, was, is)
	place := func(item map[string]types.AttributeValue) string {
		if v, ok := item["open"].(*types.AttributeValueMemberS); ok {
			return v.Value
		}
		return ""
	}
	switch from, to := place(before), place(after); {
	case from == to && to != "":
		n += max(was, is)
	default:
		if from != "" {
			n += was
		}
		if to != "" {
			n += is
		}
	}
	return n
}

// thousands is the size of an item in whole KB.
func thousands(item map[string]types.AttributeValue) int { return (sizeOf(item) + 1023) / 1024 }

func sizeOf(item map[string]types.AttributeValue) int {
	n := 0
	for name, v := range item {
		n += len(name)
		switch v := v.(type) {
		case *types.AttributeValueMemberS:
			n += len(v.Value)
		case *types.AttributeValueMemberB:
			n += len(v.Value)
		case *types.AttributeValueMemberN:
			n += len(v.Value)/2 + 2
		case *types.AttributeValueMemberM:
			n += 3 + len(v.Value) + sizeOf(v.Value)
		default:
			n++
		}
	}
	return n
}

// TestUnits counts what a new agent writes, which docs/aws.md and docs/adr/0009 take
// their arithmetic from. On a busy machine a call may be made again, but not thrice in
// a row.
func TestUnits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{hookOnly: true})
	for _, warm := range []string{"00uWarm0", "00uWarm1"} {
		w.deliver(warm)
	}
	w.settle()
	// The row becomes due (4), is claimed (3) and settled (2).
	want := map[string]int{"people": 9, "fact": 2, "intent": 2, "agents": 2, "owner": 2, "journal": 4, "chain": 2, "head": 2}
	for try := range 3 {
		u := &units{t: t, db: dynamodb.NewFromConfig(server.aws()), parts: map[string]int{}}
		w.between.mu.Lock()
		w.between.units = u
		w.between.mu.Unlock()
		w.deliver(fmt.Sprintf("00uUnits1234567890%d", try))
		hook := u.written
		w.settle()
		if hook == 6 && u.written == 25 && maps.Equal(u.parts, want) && u.read <= 10 {
			return
		}
		t.Logf("a delivery writes %d units, and with the look %d: %v; %d are read; want 6, 25: %v; 10 at most", hook, u.written, u.parts, u.read, want)
	}
	t.Error("thrice the units were others than the pages say")
}
