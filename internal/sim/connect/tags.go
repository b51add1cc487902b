package connect

import (
	"maps"
	"strings"
)

type resourcePath struct {
	ResourceARN string `uri:"resourceArn"`
}

type tagResourceInput struct {
	resourcePath
	Tags map[string]string `json:"tags" wire:"required,min=1,max=50,check=tags"`
}

func (in *Instance) tagResource(c *call, input *tagResourceInput) (any, error) {
	return in.retag(c, input.ResourceARN, func(tags map[string]string) error {
		maps.Copy(tags, input.Tags)
		if len(tags) > 50 {
			return invalidRequest("A resource holds at most 50 tags")
		}
		return nil
	})
}

type untagResourceInput struct {
	resourcePath
	TagKeys []string `query:"tagKeys" wire:"required,min=1,max=50,check=tagkeys"`
}

func (in *Instance) untagResource(c *call, input *untagResourceInput) (any, error) {
	return in.retag(c, input.ResourceARN, func(tags map[string]string) error {
		for _, k := range input.TagKeys {
			delete(tags, k)
		}
		return nil
	})
}

// retag changes a copy of the tags of a resource and stores it. The time of
// change of the resource stays.
func (in *Instance) retag(c *call, arn string, change func(map[string]string) error) (any, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	res, err := in.resource(arn)
	if err != nil {
		return nil, err
	}
	tags := maps.Clone(res.tags())
	if tags == nil {
		tags = make(map[string]string)
	}
	if err := change(tags); err != nil {
		return nil, err
	}
	if res.entry != nil {
		res.entry.Tags = tags
		in.record(c, nil)
		return nil, nil
	}
	a := new(*res.agent)
	a.Tags = tags
	in.keep(a)
	in.record(c, a)
	return nil, nil
}

type listTagsInput struct{ resourcePath }

func (in *Instance) listTags(_ *call, input *listTagsInput) (any, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	res, err := in.resource(input.ResourceARN)
	if err != nil {
		return nil, err
	}
	return struct {
		Tags map[string]string `json:"tags,omitempty"`
	}{res.tags()}, nil
}

// resource is something that bears tags: an agent or an entry of a catalogue.
type resource struct {
	agent *Agent
	entry *CatalogEntry
}

func (r resource) tags() map[string]string {
	if r.entry != nil {
		return r.entry.Tags
	}
	return r.agent.Tags
}

func (in *Instance) resource(arn string) (resource, error) {
	if !strings.HasPrefix(arn, "arn:") {
		return resource{}, violated("resourceArn", "must be an ARN")
	}
	rest, _ := strings.CutPrefix(arn, in.ARN()+"/")
	noun, id, _ := strings.Cut(rest, "/")
	var res resource
	switch noun {
	case "agent":
		res.agent = in.agents.current(id)
	case in.routing.noun:
		res.entry = in.routing.byID[id]
	case in.security.noun:
		res.entry = in.security.byID[id]
	case in.groups.noun:
		res.entry = in.groups.byID[id]
	}
	if res.agent == nil && res.entry == nil {
		return res, notFound("The resource does not exist")
	}
	return res, nil
}
