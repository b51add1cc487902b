package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"connectroster/internal/awsstore"
	"connectroster/internal/reconcile"
	simconnect "connectroster/internal/sim/connect"
	simokta "connectroster/internal/sim/okta"
	"connectroster/internal/storetest"
)

// suiteFolder is the variable that names a folder which lasts for all tests.
const suiteFolder = "CONNECTROSTER_TEST_FOLDER"

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "connectroster-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := os.Setenv(suiteFolder, dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	// These tests wait for leases, schedules and secrets most of the time.
	_ = flag.Set("test.parallel", "6") // a flag of the command line still wins
	code := m.Run()
	server.stop()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// moto is a server that stands in for DynamoDB, SQS and Secrets Manager, shared by
// all tests. Its zero value is not running.
type moto struct {
	once    sync.Once
	process *exec.Cmd
	ended   chan struct{}
	url     string
	missing string // why there is none
	err     error
}

var server moto

func (m *moto) start() {
	if out, err := exec.Command("python3", "-c", "import moto.server").CombinedOutput(); err != nil {
		m.missing = fmt.Sprintf("skipped: python3 has no moto to stand in for AWS (pip install 'moto[server]'): %v %.300s", err, out)
		return
	}
	free, err := storetest.FreeAddresses(1)
	if err != nil {
		m.err = err
		return
	}
	m.process = exec.Command("python3", filepath.Join("..", "..", "internal", "awsstore", "testdata", "standin.py"), free[0])
	if m.err = m.process.Start(); m.err != nil {
		return
	}
	m.ended = make(chan struct{})
	go func() {
		_ = m.process.Wait()
		close(m.ended)
	}()
	m.url = "http://" + free[0]
	for until := time.Now().Add(patience); ; {
		resp, err := http.Get(m.url + "/moto-api/data.json")
		if err == nil {
			_ = resp.Body.Close()
			m.err = nil
			return
		}
		if m.err = err; time.Now().After(until) {
			return
		}
		time.Sleep(50 * time.Millisecond) // it is a process of Python's; nothing tells when it listens
	}
}

func (m *moto) stop() {
	if m.process != nil && m.process.Process != nil {
		_ = m.process.Process.Kill()
		<-m.ended
	}
}

// aws gives the configuration of our own clients.
func (m *moto) aws() aws.Config {
	return aws.Config{Region: "eu-central-1", BaseEndpoint: &m.url, Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")}
}

// between stands between the functions and the services: it counts calls, and
// breaks those that it is told to.
type between struct {
	proxy *httputil.ReverseProxy

	mu      sync.Mutex
	calls   map[string]int // by service and operation
	broken  func(call string) int
	body    []byte   // of the call that broken is asked about
	refused []string // calls of DynamoDB that name one of them fail
	units   *units   // counts what is written, if it is there
}

func (b *between) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	target := r.Header.Get("X-Amz-Target")
	body, err := io.ReadAll(r.Body) // else nobody notices when the caller of a call that hangs has gone
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	w, arrived := weather.slow(w, r)
	defer arrived()
	b.mu.Lock()
	b.calls[target]++
	status := 0
	if b.broken != nil {
		b.body = body
		status = b.broken(target)
	}
	meter, refused := b.units, b.refused
	b.mu.Unlock()
	if strings.HasPrefix(target, "DynamoDB") && slices.ContainsFunc(refused, func(name string) bool { return bytes.Contains(body, []byte(name)) }) {
		status = http.StatusBadRequest
	}
	switch {
	case status == hang:
		<-r.Context().Done()
	case status == throttle:
		http.Error(w, `{"__type":"TransactionCanceledException","message":"as the test wants it","CancellationReasons":[{"Code":"None"},{"Code":"ThrottlingError"}]}`, http.StatusBadRequest)
	case status == http.StatusOK:
		w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
		_, _ = io.WriteString(w, "{}")
	case status < 0: // the line breaks once the work is done
		b.proxy.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	case status > 0:
		http.Error(w, `{"__type":"InternalServerError","message":"as the test wants it"}`, status)
	case meter != nil:
		meter.measure(target, body, func() { b.proxy.ServeHTTP(w, r) })
	default:
		b.proxy.ServeHTTP(w, r)
	}
}

