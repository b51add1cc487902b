package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"connectroster/internal/config"
	"connectroster/internal/okta"
	"connectroster/internal/plan"
)

// api tells whether Okta's API is to be used.
func (w *wizard) api() bool { return w.mode != modeHook }

func (w *wizard) pickOkta(ctx context.Context) (err error) {
	if w.ask != nil && w.mode == "" {
		w.mode, err = w.ask.choose(ctx, "How shall people be known?", "With access to Okta's API lost events are found again, and policy sync is possible.", []choice{
			{"By Okta's API, with an API Services app (as Okta advises)", modeService},
			{"By Okta's API, with an API token (quickly made; has all rights of its owner)", modeToken},
			{"By event hooks alone (no credential; leavers are not removed)", modeHook},
		}, modeService, nil)
	}
	if err == nil && w.ask != nil && w.org == "" && w.api() {
		w.org, err = w.ask.text(ctx, "Address of the Okta org", "Such as https://example.okta.com.", "", func(s string) error { return config.CheckOrg(s, w.allowLoopback) })
	}
	if err == nil && w.ask != nil && w.clientID == "" && w.mode == modeService {
		w.clientID, err = w.ask.text(ctx, "Client id of the API Services app", "It begins with 0oa. docs/okta-by-hand.md shows how the app is made, under Access to the API.", "", wanted("the client id"))
	}
	if err == nil && w.ask != nil && w.token == "" && w.mode == modeToken {
		w.token, err = w.ask.text(ctx, "Where is the API token?", "A reference, env:NAME or file:path. The token itself is not written down.", usualToken, referenceOnly)
	}
	if err == nil && w.ask != nil && w.key == "" && w.mode == modeService {
		w.key, err = w.ask.text(ctx, "Where is the private key of the app?", "A reference, file:path or env:NAME. The key itself is not written down.", usualKey, referenceOnly)
	}
	switch w.mode {
	case modeToken:
		w.token = cmp.Or(w.token, usualToken)
	case modeService:
		w.key = cmp.Or(w.key, usualKey)
	}
	return err
}

// signIn asks Okta what there is, if the credential is at hand.
func (w *wizard) signIn(ctx context.Context) error {
	if !w.api() {
		return nil
	}
	secret, err := w.secret(cmp.Or(w.token, w.key))
	if err != nil {
		w.say.text(yellow, "", 0, "Okta is not asked, so that names are taken as they are given: "+err.Error()+".")
		return nil
	}
	c := okta.ClientConfig{Org: w.org, AllowLoopback: w.allowLoopback, Version: version(), Log: slog.New(slog.DiscardHandler)}
	if w.mode == modeToken {
		c.Token = secret
	} else {
		c.ClientID, c.PrivateKey = w.clientID, []byte(secret)
	}
	client, err := okta.NewClient(c)
	if err != nil {
		return w.loopbackHint(err)
	}
	defer client.Close()
	if w.found, err = okta.FindOffer(ctx, client); err != nil {
		return fmt.Errorf("ask Okta what there is: %w", err)
	}
	w.asked = true
	w.say.text(faint, "", 0, fmt.Sprintf("Okta: %s, %s", count(len(w.found.Groups), "group", "groups"), count(len(w.found.Apps), "app", "apps")))
	return nil
}

// secret gives what a reference of the configuration refers to.
func (w *wizard) secret(ref string) (string, error) {
	if path, ok := strings.CutPrefix(ref, "file:"); ok {
		ref = "file:" + w.beside(path)
	}
	return readReference(ref)
}

// pickApp picks the app whose username is the agent's.
func (w *wizard) pickApp(ctx context.Context) (err error) {
	switch {
	case !w.api():
		if w.app != "" {
			return usage("--okta-app needs Okta's API, and there is none in hook-only mode")
		}
		return nil
	case w.app != "":
		if w.asked && w.found.Apps != nil && !slices.Contains(w.found.Apps, w.app) && !isOktaID(w.app) {
			return unknownIn("the Okta org", "app", w.app, w.found.Apps)
		}
		return nil
	case w.ask == nil:
		return nil
	}
	const why = "The username that people have in this app is what Okta sends at sign-in, so it becomes the agent's."
	if len(w.found.Apps) == 0 {
		w.app, err = w.ask.text(ctx, "Amazon Connect app in Okta, by its label", why+" Left empty, it is the login.", "", nil)
		return err
	}
	list := []choice{{"none: the username is the login", ""}}
	first := ""
	for _, label := range w.found.Apps {
		list = append(list, choice{label, label})
		if first == "" && strings.Contains(strings.ToLower(label), "connect") {
			first = label
		}
	}
	w.app, err = w.ask.choose(ctx, "Amazon Connect app in Okta", why, list, first, nil)
	return err
}

// byExpression stands for no group.
const byExpression = "/"

