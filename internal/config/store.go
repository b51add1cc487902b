package config

import (
	"net/url"
	"regexp"
	"strings"
)

// Sources: Amazon DynamoDB, CreateTable; Amazon SQS, CreateQueue.
var (
	tableForm = regexp.MustCompile(`^[A-Za-z0-9_.-]{3,255}$`)
	queueForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,75}\.fifo$`)
)

// checkStoreAWS judges the store in AWS, if there is one.
func (r *reader) checkStoreAWS(c *Config) {
	const at = "store.aws"
	if r.values[at] == nil {
		return
	}
	if r.values["store.sqlite"] != nil {
		r.test("store.sqlite", complaint{"cannot stand beside aws", "keep one of the two"})
	}
	aws := c.Store.AWS
	switch {
	case r.ok(at + ".table"):
		if !tableForm.MatchString(aws.Table) {
			r.fault(at+".table", complaint{"want 3 to 255 letters, digits, _ . and -", ""})
		}
	case len(r.meant(at+".table")) == 0 && !r.partial && r.ok(at):
		r.fault(at+".table", complaint{"is missing", "for example table: connectroster"})
	}
	if r.ok(at+".region") && !regionForm.MatchString(aws.Region) {
		r.fault(at+".region", complaint{"want the name of an AWS region, such as eu-central-1", ""})
	}
	for _, queue := range []struct{ key, other, value string }{
		{at + ".leavers_queue", at + ".queue", aws.LeaversQueue}, {at + ".queue", at + ".leavers_queue", aws.Queue},
	} {
		if !r.ok(queue.key) {
			continue
		}
		if !queueForm.MatchString(queue.value[strings.LastIndexByte(queue.value, '/')+1:]) {
			r.fault(queue.key, complaint{"want the name or the address of a FIFO queue, which ends in .fifo", ""})
		}
		if len(r.meant(queue.other)) == 0 && !r.partial {
			r.fault(queue.other, complaint{"is missing; it belongs to " + queue.key, ""})
		}
	}
	if r.ok(at+".leavers_queue") && r.ok(at+".queue") && aws.LeaversQueue == aws.Queue {
		r.fault(at+".queue", complaint{"is the same as leavers_queue", "leavers need a queue of their own, so that nobody is in front of them"})
	}
	if r.ok(at + ".endpoint") {
		r.test(at+".endpoint", storeEndpointFault(aws.Endpoint, c.AllowLoopback))
	}
}

// storeEndpointFault refuses what is no address, what is on this machine unless
// that is allowed, and plain text to any other.
func storeEndpointFault(endpoint string, loopback bool) complaint {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return complaint{"want an https address", ""}
	}
	switch local := isLoopback(u.Hostname()); {
	case local && !loopback:
		return complaint{"is on this machine, so it is not AWS", "set allow_loopback: true if that is meant"}
	case !local && u.Scheme != "https":
		return complaint{"want an https address", ""}
	}
	return complaint{}
}
