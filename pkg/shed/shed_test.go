package shed_test

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect/v2"

	"example.com/ballast/pkg/shed"
)

// The operations of the service under test.
const (
	place, cancel, read, list, admin = "/shop/Place", "/shop/Cancel", "/shop/Read", "/shop/List", "/shop/Admin"
)

func priorities() map[string]shed.Priority {
	return map[string]shed.Priority{
		place: shed.Critical, cancel: shed.High, read: shed.Normal, list: shed.Low, admin: shed.Exempt,
	}
}

type bundle struct {
	*shed.Shedder

	server *connect.Server
	logs   *lines
	limits atomic.Pointer[shed.Limits]
	off    atomic.Bool
}

// setup makes a shedder in front of a handler, and runs it until the test ends.
func setup(t testing.TB, limits shed.Limits, handler connect.ServerFunc, sources ...shed.Source) *bundle {
	t.Helper()
	b := &bundle{logs: &lines{}}
	b.limits.Store(&limits)
	var err error
	b.Shedder, err = shed.New(shed.Config{
		Logger:     slog.New(slog.NewTextHandler(b.logs, nil)),
		Priorities: priorities(),
		Limits:     func() shed.Limits { return *b.limits.Load() },
		Enabled:    func() bool { return !b.off.Load() },
		Sources:    sources,
	})
	if err != nil {
		t.Fatal(err)
	}
	b.server = connect.NewServer(b.Admit)
	for procedure := range priorities() {
		b.server.Register(connect.Method{Spec: connect.Spec{Procedure: procedure, StreamType: connect.StreamTypeUnary}, Handler: handler})
	}
	b.server.Register(connect.Method{Spec: connect.Spec{Procedure: "/shop/Watch", StreamType: connect.StreamTypeServer}, Handler: handler})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = b.Run(ctx) }()
	t.Cleanup(func() { stop(); <-ended })
	return b
}

// call makes one call with a X-Request-Priority, which may be empty.
func (b *bundle) call(ctx context.Context, procedure, asked string) error {
	info := &connect.CallInfo{}
	if asked != "" {
		info.RequestHeader().Set(shed.Header, asked)
	}
	return b.server.Call(ctx, procedure, info, nil)
}

// backend does so many calls at once, each in so much time; the others wait.
func backend(places int, each time.Duration) connect.ServerFunc {
	free := make(chan struct{}, places)
	return func(ctx context.Context, _ connect.Spec, _ connect.ServerStream) error {
		select {
		case free <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		defer func() { <-free }()
		time.Sleep(each)
		return nil
	}
}

// outcome of the calls of one operation.
type outcome struct{ sent, ok, shed, late atomic.Int64 }

func (o *outcome) share() float64 { return float64(o.ok.Load()) / float64(max(1, o.sent.Load())) }

// storm sends calls at random, at a rate, whatever the answers. The shares of the
// operations add up to 100.
func (b *bundle) storm(perSecond float64, lasts time.Duration, shares map[string]int) map[string]*outcome {
	seen, random := map[string]*outcome{}, rand.New(rand.NewPCG(1, 2))
	var draw []string
	for _, procedure := range []string{place, cancel, read, list} {
		seen[procedure] = &outcome{}
		for range shares[procedure] {
			draw = append(draw, procedure)
		}
	}
	var group sync.WaitGroup
	for until := time.Now().Add(lasts); time.Now().Before(until); {
		time.Sleep(time.Duration(random.ExpFloat64() / perSecond * float64(time.Second)))
		procedure := draw[random.IntN(len(draw))]
		group.Go(func() {
			o := seen[procedure]
			o.sent.Add(1)
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			switch err := b.call(ctx, procedure, ""); {
			case err == nil:
				o.ok.Add(1)
			case connect.CodeOf(err) == connect.CodeUnavailable:
				o.shed.Add(1)
			default:
				o.late.Add(1)
			}
		})
	}
	group.Wait()
	return seen
}

// threeTimes is what the drill sends: three times what the backend can do, of
// which the orders alone are three quarters of it.
var threeTimes = map[string]int{place: 25, read: 35, list: 40}

func TestLowestIsShedFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const capacity = 32 / 0.02
		b := setup(t, shed.Limits{Min: 32, Max: 256, MaxWait: time.Second}, backend(32, 20*time.Millisecond))
		const lasts = 8 * time.Second
		seen := b.storm(3*capacity, lasts, threeTimes)
		var done int64
		for procedure, o := range seen {
			t.Logf("%s: sent %d, ok %d, shed %d, late %d", procedure, o.sent.Load(), o.ok.Load(), o.shed.Load(), o.late.Load())
			done += o.ok.Load()
		}
		if got := seen[place].share(); got < 0.99 {
			t.Errorf("%.1f %% of the critical calls answered, want 99", 100*got)
		}
		if got := seen[list].share(); got > 0.05 {
			t.Errorf("%.1f %% of the low calls answered while normal ones are refused", 100*got)
		}
		if goodput := float64(done) / (capacity * lasts.Seconds()); goodput < 0.9 {
			t.Errorf("goodput is %.0f %% of what the backend can do", 100*goodput)
		}
	})
}