// hang is the status of a call that is never answered, and throttle that of a
// transaction for which DynamoDB has no capacity at the moment.
const (
	hang     = 1000
	throttle = 1001
)

// breaks makes calls fail for which it gives a status; a negative one is an answer
// that is lost, and 200 one that holds nothing.
func (b *between) breaks(broken func(call string) int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.broken = broken
}

// refuses makes calls of DynamoDB fail that name one of these.
func (b *between) refuses(names ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refused = names
}

// count gives how many calls there were, by service and operation, and begins anew.
func (b *between) count() map[string]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	calls := b.calls
	b.calls = map[string]int{}
	return calls
}

const (
	hookSecret = "the-secret-of-these-tests"
	apiToken   = "the-api-token-of-these-tests"
	nextToken  = "the-next-token-of-these-tests"
	agentGroup = "Amazon Connect Agents"
)

var worlds atomic.Int64

// world is a deployment with its functions, between a simulated Okta org and a
// simulated Amazon Connect instance.
type world struct {
	t        testing.TB
	name     string
	config   string // path
	org      *simokta.Org
	group    simokta.Group
	hookID   string
	instance *simconnect.Instance
	between  *between
	gateway  *httptest.Server
	env      []string

	sqs    *sqs.Client
	vault  *secretsmanager.Client
	queues map[string]string // URLs by what they hold: leavers, people, and their dead letters
	store  *awsstore.Store   // our own look at the table

	hook, work, wake, catchup, sweep *function
}

// setup says how a world differs from the usual one.
type setup struct {
	hookOnly   bool
	rate       float64 // config key connect.rate; default 1000
	visibility int     // seconds for which a message that was received is hidden; default 2
	connect    simconnect.Settings
	config     string // more lines
}

func newWorld(t testing.TB, s setup) *world {
	t.Helper()
	server.once.Do(server.start)
	if server.missing != "" {
		t.Skip(server.missing)
	}
	if server.err != nil {
		t.Fatalf("start moto: %v", server.err)
	}
	dir := t.TempDir()
	w := &world{
		t: t, name: fmt.Sprintf("tests-%d", worlds.Add(1)), config: filepath.Join(dir, "connectroster.yaml"),
		sqs: sqs.NewFromConfig(server.aws()), vault: secretsmanager.NewFromConfig(server.aws()), queues: map[string]string{},
		between: &between{calls: map[string]int{}},
	}
	target, err := url.Parse(server.url)
	w.must(err)
	w.between.proxy = httputil.NewSingleHostReverseProxy(target)
	services := httptest.NewServer(w.between)
	t.Cleanup(services.Close)

	w.simulate(s)
	connect := httptest.NewServer(w.instance)
	t.Cleanup(connect.Close)
	w.env = []string{
		"CONNECTROSTER_CONFIG=" + w.config, "CONNECTROSTER_WORKERS=4",
		"AWS_ENDPOINT_URL_DYNAMODB=" + services.URL, "AWS_ENDPOINT_URL_SQS=" + services.URL, "AWS_ENDPOINT_URL_SECRETS_MANAGER=" + services.URL,
		"AWS_ENDPOINT_URL_CONNECT=" + connect.URL,
	}
	w.deploy(s)
	w.hook, w.work, w.wake = w.function("hook"), w.function("work"), w.function("wake")
	w.catchup, w.sweep = w.function("catchup"), w.function("sweep")
	w.gateway = httptest.NewServer(gateway{w})
	t.Cleanup(w.gateway.Close)
	return w
}

