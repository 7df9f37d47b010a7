// Package faults decides which calls go wrong, and how.
//
// What is stored under an idempotency key (errors, declines, lost answers) is
// chosen by a hash of the seed, the fault's name and the key: the same key has
// the same fate in any order of calls and in a repeated run. What isn't stored
// (jitter, errors of reads) is drawn per request from the seed and the
// request's number; the rate limit and an outage are not drawn at all.
package faults

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// Outages.
const (
	OutageNone  = ""
	OutageError = "error" // 503 at once
	OutageHang  = "hang"  // no answer until the caller gives up
	OutageReset = "reset" // the connection is closed without an answer
)

// Settings are the faults in force. Rates are shares from 0 to 1.
type Settings struct {
	LatencyMilli int `json:"latency_ms"` // added to every call
	JitterMilli  int `json:"jitter_ms"`  // plus a uniform draw from 0 to this
	// ErrorRate answers 500 before anything is done.
	ErrorRate float64 `json:"error_rate"`
	// DeclineRate declines confirmations.
	DeclineRate float64 `json:"decline_rate"`
	// ChargeTimeoutRate does the write and its line in the book, and answers
	// only after HangMilli (or never, when the caller has gone).
	ChargeTimeoutRate float64 `json:"charge_timeout_rate"`
	HangMilli         int     `json:"hang_ms"`
	// ChargeErrorRate does the write and its line, and answers 500.
	ChargeErrorRate float64 `json:"charge_error_rate"`
	// RatePerSecond limits requests; what is above it gets 429. 0 is no limit.
	RatePerSecond float64 `json:"rate_per_second"`
	Outage        string  `json:"outage"`
	// WebhookDuplicateRate sends an event twice, WebhookDelayRate sends it only
	// after WebhookDelayMilli, WebhookReorderRate after a random part of a second,
	// so that later ones pass it, and WebhookForgedRate first with a signature that
	// is not ours.
	WebhookDuplicateRate float64 `json:"webhook_duplicate_rate"`
	WebhookDelayRate     float64 `json:"webhook_delay_rate"`
	WebhookDelayMilli    int     `json:"webhook_delay_ms"`
	WebhookReorderRate   float64 `json:"webhook_reorder_rate"`
	WebhookForgedRate    float64 `json:"webhook_forged_rate"`
	// WebhookFirstRate answers a write only after its event was delivered.
	WebhookFirstRate float64 `json:"webhook_first_rate"`
	// Operations limits errors and lost answers to create, confirm, cancel,
	// refund or read. Empty means confirm for lost answers, all for errors.
	Operations []string `json:"operations,omitempty"`
}

// Parse reads settings from JSON; an unknown name is an error.
func Parse(r io.Reader) (Settings, error) {
	return parse(r, Settings{HangMilli: 60_000, WebhookDelayMilli: 5_000})
}

// parse reads what the JSON has; the rest is as in s.
func parse(r io.Reader, s Settings) (Settings, error) {
	dec := json.NewDecoder(r)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil {
		return s, fmt.Errorf("faults: %w", err)
	}
	return s, s.validate()
}

func (s Settings) validate() error {
	var errs []error
	for name, v := range map[string]float64{
		"error_rate": s.ErrorRate, "decline_rate": s.DeclineRate,
		"charge_timeout_rate": s.ChargeTimeoutRate, "charge_error_rate": s.ChargeErrorRate,
		"webhook_duplicate_rate": s.WebhookDuplicateRate, "webhook_delay_rate": s.WebhookDelayRate,
		"webhook_reorder_rate": s.WebhookReorderRate, "webhook_forged_rate": s.WebhookForgedRate,
		"webhook_first_rate": s.WebhookFirstRate,
	} {
		if v < 0 || v > 1 || math.IsNaN(v) {
			errs = append(errs, fmt.Errorf("faults: %s is %v: use 0 to 1", name, v))
		}
	}
	if min(s.LatencyMilli, s.JitterMilli, s.HangMilli, s.WebhookDelayMilli) < 0 || s.RatePerSecond < 0 {
		errs = append(errs, errors.New("faults: latency_ms, jitter_ms, hang_ms, webhook_delay_ms and rate_per_second can't be negative"))
	}
	if !slices.Contains([]string{OutageNone, OutageError, OutageHang, OutageReset}, s.Outage) {
		errs = append(errs, fmt.Errorf(`faults: outage is %q: use "", "error", "hang" or "reset"`, s.Outage))
	}
	for _, op := range s.Operations {
		if !slices.Contains([]string{"create", "confirm", "cancel", "refund", "read"}, op) {
			errs = append(errs, fmt.Errorf("faults: operation %q: use create, confirm, cancel, refund or read", op))
		}
	}
	return errors.Join(errs...)
}

