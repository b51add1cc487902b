package okta

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"

	"connectroster/internal/reconcile"
)

// Ignored counts events that gave rise to no request, by the reason. Each
// counts once, for the first reason that holds.
type Ignored struct {
	Unreadable int64 `json:"unreadable"`  // a value of the wrong kind, or no usable uuid, time or id
	Preview    int64 `json:"preview"`     // sample data, sent by Okta's console: outcome "Success"
	OtherType  int64 `json:"other_type"`  // an event type that asks nothing of us
	NotSuccess int64 `json:"not_success"` // an outcome other than SUCCESS
	Untargeted int64 `json:"untargeted"`  // not about exactly one user and at least one group
	OtherGroup int64 `json:"other_group"` // about groups that are not configured
	OtherApp   int64 `json:"other_app"`   // about apps that are not configured
}

func (i *Ignored) add(n Ignored) {
	i.Unreadable += n.Unreadable
	i.Preview += n.Preview
	i.OtherType += n.OtherType
	i.NotSuccess += n.NotSuccess
	i.Untargeted += n.Untargeted
	i.OtherGroup += n.OtherGroup
	i.OtherApp += n.OtherApp
}

// Total gives how many there were.
func (i Ignored) Total() int64 {
	return i.Unreadable + i.Preview + i.OtherType + i.NotSuccess + i.Untargeted + i.OtherGroup + i.OtherApp
}

// envelopeType is the eventType of every delivery. Source: Okta, Event Hooks.
const envelopeType = "com.okta.event_hook"

// outcomes of events. Source: Okta Management API, LogOutcome; the sample data
// of the console's preview has a spelling of its own.
const (
	outcomeSuccess = "SUCCESS"
	outcomePreview = "Success"
)

// hookTypes are the event types that matter without access to Okta's API: those
// that tell by themselves who is in which group.
func hookTypes() map[string]logType {
	return map[string]logType{
		memberAdded:   {ofMembership, reconcile.Joiner},
		memberRemoved: {ofMembership, reconcile.Leaver},
	}
}

// Event types that are facts.
const (
	memberAdded   = "group.user_membership.add"
	memberRemoved = "group.user_membership.remove"
)

// Limits of what is kept. Okta's logins end at 100 characters and its group
// names at 255; a cut login is longer than any that Amazon Connect holds, so it
// is refused and never taken for another.
const (
	maxID   = 64
	maxText = 256 // in code points
)

// delivery is what is kept of one POST.
type delivery struct {
	requests []reconcile.Request // in the order of the events
	groups   int64               // events about whole groups
	ignored  Ignored
}

// decode reads a delivery. It wants strict JSON throughout: one value, no
// duplicate keys, valid UTF-8, no lone surrogates, and the keys that it knows
// spelled to the letter. A fault of that kind refuses the delivery as a whole;
// the error tells it in words that hold nothing of the body. An event that is
// sound JSON but makes no sense is ignored alone. Keys that it does not know are
// skipped.
//
// Source of the shapes: Okta, Event Hooks, and the LogEvent of its Management
// API. Either may have null for any value. The envelope may lack its eventType;
// one that is not Okta's is refused. There may be any number of events.
func decode(body []byte, reader eventReader) (delivery, error) {
	var (
		d      delivery
		kind   string
		listed bool
		dec    = jsontext.NewDecoder(bytes.NewBuffer(body))
	)
	reader.dec = jsontext.NewDecoder(new(bytes.Buffer))
	events := func() error {
		listed = true
		return array(dec, func() error {
			raw, err := dec.ReadValue()
			if err != nil {
				return err
			}
			return reader.read(raw, &d)
		})
	}
	err := object(dec, []string{"eventType", "data"}, func(key string) (err error) {
		if key == "eventType" {
			kind, err = text(dec)
			return err
		}
		return object(dec, []string{"events"}, func(string) error { return events() })
	})
	if err == nil {
		if _, err = dec.ReadToken(); errors.Is(err, io.EOF) {
			err = nil
		} else {
			err = errTrailing
		}
	}
	if err == nil && (!listed || kind != "" && kind != envelopeType) {
		err = errShape
	}
	if err != nil {
		return delivery{}, fault(err, dec.InputOffset())
	}
	return d, nil
}

// Faults of a delivery.
var (
	errShape    = errors.New("not an event hook delivery")
	errCase     = errors.New("a key is in the wrong case")
	errTrailing = errors.New("something follows the JSON value")
)