// simulate makes the org and the instance.
func (w *world) simulate(s setup) {
	w.t.Helper()
	var err error
	w.instance, err = simconnect.New(simconnect.Config{Settings: &s.connect})
	w.must(err)
	w.instance.AddDemo()
	w.org, err = simokta.New(simokta.Config{AllowHTTP: true, Now: distinct(), Tokens: []string{apiToken, nextToken}})
	w.must(err)
	w.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := w.org.Close(ctx); err != nil {
			w.t.Error(err)
		}
	})
	w.group, err = w.org.AddGroup(agentGroup)
	w.must(err)
	org := httptest.NewServer(w.org)
	w.t.Cleanup(org.Close)
	if s.rate == 0 {
		s.rate = 1000
	}
	policy, auth, leavers, parked := "sync", fmt.Sprintf(", auth: {token: \"secretsmanager:connectroster/%s/okta\"}", w.name), "leavers: {suspend_as: parked, delete_after: 7d}", "  parked: {routing_profile: Parked, security_profiles: [No permissions]}\n"
	if s.hookOnly {
		policy, auth, leavers, parked = "create-only", "", "", ""
	}
	text := fmt.Sprintf(`name: %s
policy: %s
allow_loopback: true
okta: {org: %q%s, hook: {secrets: ["secretsmanager:connectroster/%s/hook"]}}
connect: {instance: %s, region: eu-central-1, rate: %g, burst: 5}
personas:
  agent: {routing_profile: Basic Routing Profile, security_profiles: [Agent]}
%srules:
  - {groups: [%[12]s], persona: agent}
  - {groups: ["/^Connect Queue (?<queue>.+)$/"], set: {routing_profile: "{queue}"}}
log: {level: debug}
store: {aws: {table: %[9]s, leavers_queue: %[9]s-leavers.fifo, queue: %[9]s.fifo}}
%[10]s
%[11]s
`, w.name, policy, org.URL, auth, w.name, w.instance.ID(), s.rate, parked, "connectroster-"+w.name, leavers, s.config, agentGroup)
	w.must(os.WriteFile(w.config, []byte(text), 0o600))
}

// deploy makes what deploy/cdk makes: the table, the queues and the secrets.
func (w *world) deploy(s setup) {
	w.t.Helper()
	ctx := w.t.Context()
	base := "connectroster-" + w.name
	if _, err := dynamodb.NewFromConfig(server.aws()).CreateTable(ctx, awsstore.Schema(base)); err != nil {
		w.t.Fatal(err)
	}
	if s.visibility == 0 {
		s.visibility = 2
	}
	for what, name := range map[string]string{"leavers": base + "-leavers", "people": base} {
		dead := w.queue(name+"-dead.fifo", map[string]string{})
		attributes, err := w.sqs.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &dead, AttributeNames: []types.QueueAttributeName{"QueueArn"}})
		w.must(err)
		w.queues[what+" dead"] = dead
		w.queues[what] = w.queue(name+".fifo", map[string]string{
			"VisibilityTimeout": strconv.Itoa(s.visibility),
			"RedrivePolicy":     fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":5}`, attributes.Attributes["QueueArn"]),
		})
	}
	for name, text := range map[string]string{"hook": hookSecret, "okta": apiToken} {
		_, err := w.vault.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: aws.String("connectroster/" + w.name + "/" + name), SecretString: &text})
		w.must(err)
	}
	var err error
	w.store, err = awsstore.Open(ctx, awsstore.Config{
		Table: base, Region: "eu-central-1", Endpoint: server.url, AllowLoopback: true, Credentials: server.aws().Credentials,
		Queue: w.queues["people"], LeaversQueue: w.queues["leavers"], Timeout: patience, Attempt: patience,
	})
	w.must(err)
	w.t.Cleanup(func() { _ = w.store.Close() })
}

