package connect

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/aws/smithy-go/logging"
)

// What the AWS SDK warns of is a line of our log.
func TestSDKWarningsAreLogged(t *testing.T) {
	t.Parallel()
	var out syncedBuffer
	w := open(t, nil, func(c *Config) {
		c.Log = slog.New(slog.NewTextHandler(&out, nil))
		c.HTTPClient = &http.Client{Transport: unclosable{http.DefaultTransport}}
	})
	if _, err := w.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if text := out.String(); !strings.Contains(text, `level=WARN msg="the AWS SDK has something to say" text="failed to close HTTP response body`) {
		t.Errorf("the log: %q", text)
	}
}

func TestSDKLogLevels(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l := sdkLog{slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	l.Logf(logging.Warn, "one %d\n", 1)
	l.Logf(logging.Debug, "two %d", 2)
	l.Logf("", "three")
	var levels []string
	for line := range strings.Lines(out.String()) {
		levels = append(levels, strings.Fields(line)[1]+line[strings.LastIndex(line, " text="):])
	}
	if got, want := strings.Join(levels, ""), "level=WARN text=\"one 1\"\nlevel=DEBUG text=\"two 2\"\nlevel=WARN text=three\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// unclosable gives answers whose bodies cannot be closed.
type unclosable struct{ http.RoundTripper }

func (u unclosable) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := u.RoundTripper.RoundTrip(r)
	if err == nil {
		resp.Body = unclosableBody{resp.Body}
	}
	return resp, err
}

type unclosableBody struct{ io.ReadCloser }

func (b unclosableBody) Close() error {
	return errors.Join(b.ReadCloser.Close(), errors.New("for a test"))
}

type syncedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
