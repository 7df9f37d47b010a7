package lease

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// State is what a process knows about a lease that it wants or has.
type State struct {
	Name string `json:"name"`
	// Holder is this process as a candidate, not necessarily who leads.
	Holder  string `json:"holder"`
	Leading bool   `json:"leading"`
	// Epoch and Since are of its own latest term, zero before the first.
	Epoch int64     `json:"epoch"`
	Since time.Time `json:"since,omitzero"`
	// Expires is when the term ends unless it is renewed, by this process's clock
	// and on the safe side.
	Expires time.Time `json:"expires,omitzero"`
	// Lost counts the terms of this process that ended against its will, Stale the
	// writes that it tried as a leader and was none any more.
	Lost  int64 `json:"lost"`
	Stale int64 `json:"stale"`
}

// State returns what this process knows at the moment, without asking anybody.
func (l *Lease) State() State {
	s := State{Name: l.name, Holder: l.holder, Lost: l.lost.Load(), Stale: l.stale.Load()}
	t := l.term.Load()
	if t == nil {
		return s
	}
	s.Epoch, s.Since, s.Expires = t.epoch, t.since, *t.ends.Load()
	s.Leading = time.Now().Before(s.Expires)
	return s
}

func (l *Lease) begin(epoch int64, until time.Time) {
	t := &term{epoch: epoch, since: time.Now()}
	t.ends.Store(&until)
	l.term.Store(t)
}

func (l *Lease) prolong(asked time.Time) {
	until := l.workEnds(asked)
	l.term.Load().ends.Store(&until)
}

// end leaves epoch and beginning of the term to be read.
func (l *Lease) end() {
	now := time.Now()
	l.term.Load().ends.Store(&now)
}

// Mount serves what this process knows of the leases, on a listener for operators:
//
//	GET /leases                             the state of each, as JSON
//	POST /leases/{name}/stall?for=DURATION  see Stall
//
// The stall is a fault: it is refused unless mayStall says that it was asked for.
func Mount(mux *http.ServeMux, leases func() []*Lease, mayStall func(context.Context) bool) {
	mux.HandleFunc("GET /leases", func(w http.ResponseWriter, _ *http.Request) {
		states := []State{}
		for _, l := range leases() {
			states = append(states, l.State())
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(states) // a client that has gone is nobody's error
	})
	mux.HandleFunc("POST /leases/{name}/stall", func(w http.ResponseWriter, r *http.Request) {
		if !mayStall(r.Context()) {
			http.Error(w, "a stall is a fault, and the flag <service>.fault-lease-stall is off", http.StatusForbidden)
			return
		}
		d, err := time.ParseDuration(r.FormValue("for"))
		if err != nil || d <= 0 || d > time.Minute {
			http.Error(w, "for: use a duration up to 1m", http.StatusBadRequest)
			return
		}
		for _, l := range leases() {
			if l.name != r.PathValue("name") {
				continue
			}
			if err := l.Stall(r.Context(), d); err != nil {
				http.Error(w, err.Error(), http.StatusConflict)
				return
			}
			w.WriteHeader(http.StatusAccepted)
			return
		}
		http.Error(w, "no such lease", http.StatusNotFound)
	})
}

// metrics are the instruments of all leases; a process has few.
type metrics struct {
	meter          metric.Meter
	lost, stale    metric.Int64Counter
	leading, epoch metric.Int64ObservableGauge
	age            metric.Float64ObservableGauge
}

func newMetrics() *metrics {
	meter := otel.Meter("example.com/ballast/pkg/lease")
	return &metrics{
		meter: meter, lost: newLostCounter(meter), stale: newStaleCounter(meter),
		leading: newLeadingGauge(meter), epoch: newEpochGauge(meter), age: newAgeGauge(meter),
	}
}

func (l *Lease) attribute() metric.MeasurementOption {
	return metric.WithAttributes(attribute.String("lease", l.name))
}

// observe shows the lease's state as gauges until the returned function is called.
func (l *Lease) observe() (end func()) {
	at := l.attribute()
	shown, err := l.metrics.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := l.State()
		leading, age := int64(0), 0.0
		if s.Leading {
			leading, age = 1, time.Since(s.Since).Seconds()
		}
		o.ObserveInt64(l.metrics.leading, leading, at)
		o.ObserveInt64(l.metrics.epoch, s.Epoch, at)
		o.ObserveFloat64(l.metrics.age, age, at)
		return nil
	}, l.metrics.leading, l.metrics.epoch, l.metrics.age)
	if err != nil {
		return func() {}
	}
	return func() { _ = shown.Unregister() } // It has no way to fail that matters here.
}