func (w *world) queue(name string, attributes map[string]string) (address string) {
	w.t.Helper()
	attributes["FifoQueue"] = "true"
	out, err := w.sqs.CreateQueue(w.t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
	w.must(err)
	return aws.ToString(out.QueueUrl)
}

func (w *world) function(handler string, env ...string) *function {
	w.t.Helper()
	return newFunction(w.t, handler, filepath.Dir(w.config), append(append([]string{}, w.env...), env...)...)
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// gateway is Amazon API Gateway in front of the hook: an HTTP API, but a REST API
// at the path of the AWS sample. It encodes bodies there, as it may.
type gateway struct{ *world }

func (g gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	var event any
	first := map[string]string{}
	for name, values := range r.Header {
		first[strings.ToLower(name)] = strings.Join(values, ",")
	}
	if r.URL.Path == "/create_user" {
		event = events.APIGatewayProxyRequest{
			HTTPMethod: r.Method, Path: r.URL.Path, MultiValueHeaders: r.Header, Headers: map[string]string{},
			Body: base64.StdEncoding.EncodeToString(body), IsBase64Encoded: true,
		}
	} else {
		in := events.APIGatewayV2HTTPRequest{Version: "2.0", RawPath: r.URL.Path, RawQueryString: r.URL.RawQuery, Headers: first, Body: string(body)}
		in.RequestContext.Stage, in.RequestContext.HTTP.Method, in.RequestContext.HTTP.SourceIP = "$default", r.Method, "192.0.2.1"
		event = in
	}
	text, err := g.hook.invoke(event)
	if err != nil { // as API Gateway answers for a function that fails
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	var out struct {
		StatusCode        int
		Headers           map[string]string
		MultiValueHeaders http.Header
		Body              string
		IsBase64Encoded   bool
	}
	if err := json.Unmarshal(text, &out); err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	for name, values := range out.MultiValueHeaders {
		w.Header()[name] = values
	}
	for name, value := range out.Headers {
		w.Header().Set(name, value)
	}
	w.WriteHeader(out.StatusCode)
	_, _ = io.WriteString(w, out.Body)
}

// subscribe creates the event hook in the org and has it verified.
func (w *world) subscribe(path string, more ...string) {
	w.t.Helper()
	hook, err := w.org.AddHook(simokta.HookConfig{
		Name: "connectroster", URI: w.gateway.URL + path, AuthValue: hookSecret,
		Events: append([]string{"group.user_membership.add", "group.user_membership.remove"}, more...),
	})
	w.must(err)
	w.hookID = hook.ID
	// A cold start on a busy machine takes longer than Okta waits.
	eventually(w.t, patience, func() error {
		if _, err := w.hook.invoke(map[string]any{"version": "2.0"}); err != nil {
			return err
		}
		return w.org.VerifyHook(w.t.Context(), hook.ID)
	})
}

// delivered waits until everything that the org has to tell is stored. On a busy machine
// the stand-in for AWS may be too slow, and what Okta gives up then is delivered again.
func (w *world) delivered() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	w.must(w.org.Idle(ctx))
	lost := map[string]bool{}
	for _, d := range w.org.Deliveries() {
		for _, uuid := range d.Events {
			lost[uuid] = d.Outcome == "failed" && (d.Status == 0 || d.Status >= 500) && d.Kind != "preview"
		}
	}
	maps.DeleteFunc(lost, func(_ string, is bool) bool { return !is })
	for _, uuid := range slices.Sorted(maps.Keys(lost)) {
		w.redeliver(uuid)
	}
}

// redeliver delivers an event again, until it is accepted.
func (w *world) redeliver(uuid string) {
	w.t.Helper()
	eventually(w.t, patience, func() error {
		answers, err := w.org.Redeliver(w.t.Context(), w.hookID, uuid)
		if err == nil && answers[0].Outcome != "delivered" {
			err = fmt.Errorf("event %s: %s", uuid, answers[0].Error)
		}
		return err
	})
}

// idle waits until all is delivered, and until there is a message for everybody who is
// due; the schedule tells of those of whom none does.
func (w *world) idle() {
	w.t.Helper()
	w.delivered()
	eventually(w.t, 3*patience, func() error {
		backlog, err := w.store.Backlog(w.t.Context())
		w.must(err)
		if messages := w.messages("leavers") + w.messages("people"); messages < backlog.Due {
			_, err = w.wake.invoke(map[string]any{})
			return errors.Join(fmt.Errorf("%d people are due, and %d messages tell of them", backlog.Due, messages), err)
		}
		return nil
	})
}

// messages counts what is in a queue, with what somebody has received and not deleted.
func (w *world) messages(queue string) (n int) {
	w.t.Helper()
	out, err := w.sqs.GetQueueAttributes(w.t.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: aws.String(w.queues[queue]), AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll},
	})
	w.must(err)
	for _, name := range []string{"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"} {
		some, err := strconv.Atoi(out.Attributes[name])
		w.must(err)
		n += some
	}
	return n
}

// hire adds the n-th person to the org and to the group.
func (w *world) hire(n int) simokta.User {
	w.t.Helper()
	user, err := w.org.AddUser(simokta.NewUser{
		Login: fmt.Sprintf("person%d@example.com", n), FirstName: fmt.Sprintf("First%d", n), LastName: fmt.Sprintf("Last%d", n),
	})
	w.must(err)
	w.must(w.org.Join(user.ID, w.group.ID))
	return user
}

