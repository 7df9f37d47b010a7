package alerts

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/api"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"example.com/ballast/cmd/ballast/internal/drill"
)

// look is how often Prometheus is asked which alerts fire.
const look = 250 * time.Millisecond

// patience is how many looks in a row may fail: Prometheus may be starting.
const patience = 80

// episode is one time that an alert fired.
type episode struct {
	alert string
	// labels of the first of its instances.
	labels model.LabelSet
	// active is when its condition began to hold, by Prometheus; fired and gone are
	// when the drill saw it fire, and not fire any more.
	active, fired, gone time.Time
}

// watcher keeps a record of every alert that fires.
type watcher struct {
	prometheus promv1.API
	// home is the stack's directory: how full other file systems of the machine are
	// is not this drill's.
	home string

	mu       sync.Mutex
	firing   map[string]*episode
	episodes []*episode
	changed  chan struct{} // closed after every look
	looked   bool          // at least once
	failed   int           // looks in a row that were not answered
}

func newWatcher(url, home string) (*watcher, error) {
	client, err := api.NewClient(api.Config{Address: url})
	if err != nil {
		return nil, err
	}
	return &watcher{prometheus: promv1.NewAPI(client), home: home, firing: map[string]*episode{}, changed: make(chan struct{})}, nil
}

// run looks again and again until ctx ends.
func (w *watcher) run(ctx context.Context) {
	for ctx.Err() == nil {
		answer, err := w.prometheus.Alerts(ctx)
		w.note(answer.Alerts, err, time.Now())
		_ = drill.Sleep(ctx, look) // ends with ctx
	}
}

func (w *watcher) note(active []promv1.Alert, err error, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer func() {
		close(w.changed)
		w.changed = make(chan struct{})
	}()
	if err != nil {
		w.failed++
		return
	}
	w.failed, w.looked = 0, true
	seen := map[string]bool{}
	for _, a := range active {
		name := string(a.Labels[model.AlertNameLabel])
		disk, ofDisk := a.Labels["mountpoint"]
		if a.State != promv1.AlertStateFiring || ofDisk && !strings.HasPrefix(string(disk), w.home) {
			continue
		}
		seen[name] = true
		if w.firing[name] == nil {
			w.firing[name] = &episode{alert: name, labels: a.Labels, active: a.ActiveAt, fired: now}
			w.episodes = append(w.episodes, w.firing[name])
		}
	}
	for name, e := range w.firing {
		if !seen[name] {
			e.gone = now
			delete(w.firing, name)
		}
	}
}

// names are the alerts that fire now.
func (w *watcher) names() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(maps.Keys(w.firing))
}

// since returns what began to fire after a moment.
func (w *watcher) since(from time.Time) []episode {
	w.mu.Lock()
	defer w.mu.Unlock()
	var some []episode
	for _, e := range w.episodes {
		if e.fired.After(from) {
			some = append(some, *e)
		}
	}
	return some
}

// errLate is what await ends with when its time is over.
var errLate = errors.New("not in time")

// await waits until enough says of the alerts that fire that it is enough.
func (w *watcher) await(ctx context.Context, within time.Duration, enough func(firing []string) bool) error {
	deadline := time.After(within)
	for {
		w.mu.Lock()
		next, knows, failed := w.changed, w.looked && w.failed == 0, w.failed
		w.mu.Unlock()
		if failed > patience {
			return errors.New("prometheus does not answer")
		}
		if knows && enough(w.names()) {
			return nil
		}
		select {
		case <-next:
		case <-deadline:
			return errLate
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// returns tells how many rows a query has now.
func (w *watcher) returns(ctx context.Context, promql string) (int, error) {
	value, _, _, err := w.prometheus.Query(ctx, promql, time.Now())
	if err != nil {
		return 0, fmt.Errorf("%s: %w", promql, err)
	}
	rows, ok := value.(model.Vector)
	if !ok {
		return 0, fmt.Errorf("%s is a %s, not a vector", promql, value.Type())
	}
	return len(rows), nil
}

// collect takes what fired after the fault began: the alerts that had to, and others
// along with them. What fired before is of an earlier fault.
func (p *play) collect(r *result) {
	r.along = nil
	for _, e := range p.watch.since(r.began) {
		switch {
		case slices.Contains(r.alerts, e.alert):
			if _, known := r.fired[e.alert]; !known {
				r.fired[e.alert] = e
			}
		case !slices.Contains(r.along, e.alert):
			r.along = append(r.along, e.alert)
		}
	}
	p.ends(r)
}

// ends notes when the alerts of a fault went away, or that they have not.
func (p *play) ends(r *result) {
	for _, e := range p.watch.since(r.began) {
		if known, ok := r.fired[e.alert]; ok && known.fired.Equal(e.fired) {
			r.fired[e.alert] = e
		}
	}
}
