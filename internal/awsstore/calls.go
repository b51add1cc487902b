package awsstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// change is what a write does to one item: put the whole of it, change some
// attributes, or drop it.
type change struct {
	key    item
	put    item // all attributes but the key; nil: it is changed
	set    item
	add    item
	remove []string
	drop   bool

	when string // the condition; attributes are #name
	with item   // and values :name
}

var attributeName = regexp.MustCompile(`#([a-z_]+)`)

// expression is a change in the words of DynamoDB.
type expression struct {
	item   item // for put
	update *string
	when   *string
	names  map[string]string
	values item
}

func (c change) expression() expression {
	e := expression{values: item{}}
	for name, v := range c.with {
		e.values[":"+name] = v
	}
	var parts []string
	clause := func(word, joint string, from item, mark string) {
		var list []string
		for name, v := range from {
			e.values[":"+mark+name] = v
			list = append(list, "#"+name+joint+":"+mark+name)
		}
		if slices.Sort(list); len(list) > 0 {
			parts = append(parts, word+" "+strings.Join(list, ", "))
		}
	}
	switch {
	case c.put != nil:
		e.item = item{}
		for _, from := range []item{c.put, c.key} {
			for name, v := range from {
				e.item[name] = v
			}
		}
	case !c.drop:
		clause("SET", " = ", c.set, "set_")
		clause("ADD", " ", c.add, "add_")
		if len(c.remove) > 0 {
			parts = append(parts, "REMOVE #"+strings.Join(c.remove, ", #"))
		}
		update := strings.Join(parts, " ")
		e.update = &update
	}
	if c.when != "" {
		e.when = &c.when
	}
	for _, found := range attributeName.FindAllStringSubmatch(c.when+" "+aws.ToString(e.update), -1) {
		if e.names == nil {
			e.names = map[string]string{}
		}
		e.names["#"+found[1]] = found[1]
	}
	if len(e.values) == 0 {
		e.values = nil
	}
	return e
}

// write makes changes to different items, all of them or none. The error is a
// *conflictError where a condition does not hold.
func (s *Store) write(ctx context.Context, changes ...change) error {
	total := 0
	for _, c := range changes {
		n := c.key.size() + c.put.size() + c.set.size()
		if n > itemLimit {
			return fmt.Errorf("an item of %d bytes is too large: DynamoDB takes %d", n, itemLimit)
		}
		total += n
	}
	if len(changes) > transactionLimit || total > requestLimit {
		return fmt.Errorf("%d items of %d bytes do not fit in one transaction: DynamoDB takes %d of %d bytes together", len(changes), total, transactionLimit, requestLimit)
	}
	if len(changes) == 0 {
		return ctx.Err()
	}
	return s.call(ctx, func(ctx context.Context) error {
		if len(changes) == 1 { // at half the price of a transaction
			return asConflict(s.writeOne(ctx, changes[0]))
		}
		return asConflict(s.writeAll(ctx, changes))
	})
}

// A call that is throttled is made again after a pause that is random, up to a limit
// that doubles from throttleBase to throttleCap, until the caller's time is over: whoever
// answers a hook has two seconds, a look has its timeout, and a sweep what Lambda gives.
// Who has set no limit waits for throttleFor.
const (
	throttleBase = 50 * time.Millisecond
	throttleCap  = 2 * time.Second
	throttleFor  = time.Minute
)

// call makes one call of DynamoDB, and again where it was throttled, which is certain
// to have changed nothing.
func (s *Store) call(ctx context.Context, do func(context.Context) error) error {
	if _, limited := ctx.Deadline(); !limited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, throttleFor)
		defer cancel()
	}
	once := func() error {
		ctx, cancel := context.WithTimeout(ctx, s.timeout)
		defer cancel()
		return do(ctx)
	}
	for try := 0; ; try++ {
		err := once()
		limit := min(throttleCap, throttleBase<<min(try, 20))
		if !throttled(err) || pause(ctx, rand.N(limit)) != nil {
			return explain(err)
		}
	}
}

