package connect

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconnect "github.com/aws/aws-sdk-go-v2/service/connect"
	"github.com/aws/aws-sdk-go-v2/service/connect/types"
	"github.com/aws/smithy-go/middleware"

	"connectroster/internal/plan"
	"connectroster/internal/reconcile"
)

// doing is one change under way.
type doing struct {
	*Instance
	change   plan.Change
	instance string
	agent    string      // its UserId
	user     *types.User // as it was before the first write; nil for Create
	private  []string    // what no error may tell

	written bool // something may have been written
	created bool // CreateUser has gone through
}

// open reads the agent and makes sure that it is the person's and ours, or for
// Adopt and Release that it is nobody's. One of ours that has lost its owner is released
// in its own name alone. Its answer is read-after-write, so what somebody
// else changed a moment ago shows.
func (d *doing) open(ctx context.Context) error {
	user, err := d.describe(ctx, d.instance, d.agent)
	if errors.Is(err, reconcile.ErrNotFound) {
		return d.gone(err)
	}
	if err != nil {
		return beforeSending(err)
	}
	d.user = user
	d.hide()
	a := fromUser(user)
	switch {
	case a.Owner == d.change.Person && a.Deployment == d.deployment:
		return nil
	case d.change.Action == plan.Adopt && (a.Owner == "" || a.Owner == d.change.Person) && (a.Deployment == "" || a.Deployment == d.deployment):
		return nil
	case d.change.Action == plan.Release && a.Owner == "" && (a.Deployment == "" || a.Deployment == d.deployment && d.change.Person == d.agent):
		return nil
	case d.change.Action == plan.Adopt:
		return reconcile.Terminal(fmt.Errorf("agent %s cannot be adopted for the person %s: it belongs to the person %q and the deployment %q", d.agent, d.change.Person, a.Owner, a.Deployment))
	}
	return reconcile.Terminal(fmt.Errorf("agent %s is not ours (any more): its tags name the person %q and the deployment %q, not %q and %q; nothing was written",
		d.agent, a.Owner, a.Deployment, d.change.Person, d.deployment))
}

// gone is the error for an agent that is not there. The next look finds out what
// that means.
func (d *doing) gone(err error) error {
	return reconcile.After(waitGone, fmt.Errorf("%s: %w", d.change.Action, err))
}

// hide collects what the requests of this change say about people.
func (d *doing) hide() {
	for _, a := range []*plan.Agent{d.change.Before, d.change.After, d.change.Parked} {
		if a == nil {
			continue
		}
		d.private = append(d.private, a.Username, a.FirstName, a.LastName, a.Phone.DeskNumber)
		for _, text := range a.Tags {
			d.private = append(d.private, text)
		}
	}
	if d.user == nil {
		return
	}
	d.private = append(d.private, aws.ToString(d.user.Username))
	if info := d.user.IdentityInfo; info != nil {
		for _, s := range []*string{info.FirstName, info.LastName, info.Email, info.SecondaryEmail, info.Mobile} {
			d.private = append(d.private, aws.ToString(s))
		}
	}
}

// write makes one call that changes something. What it names and is not there
// may be a profile that went away since the catalog was read.
func (d *doing) write(ctx context.Context, operation string, call func() error) error {
	if ctx.Err() != nil {
		return reconcile.After(0, fmt.Errorf("%s: %w", operation, &unsent{0, context.Cause(ctx)}))
	}
	err := call()
	if err == nil {
		return nil
	}
	if err = classify(operation, err, d.private...); errors.Is(err, errNoResource) {
		d.catalog.drop()
		return reconcile.After(waitCatalog, fmt.Errorf("the agent, the instance, or something that the change gives the agent, is gone: %w", err))
	}
	return err
}

// watch notes that a call may have changed something, whatever the last of its
// attempts says.
func (d *doing) watch(o *awsconnect.Options) {
	o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
		return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("Watch",
			func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
				out, metadata, err := next.HandleFinalize(ctx, in)
				if err == nil || !read(err).settled() {
					d.written = true
				}
				return out, metadata, err
			}), "Signing", middleware.Before)
	})
}

// beforeWriting is for the error of a reading on the way: as long as nothing was
// written it says that nothing was done.
func (d *doing) beforeWriting(err error) error {
	if d.written {
		return err
	}
	return beforeSending(err)
}

// judge takes from an error the class that says that nothing was done, unless
// that is so.
func (d *doing) judge(err error) error {
	_, waits := reconcile.AsAfter(err)
	switch {
	case err == nil, !d.written, !waits && !reconcile.IsTerminal(err):
		return err
	case waits && !d.created && errors.Is(err, errTurn):
		return err
	}
	return &partly{err}
}

// partly is the error of a change of which a part was made. Its class does not
// count any more.
type partly struct{ err error }

func (e *partly) Error() string { return "a part of the change was made: " + e.err.Error() }

// Is lets the end of a context be seen.
func (e *partly) Is(target error) bool {
	return (target == context.Canceled || target == context.DeadlineExceeded) && errors.Is(e.err, target)
}

// A part of an agent that is written by itself.
type part func(d *doing, ctx context.Context, want *plan.Agent, fields []plan.Field) error

// The order of writing: who is given something has all of it before the tags say
// so, and of whom something is taken the tags tell before the first is gone.
var (
	giving = []part{
		(*doing).putName, (*doing).putRouting, (*doing).putSecurity, (*doing).putHierarchy, (*doing).putSkills,
		(*doing).putHandling, (*doing).putTags,
	}
	removing = []part{
		(*doing).putTags, (*doing).putSecurity, (*doing).putRouting, (*doing).putName, (*doing).putHierarchy,
		(*doing).putSkills, (*doing).putHandling,
	}
)

func (d *doing) put(ctx context.Context, want *plan.Agent, fields []plan.Field, order []part) error {
	for _, part := range order {
		if err := part(d, ctx, want, fields); err != nil {
			return err
		}
	}
	return nil
}

// putTags writes the tags that differ, with one call: what FieldOwnership stands
// for, what is wanted beside it, or both. Tags that nobody names stay. Of ours
// those that say nothing any more are emptied, which reads the same as to take
// them off and does not need another permission.
func (d *doing) putTags(ctx context.Context, want *plan.Agent, fields []plan.Field) error {
	tags := make(map[string]string)
	if has(fields, plan.FieldTags) {
		maps.Copy(tags, want.Tags)
	}
	if has(fields, plan.FieldOwnership) {
		for _, key := range tagAnswers {
			tags[key] = ""
		}
		tags[tagGroup] = ""
		maps.Copy(tags, ownership(want))
	}
	maps.DeleteFunc(tags, func(key, text string) bool {
		now, there := d.user.Tags[key]
		return now == text && (there || strings.HasPrefix(key, ours))
	})
	if len(tags) == 0 { // an empty map is refused
		return nil
	}
	in := &awsconnect.TagResourceInput{ResourceArn: d.user.Arn, Tags: tags}
	return d.write(ctx, "TagResource", func() error {
		_, err := d.api.TagResource(ctx, in, d.watch)
		return err
	})
}
