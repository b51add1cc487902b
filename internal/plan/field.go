package plan

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// Field is a part of an agent that is compared and written by itself.
type Field string

// The fields. FieldOwnership is what our tags say, and nobody configures it.
const (
	FieldName          Field = "name"
	FieldRouting       Field = "routing_profile"
	FieldSecurity      Field = "security_profiles"
	FieldHierarchy     Field = "hierarchy"
	FieldProficiencies Field = "proficiencies"
	FieldPhone         Field = "phone" // type, desk number, persistent connection
	FieldAutoAccept    Field = "auto_accept"
	FieldAfterWork     Field = "after_contact_work"
	FieldEnhancement   Field = "voice_enhancement"
	FieldTags          Field = "tags"
	FieldOwnership     Field = "ownership"
)

// fields are all that can be configured, in the order in which people are shown
// them.
var fields = [...]Field{
	FieldName, FieldRouting, FieldSecurity, FieldHierarchy, FieldProficiencies,
	FieldPhone, FieldAutoAccept, FieldAfterWork, FieldEnhancement, FieldTags,
}

// Fields gives all fields that can be configured, in the order in which people
// are shown them.
func Fields() []Field { return slices.Clone(fields[:]) }

// Label is the field in words.
func (f Field) Label() string { return strings.ReplaceAll(string(f), "_", " ") }

// write gives the agent the wanted value of a field, and leaves what shares its
// memory with another agent alone.
func (w *wanted) write(f Field, a Agent) Agent {
	switch f {
	case FieldAutoAccept:
		for _, ch := range channels {
			if on, said := w.autoAccept[ch]; said {
				a = onChannel(a, ch, Handled{AutoAccept: on, AfterContactWork: a.channel(ch).AfterContactWork})
			}
		}
		return a
	case FieldAfterWork:
		for _, ch := range channels {
			if seconds, said := w.afterWork[ch]; said {
				a = onChannel(a, ch, Handled{AutoAccept: a.channel(ch).AutoAccept, AfterContactWork: seconds})
			}
		}
		return a
	case FieldPhone:
		if w.agent.Phone.Type != "" {
			a.Phone.Type = w.agent.Phone.Type
			if w.agent.Phone.Type == DeskPhone {
				a.Phone.DeskNumber = w.agent.Phone.DeskNumber
			}
		}
		if w.persistent != nil {
			a.Phone.Persistent = *w.persistent
		}
		return a
	}
	return copyField(f, a, &w.agent)
}

// onChannel changes how an agent takes the contacts of a channel.
func onChannel(a Agent, ch Channel, h Handled) Agent {
	switch {
	case h == a.channel(ch):
	case ch == Voice:
		a.Phone.AutoAccept, a.Phone.AfterContactWork = h.AutoAccept, h.AfterContactWork
	default:
		a.Channels = with(a.Channels, ch, h)
	}
	return a
}

// channel tells how an agent takes the contacts of any channel.
func (a *Agent) channel(ch Channel) Handled {
	if ch == Voice {
		return Handled{AutoAccept: a.Phone.AutoAccept, AfterContactWork: a.Phone.AfterContactWork}
	}
	return a.Channels[ch]
}

// with gives a map that holds one value more or another one, and leaves the old
// map alone.
func with[M ~map[K]V, K, V comparable](m M, key K, value V) M {
	if old, ok := m[key]; ok && old == value {
		return m
	}
	m = maps.Clone(m)
	if m == nil {
		m = M{}
	}
	m[key] = value
	return m
}

// channels are all channels, in the order in which people are shown them.
var channels = [...]Channel{Voice, Chat, Task, Email}