// fault puts an error of decode into words that can be shown to anybody: the
// words of the JSON library may quote keys.
func fault(err error, offset int64) error {
	var syntax *jsontext.SyntacticError
	switch {
	case errors.Is(err, errShape), errors.Is(err, errCase), errors.Is(err, errTrailing):
	case errors.Is(err, jsontext.ErrDuplicateName):
		err = errors.New("duplicate key in the JSON")
	case errors.As(err, &syntax):
		offset = syntax.ByteOffset
		err = errors.New("malformed JSON")
	default: // the body ended, or there was none
		err = errors.New("incomplete JSON")
	}
	return fmt.Errorf("%w, at byte %d", err, offset)
}

// eventReader makes requests of events.
type eventReader struct {
	types  map[string]logType
	mapped func(id, name string) bool             // whether a group is one of ours
	isApp  func(id string, labels ...string) bool // whether an app is ours
	facts  bool
	dec    *jsontext.Decoder
}

// event is what is looked at of a LogEvent.
type event struct {
	kind, uuid, published, result string

	users   int    // targets that are a user
	user    target // the last of them
	groups  int    // targets that are a group
	matches []target
	app     bool // a target is our app
}

type target struct{ kind, id, alternateID, displayName string }

// read adds one event to a delivery. It gives an error for a key in the wrong
// case alone.
func (r eventReader) read(raw jsontext.Value, d *delivery) error {
	// The value is known to be strict JSON by now; that is not checked twice.
	r.dec.Reset(bytes.NewBuffer(raw), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	e, err := r.event()
	if errors.Is(err, errCase) {
		return err
	}
	if err != nil {
		d.ignored.Unreadable++
		return nil //nolint:nilerr // it is ignored alone, and counted
	}
	if request, ok := r.request(e, d); ok {
		d.requests = append(d.requests, request)
	}
	return nil
}

func (r eventReader) event() (event, error) {
	var e event
	err := object(r.dec, []string{"eventType", "uuid", "published", "outcome", "target"}, func(key string) (err error) {
		switch key {
		case "eventType":
			e.kind, err = text(r.dec)
		case "uuid":
			e.uuid, err = text(r.dec)
		case "published":
			e.published, err = text(r.dec)
		case "outcome":
			err = nullable(r.dec, func() error {
				return object(r.dec, []string{"result"}, func(string) (err error) {
					e.result, err = text(r.dec)
					return err
				})
			})
		case "target":
			err = nullable(r.dec, func() error {
				return array(r.dec, func() error { return r.target(&e) })
			})
		}
		return err
	})
	return e, err
}

// target adds one target to an event. Targets are told apart by their type:
// Okta does not promise their order.
func (r eventReader) target(e *event) error {
	var t target
	err := object(r.dec, []string{"type", "id", "alternateId", "displayName"}, func(key string) (err error) {
		switch key {
		case "type":
			t.kind, err = text(r.dec)
		case "id":
			t.id, err = text(r.dec)
		case "alternateId":
			t.alternateID, err = text(r.dec)
		case "displayName":
			t.displayName, err = text(r.dec)
		}
		return err
	})
	switch t.kind {
	case "User":
		e.users++
		e.user = t
	case "UserGroup":
		e.groups++
		if r.mapped(t.id, t.displayName) {
			e.matches = append(e.matches, t)
		}
	case "AppInstance":
		e.app = e.app || r.isApp(t.id, t.alternateID, t.displayName)
	}
	return err
}

// request turns an event into a request, or counts why not.
func (r eventReader) request(e event, d *delivery) (reconcile.Request, bool) {
	meaning, known := r.types[e.kind]
	published, err := time.Parse(time.RFC3339, e.published)
	var reason *int64
	switch {
	case e.kind == "":
		reason = &d.ignored.Unreadable
	case e.result == outcomePreview:
		reason = &d.ignored.Preview
	case !known || meaning.subject == ofHook:
		reason = &d.ignored.OtherType
	case e.result != outcomeSuccess:
		reason = &d.ignored.NotSuccess
	case !meaning.targeted(e):
		reason = &d.ignored.Untargeted
	case meaning.subject.grouped() && len(e.matches) == 0:
		reason = &d.ignored.OtherGroup
	case meaning.subject.applied() && !e.app:
		reason = &d.ignored.OtherApp
	case meaning.subject == ofGroup, meaning.subject == ofGroupApp:
		reason = &d.groups
	case err != nil, !printable(e.uuid), !oktaID(e.user.id), slices.ContainsFunc(e.matches, badID):
		reason = &d.ignored.Unreadable
	}
	if reason != nil {
		*reason++
		return reconcile.Request{}, false
	}

	request := reconcile.Request{
		Person:   e.user.id,
		Priority: meaning.priority,
		Trigger:  reconcile.TriggerHook,
		Event:    e.uuid,
	}
	if !r.facts {
		return request, true
	}
	for _, group := range e.matches {
		request.Facts = append(request.Facts, reconcile.Fact{
			Person:      e.user.id,
			Group:       group.id,
			GroupName:   plain(group.displayName),
			Login:       plain(e.user.alternateID),
			DisplayName: plain(e.user.displayName),
			Member:      e.kind == memberAdded,
			Published:   published.UTC(),
			Event:       e.uuid,
		})
	}
	return request, true
}

// targeted reports whether an event names what its kind is about.
func (t logType) targeted(e event) bool {
	switch t.subject {
	case ofMembership:
		return e.users == 1 && e.groups > 0
	case ofGroup, ofGroupApp:
		return e.groups > 0
	default:
		return e.users == 1
	}
}

// grouped and applied report whether such events count for some groups or for
// one app alone.
func (s subject) grouped() bool { return s == ofMembership || s == ofGroup || s == ofGroupApp }

func (s subject) applied() bool { return s == ofAssignment || s == ofGroupApp }

// oktaID reports whether s can be the id of an Okta object.
func oktaID(s string) bool {
	return s != "" && len(s) <= maxID && !strings.ContainsFunc(s, func(r rune) bool {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-':
			return false
		}
		return true
	})
}

