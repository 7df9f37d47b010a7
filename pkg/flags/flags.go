// Package flags switches behaviour of a running service from a file: OpenFeature
// with a provider of our own.
//
//		{
//		  "orders.stale-reads":           {"value": true, "percent": 25},
//		  "payments.fault-rpc-latency-ms": {"value": 200}
//		}
//
//	  - Evaluated in the process: no call, no wait, nothing that can be away. Without
//	    the file every flag has its default.
//	  - The file is read again when it changes. One that can't be read or breaks a
//	    rule of Known is refused as a whole: what was in force stays in force.
//	  - With percent, that share of subjects (orders, customers) gets the value and
//	    the others the default. A subject's side depends on the flag's name and its
//	    own alone, so it is the same in every process, and raising the share takes
//	    nobody out.
//	  - A flag that nobody has set costs a look-up in a map, as almost all do almost
//	    always. One that is set goes through OpenFeature and its hooks.
package flags

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/open-feature/go-sdk/openfeature"
	"github.com/open-feature/go-sdk/openfeature/isolated"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// pollEvery is how often the file is looked at: one stat a second costs nothing,
// and works where notifications do not, such as on mounted config maps.
const pollEvery = time.Second

// Set is the flags of a process. It is safe for concurrent use. A nil Set has
// every flag at its default.
type Set struct {
	path   string
	logger *slog.Logger
	rules  atomic.Pointer[map[string]Rule]
	api    *openfeature.EvaluationAPI
	client *openfeature.Client

	reloads, errors metric.Int64Counter

	mu    sync.Mutex  // guards what follows
	seen  os.FileInfo // nil when there was no file
	fault string      // why the file as it is now is not in force
}

// Open reads the file once; Run follows its changes. An empty path means that
// every flag has its default for ever. A file that is missing or broken is no
// error: it may be mended at any moment.
func Open(ctx context.Context, path string, logger *slog.Logger) (*Set, error) {
	meter := otel.Meter("example.com/ballast/pkg/flags")
	s := &Set{
		path: path, logger: logger, api: isolated.NewAPI(),
		reloads: newReloadsCounter(meter), errors: newErrorsCounter(meter),
	}
	s.rules.Store(&map[string]Rule{})
	if err := s.api.SetProviderAndWait(ctx, provider{&s.rules}); err != nil {
		return nil, fmt.Errorf("flags: %w", err)
	}
	s.client = s.api.NewClient()
	s.refresh(ctx)
	return s, nil
}

// Run follows the file until ctx ends.
func (s *Set) Run(ctx context.Context) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for s.path != "" {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			s.refresh(ctx)
		}
	}
	return nil
}

// Close ends OpenFeature; every flag then has its default.
func (s *Set) Close(ctx context.Context) error { return s.api.Shutdown(ctx) }

// Bool evaluates a flag for a subject: the id of the order or the customer that
// the decision is about, or "" when there is none.
func (s *Set) Bool(ctx context.Context, name string, fallback bool, subject string) bool {
	if !s.ruled(name) {
		return fallback
	}
	v, err := s.client.BooleanValue(ctx, name, fallback, openfeature.NewEvaluationContext(subject, nil))
	s.count(ctx, name, err)
	return v
}

// Number is Bool for numbers. Limits that change without a restart are numbers
// whose fallback is the service's setting.
func (s *Set) Number(ctx context.Context, name string, fallback float64, subject string) float64 {
	if !s.ruled(name) {
		return fallback
	}
	v, err := s.client.FloatValue(ctx, name, fallback, openfeature.NewEvaluationContext(subject, nil))
	s.count(ctx, name, err)
	return v
}

// String is Bool for text.
func (s *Set) String(ctx context.Context, name, fallback, subject string) string {
	if !s.ruled(name) {
		return fallback
	}
	v, err := s.client.StringValue(ctx, name, fallback, openfeature.NewEvaluationContext(subject, nil))
	s.count(ctx, name, err)
	return v
}

// ruled is the fast path: what the file does not name has its default.
func (s *Set) ruled(name string) bool {
	if s == nil {
		return false
	}
	_, ok := (*s.rules.Load())[name]
	return ok
}

func (s *Set) count(ctx context.Context, name string, err error) {
	if err != nil {
		s.errors.Add(ctx, 1, metric.WithAttributes(attribute.String("flag", name)))
	}
}

// refresh reads the file when it is another one than at the last look.
func (s *Set) refresh(ctx context.Context) {
	if s.path == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	info, err := os.Stat(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		if s.seen != nil {
			s.seen, s.fault = nil, ""
			s.rules.Store(&map[string]Rule{})
			s.logger.InfoContext(ctx, "the flags' file is gone: defaults hold", "file", s.path)
		}
		return
	}
	if err == nil && same(info, s.seen) {
		return
	}
	rules, err := Read(s.path)
	if err != nil {
		// Said once for each state of the file, not once a second.
		if s.fault != err.Error() || info != nil {
			s.logger.ErrorContext(ctx, "the flags' file is refused: what was in force stays", "error", err)
			s.reloads.Add(ctx, 1, metric.WithAttributes(attribute.String("outcome", "broken")))
		}
		s.seen, s.fault = info, err.Error()
		return
	}
	for name := range rules {
		if _, known := Find(name); !known {
			s.logger.WarnContext(ctx, "nobody asks for this flag: its name is not known", "flag", name, "file", s.path)
		}
	}
	s.seen, s.fault = info, ""
	s.rules.Store(&rules)
	s.logger.InfoContext(ctx, "flags read", "file", s.path, "flags", slices.Sorted(maps.Keys(rules)))
	s.reloads.Add(ctx, 1, metric.WithAttributes(attribute.String("outcome", "ok")))
}

// same compares what a stat tells. A file that is replaced in one step is another
// file, even when time and size are equal.
func same(a, b os.FileInfo) bool {
	return b != nil && os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// ServeHTTP shows what is in force, for the admin listener.
func (s *Set) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	fault := s.fault
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(struct { // a caller that has gone can't be told
		File    string          `json:"file"`
		Refused string          `json:"refused,omitempty"`
		Set     map[string]Rule `json:"set"`
	}{s.path, fault, *s.rules.Load()})
}
