package awsstore

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// The names of the table's own attributes.
const (
	partition = "pk"
	sorting   = "sk"
	openIndex = "open" // the local index, and the attribute that it sorts by
	expiry    = "ttl"  // seconds since 1970 after which DynamoDB may delete the item
)

// item is an item of the table, or a part of one.
type item map[string]types.AttributeValue

func text(s string) types.AttributeValue    { return &types.AttributeValueMemberS{Value: s} }
func bytesOf(b []byte) types.AttributeValue { return &types.AttributeValueMemberB{Value: b} }
func truth(b bool) types.AttributeValue     { return &types.AttributeValueMemberBOOL{Value: b} }

func number[T ~int | ~int64](n T) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(int64(n), 10)}
}

func (i item) text(name string) string {
	if v, ok := i[name].(*types.AttributeValueMemberS); ok {
		return v.Value
	}
	return ""
}

func (i item) number(name string) int64 {
	if v, ok := i[name].(*types.AttributeValueMemberN); ok {
		n, _ := strconv.ParseInt(v.Value, 10, 64) // we wrote it; anything else counts as 0
		return n
	}
	return 0
}

func (i item) bytes(name string) []byte {
	if v, ok := i[name].(*types.AttributeValueMemberB); ok {
		return v.Value
	}
	return nil
}

func (i item) truth(name string) bool {
	v, ok := i[name].(*types.AttributeValueMemberBOOL)
	return ok && v.Value
}

func (i item) has(name string) bool { _, ok := i[name]; return ok }

// encoded is how an agent or a change is stored: as JSON, and none as nothing.
func encoded[T any](i item, name string, v *T) error {
	if v == nil {
		return nil
	}
	content, err := json.Marshal(v)
	if err != nil {
		return err
	}
	i[name] = text(string(content))
	return nil
}

// decoded reads what encoded wrote.
func decoded[T any](i item, name string) (*T, error) {
	if !i.has(name) {
		return nil, nil
	}
	v := new(T)
	if err := json.Unmarshal([]byte(i.text(name)), v); err != nil {
		return nil, fmt.Errorf("the attribute %q of the item %q, %q is unreadable, restore the table to a moment before: %w", name, i.text(partition), i.text(sorting), err)
	}
	return v, nil
}

// key is the key of an item: in the partition of that kind, by the parts of its
// name. Several parts sort as one after the other.
func (s *Store) key(kind string, parts ...string) item {
	return item{partition: text(s.partition(kind)), sorting: text(joined(parts...))}
}

// partition names a partition.
func (s *Store) partition(kind string, of ...string) string {
	names := []string{s.space + kind}
	for _, part := range of {
		names = append(names, keyPart(part))
	}
	return strings.Join(names, "/")
}

// joined makes one sort key of several parts. Sorted as texts, such keys are in
// the order of the first part, then of the second.
func joined(parts ...string) string {
	var b strings.Builder
	for i, part := range parts {
		if i > 0 {
			b.WriteByte(0)
		}
		b.WriteString(keyPart(part))
	}
	return cmp.Or(b.String(), "\x01") // an empty key is refused
}

// below is what the sort keys of all names begin with that have these parts and
// more.
func below(parts ...string) string { return joined(append(parts, "")...) }

// partLimit is the longest part of a key that is kept as it is. A sort key may
// have 1024 bytes, and has three parts at most.
const partLimit = 300

// keyPart makes a part of a key from any text: none holds the separator, an empty
// one is not empty, and a long one ends in its digest. Ids of Okta and Amazon Connect stay as they
// are.
func keyPart(part string) string {
	part = strings.ToValidUTF8(part, "\uFFFD")
	key := separators.Replace(part)
	if len(key) <= partLimit {
		return key
	}
	sum := sha256.Sum256([]byte(part))
	end := partLimit - 2*len(sum)
	for !utf8.RuneStart(key[end]) {
		end--
	}
	return key[:end] + hex.EncodeToString(sum[:])
}

// separators keep the order of texts: 0 becomes 1 2, and 1 becomes 1 3.
var separators = strings.NewReplacer("\x00", "\x01\x02", "\x01", "\x01\x03")

// digits is a number that sorts as text. Negative ones sort as 0.
func digits(n int64) string { return fmt.Sprintf("%019d", max(n, 0)) }

// itemLimit and requestLimit are what DynamoDB takes in one item and in one
// transaction, in bytes; transactionLimit is how many items the latter may have.
// Source: Amazon DynamoDB Developer Guide, Quotas.
const (
	itemLimit        = 400 << 10
	requestLimit     = 4 << 20
	transactionLimit = 100
)

// size is about what DynamoDB counts for an item, and never less.
func (i item) size() int {
	n := 0
	for name, v := range i {
		n += len(name) + sizeOf(v)
	}
	return n
}

func sizeOf(v types.AttributeValue) int {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return len(v.Value)
	case *types.AttributeValueMemberN:
		return len(v.Value) + 1
	case *types.AttributeValueMemberB:
		return len(v.Value)
	case *types.AttributeValueMemberM:
		n := 3
		for name, part := range v.Value {
			n += 1 + len(name) + sizeOf(part)
		}
		return n
	}
	return 1
}

// batches cuts a list into pieces of at most so many.
func batches[T any](list []T, most int) [][]T { return slices.Collect(slices.Chunk(list, most)) }

// sorted gives the values of a map in the order of its keys.
func sorted[K cmp.Ordered, V any](m map[K]V) []V {
	var list []V
	for _, key := range slices.Sorted(maps.Keys(m)) {
		list = append(list, m[key])
	}
	return list
}