func badID(t target) bool { return !oktaID(t.id) }

// printable reports whether s can be the uuid of an event.
func printable(s string) bool {
	return s != "" && len(s) <= maxID && !strings.ContainsFunc(s, func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsGraphic(r)
	})
}

// plain bounds a text that somebody typed, and replaces NUL, which not every
// store can hold, with the replacement character. It drops nothing, so that no
// login turns into another.
func plain(s string) string {
	s = strings.ReplaceAll(s, "\x00", "\uFFFD")
	count := 0
	for i := range s {
		if count == maxText {
			return s[:i]
		}
		count++
	}
	return s
}

// object reads an object, and calls member at the value of each key that is
// known. It skips the others.
func object(dec *jsontext.Decoder, known []string, member func(key string) error) error {
	if err := open(dec, jsontext.KindBeginObject); err != nil {
		return err
	}
	for dec.PeekKind() == jsontext.KindString {
		token, err := dec.ReadToken()
		if err != nil {
			return err
		}
		key := token.String()
		switch at := slices.IndexFunc(known, func(k string) bool { return strings.EqualFold(k, key) }); {
		case at < 0:
			err = dec.SkipValue()
		case known[at] != key:
			err = errCase
		default:
			err = member(key)
		}
		if err != nil {
			return err
		}
	}
	_, err := dec.ReadToken()
	return err
}

// array reads an array, and calls element at each element.
func array(dec *jsontext.Decoder, element func() error) error {
	if err := open(dec, jsontext.KindBeginArray); err != nil {
		return err
	}
	for kind := dec.PeekKind(); kind != jsontext.KindEndArray && kind != jsontext.KindInvalid; kind = dec.PeekKind() {
		if err := element(); err != nil {
			return err
		}
	}
	_, err := dec.ReadToken()
	return err
}

// open reads the token that begins an object or an array.
func open(dec *jsontext.Decoder, want jsontext.Kind) error {
	token, err := dec.ReadToken()
	if err != nil {
		return err
	}
	if token.Kind() != want {
		return errShape
	}
	return nil
}

// text reads a string; null counts as an empty one.
func text(dec *jsontext.Decoder) (string, error) {
	token, err := dec.ReadToken()
	if err != nil {
		return "", err
	}
	switch token.Kind() {
	case jsontext.KindNull:
		return "", nil
	case jsontext.KindString:
		return token.String(), nil
	}
	return "", errShape
}

// nullable calls read unless there is a null.
func nullable(dec *jsontext.Decoder, read func() error) error {
	if dec.PeekKind() == jsontext.KindNull {
		return dec.SkipValue()
	}
	return read()
}
