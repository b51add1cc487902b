package app

import (
	"sync"

	"connectroster/internal/reconcile"
)

// tracker tells whoever waits for people how the looks at them end. Its zero
// value is ready.
type tracker struct {
	mu       sync.Mutex
	watchers map[*watcher]bool
}

// watcher collects the outcomes of some people until it is stopped.
type watcher struct {
	tracker *tracker
	people  map[string]bool
	news    chan struct{} // has a token while there are outcomes to take

	seen []reconcile.Outcome // guarded by tracker.mu
}

// watch begins to collect the outcomes of people.
func (t *tracker) watch(people []string) *watcher {
	w := &watcher{tracker: t, people: make(map[string]bool, len(people)), news: make(chan struct{}, 1)}
	for _, id := range people {
		w.people[id] = true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.watchers == nil {
		t.watchers = map[*watcher]bool{}
	}
	t.watchers[w] = true
	return w
}

// settled passes an outcome on. It never waits.
func (t *tracker) settled(out reconcile.Outcome) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for w := range t.watchers {
		if w.people[out.Work.Person] {
			w.seen = append(w.seen, out)
			nudge(w.news)
		}
	}
}

// take gives what was collected since the last time.
func (w *watcher) take() []reconcile.Outcome {
	w.tracker.mu.Lock()
	defer w.tracker.mu.Unlock()
	out := w.seen
	w.seen = nil
	return out
}

func (w *watcher) stop() {
	w.tracker.mu.Lock()
	defer w.tracker.mu.Unlock()
	delete(w.tracker.watchers, w)
}
