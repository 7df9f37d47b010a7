package load

import (
	"fmt"
	"time"
)

// Report is what a load run found.
type Report struct {
	Lines int    `json:"linesPerOrder"`
	Steps []Step `json:"steps,omitempty"`
	// Closed is missing when a rate was given.
	Closed *Measurement `json:"closed,omitempty"`
	// Open is missing with Config.ClosedOnly.
	Open    *Measurement `json:"open,omitempty"`
	Control *Control     `json:"control,omitempty"`
	// ControlRatio is the best rate of completed checkouts / the control's loops.
	ControlRatio float64 `json:"controlRatio,omitempty"`
	// PeakRSS in bytes by process, sampled every second.
	PeakRSS map[string]int64 `json:"peakRssBytes"`
}

// Step is one number of clients on the way to the best one.
type Step struct {
	Clients   int     `json:"clients"`
	PerSecond float64 `json:"perSecond"`
}

// Measurement is one model at one setting.
type Measurement struct {
	Model   string  `json:"model"`
	Clients int     `json:"clients,omitempty"`
	Rate    float64 `json:"rate,omitempty"`
	Seconds float64 `json:"seconds"`
	// PerSecond counts checkouts that were confirmed within the time.
	PerSecond float64 `json:"perSecond"`
	// KeptUp is false when a queue grew: the rate was too much.
	KeptUp bool `json:"keptUp"`
	// DrainSeconds is how long the last orders took after the time.
	DrainSeconds float64 `json:"drainSeconds"`
	Sent         int     `json:"sent"`
	Placed       int     `json:"placed"`
	Refused      int     `json:"refused"`
	Refusal      string  `json:"refusal,omitempty"`
	Confirmed    int     `json:"confirmed"`
	NotConfirmed int     `json:"notConfirmed"`
	NotEnded     int     `json:"notEnded"`
	PlaceOrder   Latency `json:"placeOrder"`
	EndToEnd     Latency `json:"endToEnd"`
	// Steps say where the time goes, in the order of StepNames.
	Steps []NamedLatency `json:"steps"`
	Cost  Cost           `json:"costPerOrder"`
}

// NamedLatency is the time between two moments of an order.
type NamedLatency struct {
	Name string `json:"name"`
	Latency
}

func newMeasurement(p *phase, from, to *reading, drained time.Duration) *Measurement {
	p.mu.Lock()
	defer p.mu.Unlock()
	seconds := to.at.Sub(from.at).Seconds()
	done := to.confirmed - from.confirmed
	m := &Measurement{
		Seconds: seconds, PerSecond: float64(done) / seconds, DrainSeconds: drained.Seconds(),
		KeptUp: keptUp(p.queue) && p.unended == 0,
		Sent:   p.sent, Placed: p.placed, Refused: p.refused, Refusal: p.refusal,
		Confirmed: p.confirmed, NotConfirmed: p.failed, NotEnded: p.unended,
		PlaceOrder: p.place.latency(), EndToEnd: p.endToEnd.latency(), Cost: cost(from, to),
	}
	for i, name := range stepNames {
		m.Steps = append(m.Steps, NamedLatency{Name: name, Latency: p.steps[i].latency()})
	}
	return m
}

func (m *Measurement) setting() string {
	if m.Clients > 0 {
		return fmt.Sprintf("%s, %d clients", m.Model, m.Clients)
	}
	return fmt.Sprintf("%s, %.0f orders/s", m.Model, m.Rate)
}

// line says the essence of a measurement.
func (m *Measurement) line() string {
	text := fmt.Sprintf("%s: %.0f checkouts/s, end to end p50 %.1f ms, p99 %.1f ms", m.setting(), m.PerSecond, m.EndToEnd.P50, m.EndToEnd.P99)
	if !m.KeptUp {
		text += ", does not keep up"
	}
	return text
}

func (r *Report) finish() {
	best := 0.0
	for _, m := range []*Measurement{r.Open, r.Closed} {
		if m != nil {
			best = max(best, m.PerSecond)
		}
	}
	if r.Control != nil && r.Control.LoopsPerSecond > 0 {
		r.ControlRatio = best / r.Control.LoopsPerSecond
	}
}

// OK tells whether every order that was accepted came to its end.
func (r *Report) OK() bool {
	return (r.Open == nil || r.Open.NotEnded == 0) && (r.Closed == nil || r.Closed.NotEnded == 0)
}
