package poll_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/ballast/pkg/poll"
)

// server answers with how often it was asked.
type server struct {
	asked []time.Duration // when, since the beginning
	began time.Time
	takes time.Duration
	err   error
}

func (s *server) ask(ctx context.Context) (int, error) {
	s.asked = append(s.asked, time.Since(s.began))
	select {
	case <-time.After(s.takes):
		return len(s.asked), s.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// run starts the loop, and returns what ends it.
func run(t *testing.T, s *server, log *bytes.Buffer) (q *poll.Question[int], stop func()) {
	t.Helper()
	s.began = time.Now()
	q = &poll.Question[int]{
		Name: "sum", Ask: s.ask, Every: time.Second, Timeout: 2 * time.Second, Rest: 9, Keep: 30 * time.Second,
		Logger: slog.New(slog.NewTextHandler(log, nil)),
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- q.Run(ctx) }()
	return q, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// TestNobodyWaits: not for the first answer, and not while the server hangs; what
// it said is forgotten when it is too old, and told again when it is back.
func TestNobodyWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, log := &server{}, &bytes.Buffer{}
		q, stop := run(t, s, log)
		is := func(when string, value int, known bool) {
			t.Helper()
			began := time.Now()
			if v, ok := q.Answer(); v != value || ok != known || time.Since(began) > 0 {
				t.Errorf("%s: %d, known %v, after %s; want %d, %v", when, v, ok, time.Since(began), value, known)
			}
		}
		is("before the first answer", 0, false)
		time.Sleep(1500 * time.Millisecond)
		is("after two answers", 2, true)
		s.takes = time.Hour
		time.Sleep(20 * time.Second)
		is("while the server hangs", 2, true)
		time.Sleep(11 * time.Second)
		is("after half a minute of it", 0, false)
		time.Sleep(time.Minute)
		s.takes = 0
		time.Sleep(20 * time.Second)
		if _, ok := q.Answer(); !ok {
			t.Error("nothing is known although the server is back")
		}
		stop()
		is("after the end", 0, false)
		if n := strings.Count(log.String(), "figure=sum"); n != 1 {
			t.Errorf("%d lines, want one for the whole outage:\n%s", n, log)
		}
	})
}

// TestASlowQuestionIsAskedLess: at most a tenth of the time, also when it fails.
func TestASlowQuestionIsAskedLess(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{"answered": nil, "refused": errors.New("no")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &server{takes: 10 * time.Millisecond, err: err}
				_, stop := run(t, s, &bytes.Buffer{})
				time.Sleep(1500 * time.Millisecond)
				s.takes = time.Second
				time.Sleep(20 * time.Second)
				stop()
				want := []time.Duration{0, 1010 * time.Millisecond, 2020 * time.Millisecond, 12020 * time.Millisecond}
				if diff := cmp.Diff(want, s.asked); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}
