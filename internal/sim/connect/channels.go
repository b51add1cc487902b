package connect

import "slices"

// over returns c with the lists it lacks taken from old.
func (c ChannelConfigs) over(old ChannelConfigs) ChannelConfigs {
	return ChannelConfigs{
		AutoAcceptConfigs:           listOver(c.AutoAcceptConfigs, old.AutoAcceptConfigs),
		AfterContactWorkConfigs:     listOver(c.AfterContactWorkConfigs, old.AfterContactWorkConfigs),
		PhoneNumberConfigs:          listOver(c.PhoneNumberConfigs, old.PhoneNumberConfigs),
		PersistentConnectionConfigs: listOver(c.PersistentConnectionConfigs, old.PersistentConnectionConfigs),
		VoiceEnhancementConfigs:     listOver(c.VoiceEnhancementConfigs, old.VoiceEnhancementConfigs),
	}
}

func listOver[T any](list, old []T) []T {
	if list == nil {
		return old
	}
	return list
}

// showVoice copies what the lists say about VOICE into PhoneConfig.
func (a *Agent) showVoice() {
	for _, c := range a.AutoAcceptConfigs {
		if c.Channel == "VOICE" {
			a.PhoneConfig.AutoAccept = c.AutoAccept
		}
	}
	for _, c := range a.AfterContactWorkConfigs {
		if c.Channel == "VOICE" {
			a.PhoneConfig.AfterContactWorkTimeLimit = c.Config.TimeLimit
		}
	}
	for _, c := range a.PhoneNumberConfigs {
		a.PhoneConfig.PhoneType, a.PhoneConfig.DeskPhoneNumber = c.PhoneType, c.PhoneNumber
	}
	for _, c := range a.PersistentConnectionConfigs {
		a.PhoneConfig.PersistentConnection = c.PersistentConnection
	}
}

// showPhone rewrites the lists that an agent has after its PhoneConfig: the
// same after-contact work on all channels, the rest for VOICE.
func (a *Agent) showPhone() {
	full := a.PhoneConfig.channels()
	if a.AfterContactWorkConfigs != nil {
		a.AfterContactWorkConfigs = full.AfterContactWorkConfigs
	}
	if a.AutoAcceptConfigs != nil {
		others := slices.Clone(a.AutoAcceptConfigs)
		others = slices.DeleteFunc(others, func(c AutoAcceptConfig) bool { return c.Channel == voice })
		a.AutoAcceptConfigs = slices.Concat(full.AutoAcceptConfigs, others)
	}
	if a.PhoneNumberConfigs != nil {
		a.PhoneNumberConfigs = full.PhoneNumberConfigs
	}
	if a.PersistentConnectionConfigs != nil {
		a.PersistentConnectionConfigs = full.PersistentConnectionConfigs
	}
}

// voice is the channel that PhoneConfig speaks of.
const voice = "VOICE"

// channels says what a PhoneConfig says, per channel.
func (p PhoneConfig) channels() ChannelConfigs {
	c := ChannelConfigs{
		AutoAcceptConfigs:           []AutoAcceptConfig{{Channel: voice, AutoAccept: p.AutoAccept}},
		PersistentConnectionConfigs: []PersistentConnectionConfig{{Channel: voice, PersistentConnection: p.PersistentConnection}},
	}
	for _, channel := range channels {
		c.AfterContactWorkConfigs = append(c.AfterContactWorkConfigs,
			AfterContactWorkConfigs{Channel: channel, Config: AfterContactWorkConfig{TimeLimit: p.AfterContactWorkTimeLimit}})
	}
	if p.PhoneType != "" {
		c.PhoneNumberConfigs = []PhoneNumberConfig{{Channel: voice, PhoneType: p.PhoneType, PhoneNumber: p.DeskPhoneNumber}}
	}
	return c
}

// shown is an agent as reads answer it: where ChannelTwins says so, with lists
// for all that its PhoneConfig says.
func (in *Instance) shown(a *Agent) *Agent {
	if !in.settings.ChannelTwins {
		return a
	}
	full := a.PhoneConfig.channels()
	s := new(*a)
	s.ChannelConfigs = a.over(full)
	for _, c := range full.AfterContactWorkConfigs {
		if !slices.ContainsFunc(s.AfterContactWorkConfigs, func(o AfterContactWorkConfigs) bool { return o.Channel == c.Channel }) {
			s.AfterContactWorkConfigs = append(slices.Clip(s.AfterContactWorkConfigs), c)
		}
	}
	return s
}