// Faults can be changed while requests run.
type Faults struct {
	seed     uint64
	requests atomic.Uint64
	state    atomic.Pointer[state]

	mu    sync.Mutex // guards what follows
	base  Settings   // what was set, without the flags
	flags []byte     // JSON that is laid over it
}

type state struct {
	Settings
	limiter *rate.Limiter // nil without a limit
}

// New returns faults whose choices depend on the seed alone.
func New(seed uint64, s Settings) *Faults {
	f := &Faults{seed: seed, flags: []byte("{}")}
	f.Set(s)
	return f
}

// Set replaces the settings for the requests that come; flags stay on top.
func (f *Faults) Set(s Settings) {
	f.mu.Lock()
	defer f.mu.Unlock()
	// The flags were checked when they came, and a field at a time can't be wrong
	// together with another.
	_ = f.apply(s, f.flags)
}

// apply puts settings with flags on top into force, or neither. It needs f.mu.
func (f *Faults) apply(base Settings, flags []byte) error {
	s, err := parse(bytes.NewReader(flags), base)
	if err != nil {
		return err
	}
	f.base, f.flags = base, flags
	st := &state{Settings: s}
	if s.RatePerSecond > 0 {
		// A tenth of a second's worth may come at once.
		st.limiter = rate.NewLimiter(rate.Limit(s.RatePerSecond), max(1, int(s.RatePerSecond/10)))
	}
	f.state.Store(st)
	return nil
}

// Settings returns what is in force.
func (f *Faults) Settings() Settings { return f.state.Load().Settings }

// Fate is what one request has to expect.
type Fate struct {
	Delay   time.Duration
	Outage  string
	Limited bool
	Fail    bool          // 500, nothing done
	Decline bool          // confirmations only
	Lose    bool          // done, then 500
	Hang    time.Duration // done, then nothing for this long
	// WebhookFirst: done, then nothing until its event was delivered.
	WebhookFirst bool
}

// Delivery is what one event has to expect.
type Delivery struct {
	Delay             time.Duration
	Duplicate, Forged bool
}

// Draw chooses the fate of a request; key is its idempotency key or "".
func (f *Faults) Draw(op, key string) Fate {
	s := f.state.Load()
	n := f.requests.Add(1)
	fate := Fate{Outage: s.Outage, Limited: s.limiter != nil && !s.limiter.Allow()}
	fate.Delay = time.Duration(s.LatencyMilli) * time.Millisecond
	if s.JitterMilli > 0 {
		fate.Delay += time.Duration(f.share("jitter", "", n) * float64(s.JitterMilli) * float64(time.Millisecond))
	}
	hit := func(name string, share float64) bool {
		return share > 0 && f.share(name, key, n) < share
	}
	listed := slices.Contains(s.Operations, op)
	if listed || len(s.Operations) == 0 {
		fate.Fail = hit("error", s.ErrorRate)
	}
	if listed || len(s.Operations) == 0 && op == "confirm" {
		fate.Lose = hit("charge_error", s.ChargeErrorRate)
		if hit("charge_timeout", s.ChargeTimeoutRate) {
			fate.Hang = time.Duration(s.HangMilli) * time.Millisecond
		}
	}
	fate.Decline = op == "confirm" && hit("decline", s.DeclineRate)
	fate.WebhookFirst = op != "read" && hit("webhook_first", s.WebhookFirstRate)
	return fate
}

// DrawDelivery chooses the fate of an event by its id: the same in a repeated run.
func (f *Faults) DrawDelivery(event string) Delivery {
	s := f.state.Load()
	hit := func(name string, share float64) bool {
		return share > 0 && f.share(name, event, 0) < share
	}
	d := Delivery{
		Duplicate: hit("webhook_duplicate", s.WebhookDuplicateRate), Forged: hit("webhook_forged", s.WebhookForgedRate),
	}
	if hit("webhook_delay", s.WebhookDelayRate) {
		d.Delay = time.Duration(s.WebhookDelayMilli) * time.Millisecond
	}
	if hit("webhook_reorder", s.WebhookReorderRate) {
		d.Delay += time.Duration(f.share("webhook_pass", event, 0) * float64(time.Second))
	}
	return d
}

// share is a uniform number in [0, 1): by the key, or without one by the
// request's number.
func (f *Faults) share(name, key string, n uint64) float64 {
	h := fnv.New64a()
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], f.seed)
	_, _ = h.Write(b[:])
	_, _ = io.WriteString(h, name)
	_, _ = io.WriteString(h, "/"+key)
	if key == "" {
		binary.LittleEndian.PutUint64(b[:], n)
		_, _ = h.Write(b[:])
	}
	// FNV leaves the high bits of similar inputs alike: mix them (splitmix64).
	x := h.Sum64()
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return float64((x^x>>31)>>11) / (1 << 53)
}