// The queue is not fair: who came first waits for who matters more.
func TestMostImportantIsNext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		entered, release := make(chan string, 8), make(chan struct{})
		b := setup(t, shed.Limits{Min: 4, Max: 4, MaxWait: 8 * time.Hour}, func(_ context.Context, spec connect.Spec, _ connect.ServerStream) error {
			entered <- spec.Procedure
			<-release
			return nil
		})
		var group sync.WaitGroup
		for _, procedure := range []string{place, place, place, place, list, read, cancel, place} {
			group.Go(func() {
				if err := b.call(t.Context(), procedure, ""); err != nil {
					t.Errorf("%s: %v", procedure, err)
				}
			})
			synctest.Wait()
		}
		for range 4 {
			<-entered
		}
		for _, want := range []string{place, cancel, read, list} {
			release <- struct{}{}
			if got := <-entered; got != want {
				t.Errorf("%s was let in, want %s", got, want)
			}
		}
		close(release)
		group.Wait()
	})
}

// The same storm without shedding: what is answered at all is answered late, and
// orders fare no better than lists.
func TestSwitchedOffNothingIsShed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, shed.Limits{Min: 32, Max: 256, MaxWait: time.Second}, backend(32, 20*time.Millisecond))
		b.off.Store(true)
		time.Sleep(time.Second) // until it is seen
		seen := b.storm(3*32/0.02, 4*time.Second, threeTimes)
		if seen[list].shed.Load() > 0 || b.Shedding() {
			t.Errorf("switched off, and %d calls were shed", seen[list].shed.Load())
		}
		if got := seen[place].share(); got > 0.6 {
			t.Errorf("%.1f %% of the critical calls answered without shedding: the storm is none", 100*got)
		}
	})
}

func TestHeaderOnlyLowers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		// Pressure refuses low and normal calls, and no others.
		b := setup(t, shed.Limits{Min: 8, Max: 8, MaxWait: time.Second}, nothing,
			shed.Source{Name: "outbox", Most: shed.Critical, Read: func() float64 { return 0.75 }})
		time.Sleep(time.Second)
		for _, test := range []struct {
			procedure, asked string
			refused          bool
		}{
			{place, "", false}, {place, "critical", false}, {place, "low", true}, {place, "Normal", true}, {place, "high", false},
			{list, "", true}, {list, "critical", true}, {read, "critical", true}, {cancel, "", false}, {cancel, "low", true},
			{place, "urgent", false}, {list, "exempt", true}, {read, "99", true},
			{admin, "low", false}, {admin, "", false},
		} {
			err := b.call(t.Context(), test.procedure, test.asked)
			if refused := connect.CodeOf(err) == connect.CodeUnavailable; refused != test.refused {
				t.Errorf("%s asking for %q: refused %v, want %v", test.procedure, test.asked, refused, test.refused)
			}
		}
	})
}

