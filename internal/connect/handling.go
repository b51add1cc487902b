package connect

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconnect "github.com/aws/aws-sdk-go-v2/service/connect"
	"github.com/aws/aws-sdk-go-v2/service/connect/types"

	"connectroster/internal/plan"
)

// handling is how an agent takes contacts, as DescribeUser and SearchUsers both
// tell it: by a list per setting, with an entry per channel, and by PhoneConfig,
// which is older. Where both say something the list counts.
type handling struct {
	phone       *types.UserPhoneConfig
	autoAccept  []types.AutoAcceptConfig
	afterWork   []types.AfterContactWorkConfigPerChannel
	numbers     []types.PhoneNumberConfig
	persistent  []types.PersistentConnectionConfig
	enhancement []types.VoiceEnhancementConfig
}

func handlingOf(v *types.User) handling {
	return handling{
		phone:       v.PhoneConfig,
		autoAccept:  v.AutoAcceptConfigs,
		afterWork:   v.AfterContactWorkConfigs,
		numbers:     v.PhoneNumberConfigs,
		persistent:  v.PersistentConnectionConfigs,
		enhancement: v.VoiceEnhancementConfigs,
	}
}

// others are the channels beside voice, in the order in which they are written.
var others = []plan.Channel{plan.Chat, plan.Task, plan.Email}

var toChannel = map[plan.Channel]types.Channel{
	plan.Voice: types.ChannelVoice,
	plan.Chat:  types.ChannelChat,
	plan.Task:  types.ChannelTask,
	plan.Email: types.ChannelEmail,
}

func fromChannel(c types.Channel) plan.Channel {
	for channel, name := range toChannel {
		if name == c {
			return channel
		}
	}
	return ""
}

var toPhoneType = map[plan.PhoneType]types.PhoneType{
	plan.SoftPhone: types.PhoneTypeSoftPhone,
	plan.DeskPhone: types.PhoneTypeDeskPhone,
}

func fromPhoneType(t types.PhoneType) plan.PhoneType {
	switch t {
	case types.PhoneTypeSoftPhone:
		return plan.SoftPhone
	case types.PhoneTypeDeskPhone:
		return plan.DeskPhone
	}
	return ""
}

var toEnhancement = map[plan.Enhancement]types.VoiceEnhancementMode{
	plan.VoiceIsolation:   types.VoiceEnhancementModeVoiceIsolation,
	plan.NoiseSuppression: types.VoiceEnhancementModeNoiseSuppression,
	plan.NoEnhancement:    types.VoiceEnhancementModeNone,
}

func fromEnhancement(m types.VoiceEnhancementMode) plan.Enhancement {
	for enhancement, mode := range toEnhancement {
		if mode == m {
			return enhancement
		}
	}
	return ""
}