// pause waits, or gives the error of a context that ends before.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Store) writeOne(ctx context.Context, c change) (err error) {
	const old = types.ReturnValuesOnConditionCheckFailureAllOld
	e := c.expression()
	switch {
	case c.put != nil:
		_, err = s.db.PutItem(ctx, &dynamodb.PutItemInput{
			TableName: &s.table, Item: e.item, ConditionExpression: e.when, ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.values,
			ReturnValuesOnConditionCheckFailure: old,
		})
	case c.drop:
		_, err = s.db.DeleteItem(ctx, &dynamodb.DeleteItemInput{
			TableName: &s.table, Key: c.key, ConditionExpression: e.when, ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.values,
			ReturnValuesOnConditionCheckFailure: old,
		})
	default:
		_, err = s.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
			TableName: &s.table, Key: c.key, UpdateExpression: e.update, ConditionExpression: e.when, ExpressionAttributeNames: e.names,
			ExpressionAttributeValues: e.values, ReturnValuesOnConditionCheckFailure: old,
		})
	}
	return err
}

func (s *Store) writeAll(ctx context.Context, changes []change) error {
	const old = types.ReturnValuesOnConditionCheckFailureAllOld
	var list []types.TransactWriteItem
	for _, c := range changes {
		e := c.expression()
		var w types.TransactWriteItem
		switch {
		case c.put != nil:
			w.Put = &types.Put{TableName: &s.table, Item: e.item, ConditionExpression: e.when, ExpressionAttributeNames: e.names,
				ExpressionAttributeValues: e.values, ReturnValuesOnConditionCheckFailure: old}
		case c.drop:
			w.Delete = &types.Delete{TableName: &s.table, Key: c.key, ConditionExpression: e.when, ExpressionAttributeNames: e.names,
				ExpressionAttributeValues: e.values, ReturnValuesOnConditionCheckFailure: old}
		default:
			w.Update = &types.Update{TableName: &s.table, Key: c.key, UpdateExpression: e.update, ConditionExpression: e.when,
				ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.values, ReturnValuesOnConditionCheckFailure: old}
		}
		list = append(list, w)
	}
	// The SDK makes up a token, so that a transaction whose answer was lost is not
	// carried out twice when it is sent again.
	_, err := s.db.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: list})
	return err
}

// tries is how often somebody else may be faster before it is an error.
const tries = 40

// persist repeats what failed because somebody else wrote at the same time: do
// reads, decides and writes anew each time.
func (s *Store) persist(ctx context.Context, do func() error) error {
	for try := range tries {
		err := do()
		var conflict *conflictError
		if !errors.As(err, &conflict) {
			return err
		}
		if try < 2 {
			continue
		}
		if err := pause(ctx, rand.N(min(time.Millisecond<<try, 200*time.Millisecond))); err != nil {
			return err
		}
	}
	return fmt.Errorf("others wrote at the same time, %d times over: try again", tries)
}

// get reads one item consistently; nil if there is none.
func (s *Store) get(ctx context.Context, key item) (item, error) {
	var out *dynamodb.GetItemOutput
	err := s.call(ctx, func(ctx context.Context) (err error) {
		out, err = s.db.GetItem(ctx, &dynamodb.GetItemInput{TableName: &s.table, Key: key, ConsistentRead: aws.Bool(true)})
		return err
	})
	if err != nil {
		return nil, err
	}
	return out.Item, nil
}

// readAtOnce is how many items DynamoDB reads in one call.
const readAtOnce = 100

// getAll reads items consistently, in no order. Those that there are not are left
// out.
func (s *Store) getAll(ctx context.Context, keys []item) ([]item, error) {
	var found []item
	for _, part := range batches(keys, readAtOnce) {
		ask := make([]map[string]types.AttributeValue, len(part))
		for i, key := range part {
			ask[i] = key
		}
		for try := 0; len(ask) > 0; try++ {
			out, err := s.getSome(ctx, ask)
			if err != nil {
				return nil, err
			}
			for _, i := range out.Responses[s.table] {
				found = append(found, i)
			}
			// What does not fit in one answer, or comes too fast, is left over.
			if ask = out.UnprocessedKeys[s.table].Keys; len(ask) > 0 && len(out.Responses[s.table]) == 0 {
				if try >= tries {
					return nil, errors.New("DynamoDB leaves items unread again and again: try again later")
				}
				if err := pause(ctx, time.Duration(try)*20*time.Millisecond); err != nil {
					return nil, err
				}
			}
		}
	}
	return found, nil
}

