package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// Offline serves the API within the process, without endpoints, sweeps or
// catch-ups, for one command that has the database to itself, or a store that many
// work on.
type Offline struct {
	// Operator gives who asks for something, for the journal. Nil, or an empty
	// answer, stands for the user who runs the program. What only reads asks not.
	Operator func(ctx context.Context) string

	app     *App
	handler http.Handler
}

// NewOffline makes an App that was not started serve its API in process.
func NewOffline(a *App) *Offline {
	a.started = a.now()
	running, cancel := context.WithCancel(context.Background())
	a.cancel, a.end, a.stopped = cancel, cancel, running.Done()
	a.loops.Go(func() { a.notifier.run(running) })
	return &Offline{app: a, handler: bySudo(a.API())}
}

// Read makes ready for what reads both sides: it checks the instances and makes
// their agents known.
func (o *Offline) Read(ctx context.Context) error {
	if err := o.app.reach(ctx); err != nil {
		return err
	}
	return o.app.engine.Reindex(ctx)
}

// Work makes ready for what is carried out by looks at people: Read, and workers
// until Stop.
func (o *Offline) Work(ctx context.Context) error {
	if err := o.Read(ctx); err != nil {
		return err
	}
	looking, end := context.WithCancel(context.Background())
	running, cancel := context.WithCancel(looking)
	before := o.app.cancel
	o.app.cancel, o.app.end = func() { cancel(); before() }, end
	o.app.loops.Go(func() { o.app.relay(running) })
	for range o.app.cfg.Workers {
		o.app.loops.Go(func() { o.app.worker(running, looking) })
	}
	return nil
}

// Stop ends what Work has begun, and waits for it.
func (o *Offline) Stop() {
	o.app.cancel()
	breakOff := time.AfterFunc(patience, o.app.end)
	defer breakOff.Stop()
	o.app.loops.Wait()
	o.app.end()
	o.app.hangUp()
}

// RoundTrip implements http.RoundTripper. The answer can be read while it is
// written.
func (o *Offline) RoundTrip(r *http.Request) (*http.Response, error) {
	who := ""
	if o.Operator != nil && r.Method != http.MethodGet {
		who = o.Operator(r.Context())
	}
	ctx, cancel := context.WithCancel(withOperator(r.Context(), who))
	body, writer := io.Pipe()
	w := &answer{header: http.Header{}, body: writer, begun: make(chan struct{})}
	asked := r.Clone(ctx)
	asked.RequestURI = r.URL.RequestURI()
	if asked.Body == nil {
		asked.Body = http.NoBody
	}
	go func() {
		defer func() {
			var err error
			if p := recover(); p != nil {
				err = fmt.Errorf("internal error: %v", p)
			}
			_ = asked.Body.Close()
			w.begin(http.StatusOK)
			_ = writer.CloseWithError(err)
		}()
		o.handler.ServeHTTP(w, asked)
	}()
	select {
	case <-w.begun:
	case <-r.Context().Done():
		cancel()
		_ = body.CloseWithError(r.Context().Err())
		return nil, r.Context().Err()
	}
	return &http.Response{
		Status: http.StatusText(w.status), StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.sent, Body: &readUntilClosed{body, cancel}, ContentLength: -1, Request: r,
	}, nil
}

// readUntilClosed ends the request when its answer is read no longer.
type readUntilClosed struct {
	*io.PipeReader
	cancel context.CancelFunc
}

func (b *readUntilClosed) Close() error {
	b.cancel()
	return b.PipeReader.Close()
}

// answer is an http.ResponseWriter into a pipe.
type answer struct {
	header http.Header
	body   *io.PipeWriter

	once   sync.Once
	begun  chan struct{} // closed once status and sent are set
	status int
	sent   http.Header
}

func (w *answer) begin(status int) {
	w.once.Do(func() {
		w.status, w.sent = status, w.header.Clone()
		close(w.begun)
	})
}

func (w *answer) Header() http.Header    { return w.header }
func (w *answer) WriteHeader(status int) { w.begin(status) }
func (w *answer) Flush()                 {}

func (w *answer) Write(p []byte) (int, error) {
	w.begin(http.StatusOK)
	n, err := w.body.Write(p)
	if errors.Is(err, io.ErrClosedPipe) {
		err = fmt.Errorf("the client went away: %w", err)
	}
	return n, err
}