// read gives the phone, and the other channels. perSecond is how many units of
// after-contact work make a second. The time that PhoneConfig gives is that of
// every channel of which no list says another. An agent of whom nothing is said
// has neither phone nor channels. Source: Amazon Connect API, UserPhoneConfig.
func (h handling) read(perSecond int) (plan.Phone, map[plan.Channel]plan.Handled) {
	if h.phone == nil && len(h.autoAccept)+len(h.afterWork)+len(h.numbers)+len(h.persistent)+len(h.enhancement) == 0 {
		return plan.Phone{}, nil
	}
	var p plan.Phone
	if v := h.phone; v != nil {
		p = plan.Phone{
			Type:             fromPhoneType(v.PhoneType),
			AutoAccept:       v.AutoAccept,
			AfterContactWork: int(v.AfterContactWorkTimeLimit) / perSecond,
			DeskNumber:       aws.ToString(v.DeskPhoneNumber),
			Persistent:       aws.ToBool(v.PersistentConnection),
		}
	}
	channels := make(map[plan.Channel]plan.Handled, len(others))
	for _, c := range others {
		channels[c] = plan.Handled{AfterContactWork: p.AfterContactWork}
	}
	change := func(c types.Channel, voice func(), other func(*plan.Handled)) {
		if c == types.ChannelVoice {
			voice()
		} else if handled, ok := channels[fromChannel(c)]; ok {
			other(&handled)
			channels[fromChannel(c)] = handled
		}
	}
	for _, v := range h.autoAccept {
		change(v.Channel, func() { p.AutoAccept = v.AutoAccept }, func(c *plan.Handled) { c.AutoAccept = v.AutoAccept })
	}
	for _, v := range h.afterWork {
		if v.AfterContactWorkConfig != nil {
			limit := int(v.AfterContactWorkConfig.AfterContactWorkTimeLimit) / perSecond
			change(v.Channel, func() { p.AfterContactWork = limit }, func(c *plan.Handled) { c.AfterContactWork = limit })
		}
	}
	for _, v := range h.numbers {
		if v.Channel == types.ChannelVoice {
			p.Type, p.DeskNumber = fromPhoneType(v.PhoneType), aws.ToString(v.PhoneNumber)
		}
	}
	for _, v := range h.persistent {
		if v.Channel == types.ChannelVoice {
			p.Persistent = aws.ToBool(v.PersistentConnection)
		}
	}
	for _, v := range h.enhancement {
		if v.Channel == types.ChannelVoice {
			p.Enhancement = fromEnhancement(v.VoiceEnhancementMode)
		}
	}
	return p, channels
}

// toPhone writes the phone of a new agent whose channels are all alike.
func toPhone(p plan.Phone) *types.UserPhoneConfig {
	v := &types.UserPhoneConfig{
		PhoneType:                 types.PhoneTypeSoftPhone,
		AutoAccept:                p.AutoAccept,
		AfterContactWorkTimeLimit: int32(p.AfterContactWork),
	}
	if p.Type == plan.DeskPhone {
		v.PhoneType, v.DeskPhoneNumber = types.PhoneTypeDeskPhone, some(p.DeskNumber)
	}
	if p.Persistent {
		v.PersistentConnection = &p.Persistent
	}
	return v
}

// create puts into a request how a new agent is to take contacts. PhoneConfig
// and the lists exclude each other, so it is the one or the other: PhoneConfig
// where nothing is said of channels beside voice, which then are as voice is.
func (h handling) create(in *awsconnect.CreateUserInput, a *plan.Agent) {
	if a.Phone.Enhancement != "" {
		in.VoiceEnhancementConfigs = voiceEnhancement(a.Phone.Enhancement)
	}
	if len(a.Channels) == 0 {
		in.PhoneConfig = toPhone(a.Phone)
		return
	}
	in.AutoAcceptConfigs = h.withAutoAccept(a)
	in.AfterContactWorkConfigs = h.withAfterWork(a)
	in.PhoneNumberConfigs = phoneNumber(a.Phone)
	in.PersistentConnectionConfigs = persistentConnection(a.Phone.Persistent)
}

// update puts into a request what of the fields differs from how the agent
// takes contacts now, and reports whether anything does. A list is written
// whole, with what it has already and is not ours to change, since it is not
// documented whether a list that lacks a channel leaves that channel alone.
func (h handling) update(in *awsconnect.UpdateUserConfigInput, want *plan.Agent, fields []plan.Field) (differs bool) {
	phone, channels := h.read(1)
	same := func(equal func(have, want plan.Handled) bool) bool {
		for c, handled := range want.Channels {
			if !equal(channels[c], handled) {
				return false
			}
		}
		return true
	}
	says := func(f plan.Field, equal bool) bool {
		write := slices.Contains(fields, f) && !equal
		differs = differs || write
		return write
	}
	if says(plan.FieldAutoAccept, phone.AutoAccept == want.Phone.AutoAccept &&
		same(func(have, want plan.Handled) bool { return have.AutoAccept == want.AutoAccept })) {
		in.AutoAcceptConfigs = h.withAutoAccept(want)
	}
	if says(plan.FieldAfterWork, phone.AfterContactWork == want.Phone.AfterContactWork &&
		same(func(have, want plan.Handled) bool { return have.AfterContactWork == want.AfterContactWork })) {
		in.AfterContactWorkConfigs = h.withAfterWork(want)
	}
	if says(plan.FieldPhone, want.Phone.Type == "" || samePhone(phone, want.Phone)) {
		in.PhoneNumberConfigs = phoneNumber(want.Phone)
	}
	if says(plan.FieldPhone, phone.Persistent == want.Phone.Persistent) {
		in.PersistentConnectionConfigs = persistentConnection(want.Phone.Persistent)
	}
	if says(plan.FieldEnhancement, want.Phone.Enhancement == "" || phone.Enhancement == want.Phone.Enhancement) {
		in.VoiceEnhancementConfigs = voiceEnhancement(want.Phone.Enhancement)
	}
	return differs
}