func nothing(context.Context, connect.Spec, connect.ServerStream) error { return nil }

// From half of the cap on, the priorities go one after another.
func TestPressure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var pressure atomic.Int64 // thousandths
		b := setup(t, shed.Limits{Min: 8, Max: 8, MaxWait: time.Second}, nothing,
			shed.Source{Name: "lag", Most: shed.Critical, Read: func() float64 { return float64(pressure.Load()) / 1000 }},
			shed.Source{Name: "outbox", Most: shed.Low, Read: func() float64 { return 2 }})
		for _, test := range []struct {
			pressure int64
			taken    string // of list, read, cancel, place; list is shed by the outbox alone
		}{
			{0, "read cancel place"}, {500, "read cancel place"}, {750, "cancel place"}, {875, "place"}, {1000, ""}, {7000, ""}, {-50, "read cancel place"},
		} {
			pressure.Store(test.pressure)
			time.Sleep(time.Second)
			var taken []string
			for i, procedure := range []string{list, read, cancel, place} {
				if b.call(t.Context(), procedure, "") == nil {
					taken = append(taken, []string{"list", "read", "cancel", "place"}[i])
				}
			}
			if got := strings.Join(taken, " "); got != test.taken {
				t.Errorf("at a pressure of %d thousandths: took %q, want %q", test.pressure, got, test.taken)
			}
		}
	})
}

// A place is given back whatever the handler does.
func TestNoPlaceLeaks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		b := setup(t, shed.Limits{Min: 2, Max: 2, MaxWait: 10 * time.Millisecond}, func(ctx context.Context, spec connect.Spec, _ connect.ServerStream) error {
			switch spec.Procedure {
			case read:
				panic("a broken handler")
			case cancel:
				<-ctx.Done()
				return ctx.Err()
			case list:
				return errors.New("refused")
			case "/shop/Watch":
				<-release
			}
			return nil
		})
		var watches sync.WaitGroup
		for range 50 {
			func() {
				defer func() { _ = recover() }()
				_ = b.call(t.Context(), read, "")
			}()
			ctx, stop := context.WithTimeout(t.Context(), time.Millisecond)
			_ = b.call(ctx, cancel, "")
			stop()
			_ = b.call(t.Context(), list, "")
			watches.Go(func() { _ = b.call(t.Context(), "/shop/Watch", "") }) // and stays open
			synctest.Wait()
		}
		for range 2 {
			if err := b.call(t.Context(), place, ""); err != nil {
				t.Errorf("after calls that panicked, were left, failed, and streams that stay open: %v", err)
			}
		}
		close(release)
		watches.Wait()
	})
}

// A caller who leaves while it waits leaves the queue, and is not told that it
// was refused.
func TestWaitingEndsWithTheCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, shed.Limits{Min: 1, Max: 1, MaxWait: time.Minute}, backend(1, time.Second))
		var first sync.WaitGroup
		first.Go(func() { _ = b.call(t.Context(), place, "") })
		synctest.Wait()
		ctx, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer stop()
		began := time.Now()
		if err := b.call(ctx, place, ""); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("left while waiting: %v", err)
		}
		if waited := time.Since(began); waited != 100*time.Millisecond {
			t.Errorf("waited %s", waited)
		}
		first.Wait()
	})
}

