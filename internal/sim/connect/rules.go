package connect

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// checkExclusions refuses a phone member together with the list that replaced it.
func checkExclusions(p *phoneInput, c *ChannelConfigs) error {
	if p == nil {
		return nil
	}
	for _, x := range []struct {
		member, list string
		both         bool
	}{
		{"AutoAccept", "AutoAcceptConfigs", p.AutoAccept != nil && c.AutoAcceptConfigs != nil},
		{"AfterContactWorkTimeLimit", "AfterContactWorkConfigs", p.AfterContactWorkTimeLimit != nil && c.AfterContactWorkConfigs != nil},
		{"PhoneType", "PhoneNumberConfigs", p.PhoneType != nil && c.PhoneNumberConfigs != nil},
		{"DeskPhoneNumber", "PhoneNumberConfigs", p.DeskPhoneNumber != nil && c.PhoneNumberConfigs != nil},
		{"PersistentConnection", "PersistentConnectionConfigs", p.PersistentConnection != nil && c.PersistentConnectionConfigs != nil},
	} {
		if x.both {
			return invalidParameter("PhoneConfig.%s and %s exclude each other", x.member, x.list)
		}
	}
	return nil
}

// checkChannels refuses a channel named twice in a list, and channels other
// than VOICE where only voice has the setting.
func checkChannels(c *ChannelConfigs) error {
	lists := []struct {
		name      string
		voiceOnly bool
		channels  []string
	}{
		{name: "AutoAcceptConfigs"}, {name: "AfterContactWorkConfigs"},
		{name: "PhoneNumberConfigs", voiceOnly: true},
		{name: "PersistentConnectionConfigs", voiceOnly: true},
		{name: "VoiceEnhancementConfigs", voiceOnly: true},
	}
	for _, v := range c.AutoAcceptConfigs {
		if v.AgentFirstCallbackAutoAccept != nil && v.Channel != "VOICE" {
			return invalidParameter("AgentFirstCallbackAutoAccept is for VOICE only")
		}
		lists[0].channels = append(lists[0].channels, v.Channel)
	}
	for _, v := range c.AfterContactWorkConfigs {
		if v.AgentFirstCallback != nil && v.Channel != "VOICE" {
			return invalidParameter("AgentFirstCallbackAfterContactWorkConfig is for VOICE only")
		}
		lists[1].channels = append(lists[1].channels, v.Channel)
	}
	for _, v := range c.PhoneNumberConfigs {
		lists[2].channels = append(lists[2].channels, v.Channel)
	}
	for _, v := range c.PersistentConnectionConfigs {
		lists[3].channels = append(lists[3].channels, v.Channel)
	}
	for _, v := range c.VoiceEnhancementConfigs {
		lists[4].channels = append(lists[4].channels, v.Channel)
	}
	for _, l := range lists {
		seen := make(map[string]bool)
		for _, channel := range l.channels {
			switch {
			case l.voiceOnly && channel != "VOICE":
				return invalidParameter("%s take the channel VOICE only", l.name)
			case seen[channel]:
				return invalidParameter("%s name the channel %s twice", l.name, channel)
			}
			seen[channel] = true
		}
	}
	return nil
}

var usernameFormat = regexp.MustCompile(`^[a-zA-Z0-9_.@-]+$`)

// checkIdentity holds a new user to the rules of the identity type.
func (in *Instance) checkIdentity(input *createUserInput) error {
	identity := in.settings.IdentityType
	if err := checkUsername(identity, input.Username); err != nil {
		return err
	}
	switch {
	case identity == ConnectManaged && input.Password == nil:
		return missing("Password")
	case identity == ConnectManaged && !strongPassword(*input.Password):
		return violated("Password", "must be 8 to 64 characters with a lower-case letter, an upper-case letter and a digit")
	case identity != ConnectManaged && input.Password != nil:
		return invalidRequest("Password is not allowed for the identity type %s", identity)
	case identity != ExistingDirectory && input.DirectoryUserID != nil:
		return invalidRequest("DirectoryUserId is not allowed for the identity type %s", identity)
	}
	info := input.IdentityInfo
	if info == nil {
		info = new(IdentityInfo)
	}
	return in.checkPerson(info)
}

// checkUsername holds a username to its documented length and characters; an
// @ must be that of an e-mail address.
func checkUsername(identity, username string) error {
	longest := 20
	if identity == SAML {
		longest = 64
	}
	if len(username) > longest {
		return violated("Username", "must be at most %d for the identity type %s", longest, identity)
	}
	if !usernameFormat.MatchString(username) {
		return violated("Username", "must be of a-z, A-Z, 0-9, _, -, . and @")
	}
	if local, domain, at := strings.Cut(username, "@"); at {
		inner := strings.Trim(domain, ".")
		if local == "" || inner != domain || !strings.Contains(inner, ".") || strings.Contains(inner, "@") {
			return violated("Username", "must be an e-mail address if it has an @")
		}
	}
	return nil
}

func strongPassword(s string) bool {
	n := utf8.RuneCountInString(s)
	has := func(lo, hi rune) bool {
		return strings.ContainsFunc(s, func(r rune) bool { return r >= lo && r <= hi })
	}
	return n >= 8 && n <= 64 && has('a', 'z') && has('A', 'Z') && has('0', '9') && !strings.ContainsFunc(s, unicode.IsSpace)
}

// checkPerson holds identity information to the rules of the identity type.
func (in *Instance) checkPerson(info *IdentityInfo) error {
	identity := in.settings.IdentityType
	longestLast := 300
	if identity == ConnectManaged {
		longestLast = 256
	}
	switch {
	case identity != ExistingDirectory && info.FirstName == "":
		return missing("FirstName")
	case identity != ExistingDirectory && info.LastName == "":
		return missing("LastName")
	case utf8.RuneCountInString(info.LastName) > longestLast:
		return violated("IdentityInfo.LastName", "must be at most %d for the identity type %s", longestLast, identity)
	case !in.nfc.is(info.FirstName):
		return violated("IdentityInfo.FirstName", "must be in Unicode normalization form C")
	case !in.nfc.is(info.LastName):
		return violated("IdentityInfo.LastName", "must be in Unicode normalization form C")
	case info.Email == "":
		return nil
	case identity == ExistingDirectory:
		return invalidRequest("Email comes from the directory")
	case identity == SAML && in.settings.EmailOnSAML == Reject:
		return invalidRequest("Email is not allowed for the identity type SAML")
	}
	return nil
}