// samePhone reports whether two phones ring in the same place. A soft phone
// does not use its number.
func samePhone(a, b plan.Phone) bool {
	return a.Type == b.Type && (a.Type != plan.DeskPhone || a.DeskNumber == b.DeskNumber)
}

// withAutoAccept gives the list for an agent: what there is, with what is wanted
// in it. Of a channel that there is not, only true is worth saying.
func (h handling) withAutoAccept(a *plan.Agent) []types.AutoAcceptConfig {
	list := slices.Clone(h.autoAccept)
	set := func(c types.Channel, on, always bool) {
		at := slices.IndexFunc(list, func(v types.AutoAcceptConfig) bool { return v.Channel == c })
		switch {
		case at >= 0:
			list[at].AutoAccept = on
		case on || always:
			list = append(list, types.AutoAcceptConfig{Channel: c, AutoAccept: on})
		}
	}
	set(types.ChannelVoice, a.Phone.AutoAccept, true)
	for _, c := range others {
		if handled, ok := a.Channels[c]; ok {
			set(toChannel[c], handled.AutoAccept, false)
		}
	}
	return list
}

// withAfterWork is the same for after-contact work, where every channel of which
// something is known is in the list: 0 is a value like any other.
func (h handling) withAfterWork(a *plan.Agent) []types.AfterContactWorkConfigPerChannel {
	_, known := h.read(1)
	list := slices.Clone(h.afterWork)
	set := func(c types.Channel, seconds int) {
		limit := &types.AfterContactWorkConfig{AfterContactWorkTimeLimit: int32(seconds)}
		at := slices.IndexFunc(list, func(v types.AfterContactWorkConfigPerChannel) bool { return v.Channel == c })
		if at >= 0 {
			list[at].AfterContactWorkConfig = limit
			return
		}
		list = append(list, types.AfterContactWorkConfigPerChannel{Channel: c, AfterContactWorkConfig: limit})
	}
	set(types.ChannelVoice, a.Phone.AfterContactWork)
	for _, c := range others {
		handled, ok := a.Channels[c]
		if !ok {
			handled, ok = known[c]
		}
		if ok {
			set(toChannel[c], handled.AfterContactWork)
		}
	}
	return list
}

func phoneNumber(p plan.Phone) []types.PhoneNumberConfig {
	v := types.PhoneNumberConfig{Channel: types.ChannelVoice, PhoneType: toPhoneType[p.Type]}
	if p.Type == plan.DeskPhone {
		v.PhoneNumber = some(p.DeskNumber)
	}
	return []types.PhoneNumberConfig{v}
}

func persistentConnection(on bool) []types.PersistentConnectionConfig {
	return []types.PersistentConnectionConfig{{Channel: types.ChannelVoice, PersistentConnection: &on}}
}

func voiceEnhancement(e plan.Enhancement) []types.VoiceEnhancementConfig {
	return []types.VoiceEnhancementConfig{{Channel: types.ChannelVoice, VoiceEnhancementMode: toEnhancement[e]}}
}

// some is nil for an empty text.
func some(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
