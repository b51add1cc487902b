package awsstore

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"go.uber.org/goleak"

	"connectroster/internal/storetest"
)

// moto is a server that stands in for DynamoDB, SQS and STS, shared by all tests.
// Its zero value is not running.
type moto struct {
	once    sync.Once
	process *exec.Cmd
	ended   chan struct{} // closed when the process is over
	url     string
	missing string // why there is none
	err     error
}

var server moto

func TestMain(m *testing.M) {
	flag.Parse()
	// A step against a server takes milliseconds, not microseconds.
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue && os.Getenv("CONNECTROSTER_FULL") == "" {
		checks := "5"
		if testing.Short() {
			checks = "2"
		}
		_ = f.Value.Set(checks)
	}
	code := m.Run()
	server.stop()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// start starts moto on a free port of this machine, with the table of all tests.
func (m *moto) start() {
	if out, err := exec.Command("python3", "-c", "import moto.server").CombinedOutput(); err != nil {
		m.missing = fmt.Sprintf("python3 has no moto to stand in for DynamoDB (pip install 'moto[server]'): %v %.300s", err, out)
		return
	}
	const program = "testdata/standin.py"
	if _, m.err = os.ReadFile(program); m.err != nil { // which also tells the cache of tests that they depend on it
		return
	}
	free, err := storetest.FreeAddresses(1)
	if err != nil {
		m.err = err
		return
	}
	address := free[0]
	m.process = exec.Command("python3", program, address)
	var said bytes.Buffer
	m.process.Stderr = &said
	if m.err = m.process.Start(); m.err != nil {
		return
	}
	m.ended = make(chan struct{})
	go func() {
		_ = m.process.Wait()
		close(m.ended)
	}()
	m.url = "http://" + address
	api := dynamodb.NewFromConfig(aws.Config{Region: "eu-central-1", BaseEndpoint: &m.url, Credentials: m.config("setup").Credentials})
	until := time.Now().Add(time.Minute)
	for {
		if _, m.err = api.CreateTable(context.Background(), Schema("roster")); m.err == nil {
			return
		}
		select {
		case <-m.ended:
			m.err = fmt.Errorf("moto ended at once: %.2000s", said.String())
			return
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(until) {
			return
		}
	}
}

func (m *moto) stop() {
	if m.process == nil || m.process.Process == nil {
		return
	}
	_ = m.process.Process.Kill() // it may be over already
	<-m.ended
}

// config is that of a store of its own on the shared table.
func (m *moto) config(space string) Config {
	return Config{
		Space: space + " ", Table: "roster", Region: "eu-central-1", Endpoint: m.url, AllowLoopback: true, Timeout: time.Minute, Attempt: time.Minute,
		Credentials: aws.NewCredentialsCache(credentials.NewStaticCredentialsProvider("AKIATEST", "secret", "")),
	}
}

var spaces atomic.Int64

// fresh gives the configuration of a store that nobody has used, or skips the
// test where there is no moto.
func fresh(t *testing.T) Config {
	t.Helper()
	server.once.Do(server.start)
	if server.missing != "" {
		t.Skip(server.missing)
	}
	if server.err != nil {
		t.Fatalf("start moto: %v", server.err)
	}
	return server.config(fmt.Sprintf("test-%d", spaces.Add(1)))
}

func open(t *testing.T, c Config) *Store {
	t.Helper()
	s, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}