// received takes messages from a queue, as many as a batch of the deployment has
// unless it is said.
func (w *world) received(queue string, most ...int) []types.Message {
	w.t.Helper()
	messages, err := w.receive(w.t.Context(), queue, append(most, 5)[0])
	w.must(err)
	return messages
}

func (w *world) receive(ctx context.Context, queue string, most int) ([]types.Message, error) {
	out, err := w.sqs.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: aws.String(w.queues[queue]), MaxNumberOfMessages: int32(most),
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
	})
	if err != nil {
		return nil, err
	}
	return out.Messages, nil
}

// redrive sends back what queues have put aside, since the workers that got it were
// killed each time, or too slow. The runbook tells people to do so.
func (w *world) redrive(queues ...string) {
	w.t.Helper()
	for _, queue := range queues {
		dead := queue + " dead"
		for {
			batch := w.received(dead)
			if len(batch) == 0 {
				break
			}
			w.t.Logf("%d messages of the queue %q go back", len(batch), dead)
			for _, m := range batch {
				_, err := w.sqs.SendMessage(w.t.Context(), &sqs.SendMessageInput{
					QueueUrl: aws.String(w.queues[queue]), MessageBody: m.Body,
					MessageGroupId: aws.String(m.Attributes["MessageGroupId"]), MessageDeduplicationId: aws.String("again-" + aws.ToString(m.MessageId)),
				})
				w.must(err)
				_, err = w.sqs.DeleteMessage(w.t.Context(), &sqs.DeleteMessageInput{QueueUrl: aws.String(w.queues[dead]), ReceiptHandle: m.ReceiptHandle})
				w.must(err)
			}
		}
	}
}

// batchOf makes the event of a batch.
func batchOf(messages []types.Message) events.SQSEvent {
	var event events.SQSEvent
	for _, m := range messages {
		event.Records = append(event.Records, events.SQSMessage{
			MessageId: aws.ToString(m.MessageId), ReceiptHandle: aws.ToString(m.ReceiptHandle), Body: aws.ToString(m.Body), Attributes: m.Attributes, EventSource: "aws:sqs",
		})
	}
	return event
}

// poll is one round of the event source: it takes a batch from a queue, has a
// function work on it and deletes what that did not report as failed.
func (w *world) poll(f *function, queue string) (messages int, err error) {
	batch, err := w.receive(w.t.Context(), queue, 5)
	if err != nil || len(batch) == 0 {
		return 0, err
	}
	return w.finish(f, queue, batch)
}

// finish has a function work on a batch, and deletes what that did not report as failed.
func (w *world) finish(f *function, queue string, batch []types.Message) (messages int, err error) {
	ctx := w.t.Context()
	answer, err := f.invoke(batchOf(batch))
	if err != nil {
		return len(batch), err
	}
	var out events.SQSEventResponse
	if err := json.Unmarshal(answer, &out); err != nil {
		return len(batch), err
	}
	failed := map[string]bool{}
	for _, f := range out.BatchItemFailures {
		failed[f.ItemIdentifier] = true
	}
	for _, m := range batch {
		if failed[aws.ToString(m.MessageId)] {
			continue
		}
		if _, err := w.sqs.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: aws.String(w.queues[queue]), ReceiptHandle: m.ReceiptHandle}); err != nil {
			return len(batch), err
		}
	}
	return len(batch), nil
}

// settle lets everything that goes on come to its end: Okta's deliveries, and the looks
// at those who are due.
func (w *world) settle() {
	w.t.Helper()
	w.idle()
	eventually(w.t, 5*time.Minute, func() error {
		for _, queue := range []string{"leavers", "people"} {
			for n := -1; n != 0; {
				var err error
				if n, err = w.poll(w.work, queue); err != nil {
					return err
				}
			}
		}
		backlog, err := w.store.Backlog(w.t.Context())
		if err == nil && backlog.Due+backlog.Working > 0 {
			_, err = w.wake.invoke(map[string]any{})
			err = errors.Join(fmt.Errorf("people are left: %+v", backlog), err)
		}
		return err
	})
}