func (s *Store) getSome(ctx context.Context, keys []map[string]types.AttributeValue) (*dynamodb.BatchGetItemOutput, error) {
	var out *dynamodb.BatchGetItemOutput
	err := s.call(ctx, func(ctx context.Context) (err error) {
		out, err = s.db.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
			s.table: {Keys: keys, ConsistentRead: aws.Bool(true)},
		}})
		return err
	})
	return out, err
}

// asked selects items of one partition, in the order of their sort keys or of the
// index "open".
type asked struct {
	partition string
	index     bool
	from, to  string // the range of the key, both included; empty: open
	begins    string // or what it begins with
	where     string // of those, the ones that meet this condition
	with      item
	backward  bool
	page      int32 // how many to read at once; 0: as many as fit
	counted   bool  // the items themselves are not wanted
}

// query calls do for every item until it says no. What it reads was there when it
// was read; a list over several pages is not of one moment.
func (s *Store) query(ctx context.Context, q asked, do func(item) (more bool, err error)) error {
	_, err := s.ask(ctx, q, do)
	return err
}

// count counts the items.
func (s *Store) count(ctx context.Context, q asked) (int, error) {
	q.counted = true
	return s.ask(ctx, q, nil)
}

func (s *Store) ask(ctx context.Context, q asked, do func(item) (bool, error)) (count int, err error) {
	key, input := sorting, &dynamodb.QueryInput{TableName: &s.table, ConsistentRead: aws.Bool(true), ScanIndexForward: aws.Bool(!q.backward)}
	if q.index {
		key, input.IndexName = openIndex, aws.String(openIndex)
	}
	if q.page > 0 {
		input.Limit = &q.page
	}
	if q.counted {
		input.Select = types.SelectCount
	}
	condition := "#pk = :pk"
	values := item{":pk": text(q.partition)}
	switch {
	case q.begins != "":
		condition += " AND begins_with(#" + key + ", :from)"
		values[":from"] = text(q.begins)
	case q.from != "" && q.to != "":
		condition += " AND #" + key + " BETWEEN :from AND :to"
		values[":from"], values[":to"] = text(q.from), text(q.to)
	case q.from != "":
		condition += " AND #" + key + " >= :from"
		values[":from"] = text(q.from)
	case q.to != "":
		condition += " AND #" + key + " <= :to"
		values[":to"] = text(q.to)
	}
	for name, v := range q.with {
		values[":"+name] = v
	}
	input.KeyConditionExpression, input.ExpressionAttributeValues, input.ExpressionAttributeNames = &condition, values, map[string]string{}
	if q.where != "" {
		input.FilterExpression = &q.where
	}
	for _, found := range attributeName.FindAllStringSubmatch(condition+" "+q.where, -1) {
		input.ExpressionAttributeNames["#"+found[1]] = found[1]
	}
	for {
		out, err := s.page(ctx, input)
		if err != nil {
			return 0, err
		}
		count += int(out.Count)
		for _, i := range out.Items {
			if more, err := do(i); err != nil || !more {
				return count, err
			}
		}
		if len(out.LastEvaluatedKey) == 0 {
			return count, nil
		}
		input.ExclusiveStartKey = out.LastEvaluatedKey
	}
}

func (s *Store) page(ctx context.Context, input *dynamodb.QueryInput) (*dynamodb.QueryOutput, error) {
	var out *dynamodb.QueryOutput
	err := s.call(ctx, func(ctx context.Context) (err error) {
		out, err = s.db.Query(ctx, input)
		return err
	})
	return out, err
}

// list reads all items that are asked for.
func (s *Store) list(ctx context.Context, q asked) ([]item, error) {
	var all []item
	err := s.query(ctx, q, func(i item) (bool, error) {
		all = append(all, i)
		return true, nil
	})
	return all, err
}