// copyField gives an agent the value that a field has in another one. Tags can be
// added and changed, and not taken away.
func copyField(f Field, a Agent, from *Agent) Agent {
	switch f {
	case FieldName:
		a.FirstName, a.LastName = from.FirstName, from.LastName
	case FieldRouting:
		a.RoutingProfile = from.RoutingProfile
	case FieldSecurity:
		a.SecurityProfiles = from.SecurityProfiles
	case FieldHierarchy:
		a.Hierarchy = from.Hierarchy
	case FieldProficiencies:
		a.Proficiencies = from.Proficiencies
	case FieldPhone:
		a.Phone.Type, a.Phone.DeskNumber, a.Phone.Persistent = from.Phone.Type, from.Phone.DeskNumber, from.Phone.Persistent
	case FieldEnhancement:
		a.Phone.Enhancement = from.Phone.Enhancement
	case FieldTags:
		for key, text := range from.Tags {
			a.Tags = with(a.Tags, key, text)
		}
	case FieldAutoAccept:
		for _, ch := range channels {
			a = onChannel(a, ch, Handled{AutoAccept: from.channel(ch).AutoAccept, AfterContactWork: a.channel(ch).AfterContactWork})
		}
	case FieldAfterWork:
		for _, ch := range channels {
			a = onChannel(a, ch, Handled{AutoAccept: a.channel(ch).AutoAccept, AfterContactWork: from.channel(ch).AfterContactWork})
		}
	case FieldOwnership:
		a.Owner, a.Deployment, a.State, a.Since, a.Group, a.Answers = from.Owner, from.Deployment, from.State, from.Since, from.Group, from.Answers
	}
	return a
}

// sameField reports whether two agents have the same value of a field. A number
// that a soft phone does not use is no difference, and a channel that is missing
// is as a new agent's.
func sameField(f Field, a, b *Agent) bool {
	switch f {
	case FieldName:
		return a.FirstName == b.FirstName && a.LastName == b.LastName
	case FieldRouting:
		return a.RoutingProfile == b.RoutingProfile
	case FieldSecurity:
		return slices.Equal(a.SecurityProfiles, b.SecurityProfiles)
	case FieldHierarchy:
		return a.Hierarchy == b.Hierarchy
	case FieldProficiencies:
		return slices.Equal(a.Proficiencies, b.Proficiencies)
	case FieldPhone:
		return a.Phone.Type == b.Phone.Type && a.Phone.Persistent == b.Phone.Persistent &&
			(a.Phone.Type != DeskPhone || a.Phone.DeskNumber == b.Phone.DeskNumber)
	case FieldEnhancement:
		return a.Phone.Enhancement == b.Phone.Enhancement
	case FieldTags:
		return maps.Equal(a.Tags, b.Tags)
	case FieldAutoAccept:
		return sameChannels(a, b, func(x, y Handled) bool { return x.AutoAccept == y.AutoAccept })
	case FieldAfterWork:
		return sameChannels(a, b, func(x, y Handled) bool { return x.AfterContactWork == y.AfterContactWork })
	case FieldOwnership:
		return sameOwnership(a, b)
	}
	return false
}

func sameChannels(a, b *Agent, same func(x, y Handled) bool) bool {
	for _, ch := range channels {
		if !same(a.channel(ch), b.channel(ch)) {
			return false
		}
	}
	return true
}

func sameOwnership(a, b *Agent) bool {
	return a.Owner == b.Owner && a.Deployment == b.Deployment && a.State == b.State && a.Since.Equal(b.Since) &&
		a.Group == b.Group && maps.Equal(a.Answers, b.Answers)
}

// answer is what the rules say of a followed field, short enough for a tag. It
// stays the same as long as the rules do, from release to release.
func (w *wanted) answer(f Field) string {
	a := &w.agent
	switch f {
	case FieldRouting:
		return a.RoutingProfile
	case FieldHierarchy:
		return cmp.Or(a.Hierarchy, "none")
	case FieldEnhancement:
		return string(a.Phone.Enhancement)
	case FieldName:
		return short(a.FirstName, a.LastName)
	case FieldSecurity:
		return short(a.SecurityProfiles)
	case FieldProficiencies:
		return short(a.Proficiencies)
	case FieldPhone:
		return short(a.Phone.Type, a.Phone.DeskNumber, w.persistent)
	case FieldAutoAccept:
		return short(w.autoAccept)
	case FieldAfterWork:
		return short(w.afterWork)
	}
	return ""
}

func short(values ...any) string { return digest(values)[:24] }

// digest is a hash of data that is text, numbers and truth values alone, in hex.
func digest(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic("plan: cannot be encoded: " + err.Error())
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