// Limits change while the service runs, and bad ones are not taken.
func TestLimitsReload(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		b := setup(t, shed.Limits{Min: 1, Max: 1, MaxWait: time.Millisecond}, func(context.Context, connect.Spec, connect.ServerStream) error {
			<-release
			return nil
		})
		var held sync.WaitGroup
		hold := func() { held.Go(func() { _ = b.call(t.Context(), place, "") }); synctest.Wait() }
		hold()
		if err := b.call(t.Context(), place, ""); connect.CodeOf(err) != connect.CodeUnavailable {
			t.Errorf("beyond the limit: %v", err)
		}
		b.limits.Store(&shed.Limits{Min: 0, Max: -1})
		time.Sleep(time.Second)
		if err := b.call(t.Context(), place, ""); connect.CodeOf(err) != connect.CodeUnavailable {
			t.Errorf("bad limits were taken over: %v", err)
		}
		b.limits.Store(&shed.Limits{Min: 3, Max: 3, MaxWait: time.Millisecond})
		time.Sleep(time.Second)
		for range 3 {
			hold()
		}
		close(release)
		held.Wait()
		if got := strings.Count(b.logs.String(), "limits of calls at once changed"); got != 1 {
			t.Errorf("%d lines about new limits:\n%s", got, b.logs)
		}
	})
}

// Shedding is told twice: when it begins and when it has ended.
func TestSheddingIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, shed.Limits{Min: 4, Max: 4, MaxWait: time.Second}, backend(4, 5*time.Millisecond))
		b.storm(3*4/0.005, 2*time.Second, threeTimes)
		if !b.Shedding() {
			t.Error("it sheds and does not say so")
		}
		time.Sleep(10 * time.Second)
		if b.Shedding() {
			t.Error("it says that it sheds, 10 s after the storm")
		}
		text := b.logs.String()
		if strings.Count(text, "shedding load") != 2 || !strings.Contains(text, "no longer shedding load") || strings.Count(text, "\n") > 2 {
			t.Errorf("log:\n%s", text)
		}
	})
}

// lines collects a log from many goroutines.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// BenchmarkRefusal is what a refused call costs the interceptor: the goal is a
// millisecond.
func BenchmarkRefusal(b *testing.B) {
	s, err := shed.New(shed.Config{
		Logger: slog.New(slog.DiscardHandler), Priorities: priorities(),
		Limits:  func() shed.Limits { return shed.Limits{Min: 1, Max: 1, MaxWait: time.Second} },
		Sources: []shed.Source{{Name: "full", Most: shed.Critical, Read: func() float64 { return 1 }}},
	})
	if err != nil {
		b.Fatal(err)
	}
	go func() { _ = s.Run(b.Context()) }()
	for !s.Shedding() {
		_ = s.Admit(nothing)(b.Context(), connect.Spec{Procedure: list}, nil)
	}
	admit := s.Admit(nothing)
	for b.Loop() {
		if admit(b.Context(), connect.Spec{Procedure: list}, nil) == nil {
			b.Fatal("not refused")
		}
	}
}

// BenchmarkAdmission is what shedding adds to a call that is taken.
func BenchmarkAdmission(b *testing.B) {
	s := setup(b, shed.Limits{Min: 64, Max: 64, MaxWait: time.Second}, nothing)
	admit := s.Admit(nothing)
	for b.Loop() {
		if err := admit(b.Context(), connect.Spec{Procedure: list}, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// TestExemptIsBounded: who calls is not known yet, so the name of an operator's
// procedure is no way around every bound.
func TestExemptIsBounded(t *testing.T) {
	t.Parallel()
	const calls = 40
	entered, release := make(chan struct{}, calls), make(chan struct{})
	b := setup(t, shed.Limits{Min: 1, Max: 1, MaxWait: time.Second}, func(context.Context, connect.Spec, connect.ServerStream) error {
		entered <- struct{}{}
		<-release
		return nil
	})
	results := make(chan error, calls)
	for range calls {
		go func() { results <- b.call(t.Context(), admin, "") }()
	}
	refused := 0
	for range calls {
		select {
		case <-results: // nobody else is let go yet
			refused++
		case <-entered:
		}
	}
	close(release)
	if refused == 0 || refused == calls {
		t.Errorf("of %d calls at once %d were refused", calls, refused)
	}
	for range calls - refused {
		<-results
	}
	if err := b.call(t.Context(), admin, ""); err != nil {
		t.Error("refused although nothing is under way:", err)
	}
}