func (w *wizard) chooseGroup(ctx context.Context, persona string) (string, error) {
	title := "Okta group whose members get the persona " + persona
	if len(w.found.Groups) == 0 {
		proposed := ""
		if persona == usualPersona {
			proposed = usualGroup
		}
		return w.ask.text(ctx, title, aboutGroup, proposed, w.checkNewGroup)
	}
	var list []choice
	first := ""
	for _, g := range w.found.Groups {
		if w.taken(w.groupRef(g)) {
			continue
		}
		list = append(list, choice{g.Name, g.ID})
		if g.Name == usualGroup && persona == usualPersona {
			first = g.ID
		}
	}
	list = append(list, choice{"several, by a regular expression", byExpression})
	id, err := w.ask.choose(ctx, title, "", list, first, nil)
	if err == nil && id == byExpression {
		return w.ask.text(ctx, title, aboutGroup, "", w.checkNewGroup)
	}
	for _, g := range w.found.Groups {
		if g.ID == id {
			return w.groupRef(g), err
		}
	}
	return id, err
}

// groupRef means a group by its name, and by its id where the name is not its own
// or would be taken for something else.
func (w *wizard) groupRef(g plan.Group) string {
	same := 0
	for _, o := range w.found.Groups {
		if o.Name == g.Name {
			same++
		}
	}
	if same > 1 || strings.HasPrefix(g.Name, "/") || isOktaID(g.Name) {
		return g.ID
	}
	return g.Name
}

// isOktaID tells an id of Okta's from a name.
func isOktaID(s string) bool {
	return len(s) == 20 && strings.HasPrefix(s, "00") || len(s) == 20 && strings.HasPrefix(s, "0oa")
}

func (w *wizard) checkGroup(group string) error {
	if group == "" {
		return errors.New("want the name of a group")
	}
	if err := config.CheckGroup(group); err != nil {
		return fmt.Errorf("the group %q %w", group, err)
	}
	if !w.asked || strings.HasPrefix(group, "/") {
		return nil
	}
	var names []string
	for _, g := range w.found.Groups {
		if g.ID == group || g.Name == group {
			return nil
		}
		names = append(names, g.Name)
	}
	return unknownIn("the Okta org", "group", group, names)
}

// checkNewGroup wants a group that no other persona has.
func (w *wizard) checkNewGroup(group string) error {
	if w.taken(group) {
		return errors.New("is the group of another persona already")
	}
	return w.checkGroup(group)
}

// taken tells whether a persona has the group, so that no other gets anybody of it.
func (w *wizard) taken(group string) bool {
	return group != "" && (group == w.group || slices.ContainsFunc(w.more, func(d draft) bool { return d.Group == group }))
}

func (w *wizard) pickHook(ctx context.Context) (err error) {
	if w.hookSecret == "" && w.newHookSecret == "" && w.ask != nil {
		const (
			make1 = "make"
			own   = "own"
		)
		first := choice{"make one, in the file " + usualSecretFile + " that only you may read", make1}
		if _, err := os.Lstat(w.beside(usualSecretFile)); err == nil {
			first = choice{"it is in the file " + usualSecretFile + ", which is there already", "file:" + usualSecretFile}
		}
		var how string
		how, err = w.ask.choose(ctx, "The secret of the event hook", "Okta sends it with every event. It does not stand in the configuration.", []choice{
			first,
			{"it is in the variable OKTA_HOOK_SECRET", usualHookSecret},
			{"it is somewhere else", own},
		}, first.value, nil)
		switch {
		case err != nil:
			return err
		case how == make1:
			w.newHookSecret = usualSecretFile
		case how == own:
			if w.hookSecret, err = w.ask.text(ctx, "Where is the secret?", "A reference, env:NAME or file:path.", "", referenceOnly); err != nil {
				return err
			}
		default:
			w.hookSecret = how
		}
	}
	if w.newHookSecret != "" {
		if _, err := os.Lstat(w.secretFile()); err == nil {
			return fmt.Errorf("%s is there already: use it with --hook-secret file:%s, or name another file with --new-hook-secret", w.secretFile(), w.newHookSecret)
		}
		w.hookSecret = "file:" + w.newHookSecret
	}
	w.hookSecret = cmp.Or(w.hookSecret, usualHookSecret)
	if w.hookURL == "" && w.ask != nil {
		w.hookURL, err = w.ask.text(ctx, "Address at which Okta reaches connectroster", "Such as https://roster.example.com/hooks/okta. Left empty, it can follow later.", "", w.checkHookURL)
	}
	return err
}

// checkHookURL takes an empty address as well, since it may follow later.
func (w *wizard) checkHookURL(address string) error {
	if address == "" {
		return nil
	}
	return config.CheckHookURL(address, w.allowLoopback)
}

// secretFile is the file of a new secret, beside the configuration.
func (w *wizard) secretFile() string { return w.beside(w.newHookSecret) }

// beside is a path as the configuration means it.
func (w *wizard) beside(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(w.config), path)
}