// scheduled has a function of a schedule run, until it is not the stand-in for AWS that
// was too slow for it.
func (w *world) scheduled(f *function) {
	w.t.Helper()
	eventually(w.t, patience, func() error {
		failed, err := w.store.Note(w.t.Context(), "sweep-begun")
		if !errors.Is(err, reconcile.ErrNotFound) {
			w.must(err)
		}
		_, err = f.invoke(map[string]any{})
		if !isSlow(err) {
			w.must(err)
			return nil
		}
		if now, late := w.store.Note(w.t.Context(), "sweep-begun"); late == nil && now != failed {
			w.mayBegin() // this one
		}
		return fmt.Errorf("%s: %w", f.handler, err)
	})
}

// isSlow reports whether a function has failed because AWS was too slow for it.
func isSlow(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "AWS does not answer in time") || strings.Contains(err.Error(), "ask AWS Secrets Manager: no answer in time"))
}

// warm has a worker start, until it is not the stand-in for AWS that was too slow for it.
func (w *world) warm(f *function) {
	w.t.Helper()
	eventually(w.t, patience, func() error {
		_, err := f.invoke(batchOf(nil))
		if !isSlow(err) {
			w.must(err)
		}
		return err
	})
}

// mayBegin lets a sweep begin after one that failed, as after some minutes.
func (w *world) mayBegin() {
	w.t.Helper()
	w.must(w.store.SaveNote(w.t.Context(), "sweep-begun", fmt.Sprintf(`{"at":%q,"tries":1}`, time.Now().Add(-6*time.Minute).Format(time.RFC3339))))
}

// agent gives the live agent of a person. There is never more than one.
func (w *world) agent(u simokta.User) (simconnect.Agent, bool) {
	w.t.Helper()
	var live []simconnect.Agent
	for _, a := range w.instance.Agents() {
		if a.Tags["connectroster:owner"] == u.ID && !strings.HasPrefix(a.Tags["connectroster:state"], "retired ") {
			live = append(live, a)
		}
	}
	if len(live) > 1 {
		w.t.Fatalf("person %s has %d live agents", u.ID, len(live))
	}
	if len(live) == 0 {
		return simconnect.Agent{}, false
	}
	return live[0], true
}

func parked(a simconnect.Agent) bool {
	return strings.HasPrefix(a.Tags["connectroster:state"], "suspended ")
}

// deliver sends a delivery about people who joined the group until it is accepted: on a
// busy machine the stand-ins are slow, and what cannot be stored in time is refused.
func (w *world) deliver(people ...string) {
	w.t.Helper()
	eventually(w.t, 3*patience, func() error {
		if status := w.post("/hooks/okta", hookSecret, delivery(people...)); status != http.StatusNoContent {
			return fmt.Errorf("a delivery was answered %d", status)
		}
		return nil
	})
}

// post sends a delivery of our own making, and gives the status of the answer.
func (w *world) post(path, secret, body string) int {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.gateway.URL+path, bytes.NewReader([]byte(body)))
	w.must(err)
	r.Header.Set("Authorization", secret)
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	w.must(err)
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	w.must(err)
	return resp.StatusCode
}

func secretValue(id *string, stage string) *secretsmanager.GetSecretValueInput {
	return &secretsmanager.GetSecretValueInput{SecretId: id, VersionStage: &stage}
}

func putPending(id *string, text string) *secretsmanager.PutSecretValueInput {
	return &secretsmanager.PutSecretValueInput{SecretId: id, SecretString: &text, VersionStages: []string{"AWSPENDING"}}
}

// promote puts a version of a secret in force, in the place of another one.
func promote(id, version, before *string) *secretsmanager.UpdateSecretVersionStageInput {
	return &secretsmanager.UpdateSecretVersionStageInput{SecretId: id, VersionStage: aws.String("AWSCURRENT"), MoveToVersionId: version, RemoveFromVersionId: before}
}

// distinct is a clock that never shows the same millisecond twice: Okta's events
// are ordered by it.
func distinct() func() time.Time {
	var mu sync.Mutex
	var last time.Time
	return func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		now := time.Now()
		if !now.After(last.Add(time.Millisecond)) {
			now = last.Add(time.Millisecond)
		}
		last = now
		return now
	}
}
