package service_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/ballast/pkg/config"
	"example.com/ballast/pkg/service"
	"example.com/ballast/pkg/telemetry"
)

// patience bounds every wait of these tests; none should come near it.
const patience = 10 * time.Second

// running is a service in the test's process.
type running struct {
	host *service.Host
	stop context.CancelFunc
	done chan error
	logs *lines
}

// start runs a service on free ports and returns when its setup has begun.
func start(t *testing.T, settings service.Settings, setup func(context.Context, *service.Host) error) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	t.Cleanup(cancel)
	r := &running{stop: cancel, done: make(chan error, 1), logs: &lines{}}
	begun := make(chan *service.Host, 1)
	settings.ListenAddr, settings.AdminAddr = "127.0.0.1:0", "127.0.0.1:0"
	if settings.DrainTimeout == 0 {
		settings.DrainTimeout = patience
	}
	cfg := service.Config{
		Name: "test", Version: "v0", Settings: settings, Telemetry: telemetry.Config{Output: r.logs},
		Print: struct {
			Key config.Secret `env:"API_KEY"`
		}{"canary"},
	}
	go func() {
		r.done <- service.Run(ctx, cfg, func(ctx context.Context, h *service.Host) error {
			begun <- h
			return setup(ctx, h)
		})
	}()
	r.host = receive(t, begun)
	return r
}

func receive[T any](t *testing.T, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

func (r *running) get(t *testing.T, addr, path string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// becomes polls the admin listener until a path answers a status.
func (r *running) becomes(t *testing.T, path string, status int, text string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		got, body := r.get(t, r.host.AdminAddr(), path)
		if got == status && strings.Contains(body, text) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is %d %s, want %d %s", path, got, body, status, text)
		}
		time.Sleep(time.Millisecond)
	}
}

// journal notes what happened in which order.
type journal struct {
	mu    sync.Mutex
	notes []string
}

func (j *journal) note(s string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.notes = append(j.notes, s)
}

func (j *journal) all() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.notes)
}

// TestShutdownKeepsItsOrder: streams are told first, since they would hold up the
// calls' end for ever; then calls, loops, and what was opened, last opened first.
func TestShutdownKeepsItsOrder(t *testing.T) {
	t.Parallel()
	var j journal
	inCall, inStream, release := make(chan struct{}), make(chan struct{}), make(chan struct{})
	r := start(t, service.Settings{}, func(_ context.Context, h *service.Host) error {
		for _, name := range []string{"postgres", "kafka"} {
			h.OnClose(name, func(context.Context) error { j.note("close " + name); return nil })
		}
		h.Go("consumer", func(ctx context.Context) error {
			<-ctx.Done()
			j.note("consumer ends")
			return ctx.Err()
		})
		h.Serve(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.URL.Path == "/stream" {
				close(inStream)
				<-h.Draining()
				j.note("stream told")
				return
			}
			close(inCall)
			<-release
			j.note("call answered")
			_, _ = w.Write([]byte("done"))
		}))
		return nil
	})
	r.becomes(t, "/readyz", http.StatusOK, "ready")

	answer := make(chan string, 1)
	go func() {
		_, body := r.get(t, r.host.Addr(), "/")
		answer <- body
	}()
	receive(t, inCall)
	streamed := make(chan string, 1)
	go func() {
		_, body := r.get(t, r.host.Addr(), "/stream")
		streamed <- body
	}()
	receive(t, inStream)
	r.stop()
	receive(t, r.host.Draining())
	receive(t, streamed)
	// The call holds up the loops, the pools and the admin listener.
	r.becomes(t, "/readyz", http.StatusServiceUnavailable, "stopping")
	r.becomes(t, "/livez", http.StatusOK, "alive")
	j.note("release")
	close(release)
	if got := receive(t, answer); got != "done" {
		t.Errorf("the call got %q", got)
	}
	if err := receive(t, r.done); err != nil {
		t.Errorf("run: %v", err)
	}
	want := []string{"stream told", "release", "call answered", "consumer ends", "close kafka", "close postgres"}
	if diff := cmp.Diff(want, j.all()); diff != "" {
		t.Error(diff)
	}
}

func TestDrainDelayStillTakesCalls(t *testing.T) {
	t.Parallel()
	r := start(t, service.Settings{DrainDelay: 300 * time.Millisecond}, func(_ context.Context, h *service.Host) error {
		h.Serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) }))
		return nil
	})
	r.becomes(t, "/readyz", http.StatusOK, "ready")
	r.stop()
	r.becomes(t, "/readyz", http.StatusServiceUnavailable, "stopping")
	// The balancer has not noticed yet.
	if status, body := r.get(t, r.host.Addr(), "/"); status != http.StatusOK {
		t.Errorf("status %d %s", status, body)
	}
	if err := receive(t, r.done); err != nil {
		t.Error(err)
	}
	if status, _ := r.get(t, r.host.Addr(), "/"); status != 0 {
		t.Errorf("status %d after the end", status)
	}
}

// Not parallel: the signal reaches every service of the process.
func TestSIGTERMStops(t *testing.T) {
	r := start(t, service.Settings{}, func(context.Context, *service.Host) error { return nil })
	r.becomes(t, "/readyz", http.StatusOK, "ready")
	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := receive(t, r.done); err != nil {
		t.Error(err)
	}
}

func TestFailuresEndTheService(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, tc := range map[string]struct {
		setup func(context.Context, *service.Host) error
		want  string
	}{
		"setup":       {func(context.Context, *service.Host) error { return broken }, "broken"},
		"setup panic": {func(context.Context, *service.Host) error { panic(errors.New("boom")) }, "panic: boom"},
		"loop": {func(_ context.Context, h *service.Host) error {
			h.Go("relay", func(context.Context) error { return broken })
			return nil
		}, "relay: broken"},
		"loop panic": {func(_ context.Context, h *service.Host) error {
			h.Go("relay", func(context.Context) error { panic(errors.New("boom")) })
			return nil
		}, "relay: panic: boom"},
		"close": {func(_ context.Context, h *service.Host) error {
			h.OnClose("postgres", func(context.Context) error { return broken })
			return context.Canceled
		}, "close postgres: broken"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			closed := make(chan struct{})
			r := start(t, service.Settings{}, func(ctx context.Context, h *service.Host) error {
				h.OnClose("first", func(context.Context) error { close(closed); return nil })
				return tc.setup(ctx, h)
			})
			if err := receive(t, r.done); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("run: %v, want %s", err, tc.want)
			}
			receive(t, closed)
		})
	}
}

func TestLoopThatHangsIsLeftBehind(t *testing.T) {
	t.Parallel()
	closed, hang := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(hang) })
	r := start(t, service.Settings{DrainTimeout: 50 * time.Millisecond}, func(_ context.Context, h *service.Host) error {
		h.Go("stuck", func(context.Context) error { <-hang; return nil })
		h.OnClose("pool", func(context.Context) error { close(closed); return nil })
		return nil
	})
	r.becomes(t, "/readyz", http.StatusOK, "ready")
	r.stop()
	err := receive(t, r.done)
	if err == nil || !strings.Contains(err.Error(), "end loops: still running after DRAIN_TIMEOUT") {
		t.Errorf("run: %v", err)
	}
	receive(t, closed)
}

func TestWaitNamesTheDependency(t *testing.T) {
	t.Parallel()
	there := make(chan struct{})
	r := start(t, service.Settings{}, func(ctx context.Context, h *service.Host) error {
		return h.Wait(ctx, "postgres at db:5432", func(context.Context) error {
			select {
			case <-there:
				return nil
			default:
				return errors.New("connection refused")
			}
		})
	})
	r.becomes(t, "/readyz", http.StatusServiceUnavailable, "waiting for postgres at db:5432")
	r.becomes(t, "/startupz", http.StatusServiceUnavailable, "starting")
	r.becomes(t, "/livez", http.StatusOK, "alive")
	if status, body := r.get(t, r.host.Addr(), "/"); status != http.StatusServiceUnavailable || !strings.Contains(body, "starting") {
		t.Errorf("public: %d %s", status, body)
	}
	close(there)
	r.becomes(t, "/readyz", http.StatusOK, "ready")
	r.becomes(t, "/startupz", http.StatusOK, "started")
	r.stop()
	if err := receive(t, r.done); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"waiting for postgres at db:5432", "connection refused", "postgres at db:5432 is there"} {
		if !strings.Contains(r.logs.String(), want) {
			t.Errorf("%q is not in the log", want)
		}
	}
}

func TestWaitEnds(t *testing.T) {
	t.Parallel()
	r := start(t, service.Settings{}, func(ctx context.Context, h *service.Host) error {
		return h.Wait(ctx, "postgres", func(context.Context) error { return service.Permanent(errors.New("password is wrong")) })
	})
	if err := receive(t, r.done); err == nil || !strings.Contains(err.Error(), "postgres: password is wrong") {
		t.Errorf("permanent: %v", err)
	}
	r = start(t, service.Settings{}, func(ctx context.Context, h *service.Host) error {
		return h.Wait(ctx, "kafka", func(context.Context) error { return errors.New("away") })
	})
	r.becomes(t, "/readyz", http.StatusServiceUnavailable, "waiting for kafka")
	r.stop()
	if err := receive(t, r.done); err != nil {
		t.Errorf("stopped while waiting: %v", err)
	}
}

func TestAdminServesMetricsAndSettings(t *testing.T) {
	t.Parallel()
	r := start(t, service.Settings{}, func(context.Context, *service.Host) error { return nil })
	r.becomes(t, "/metrics", http.StatusOK, "process_resident_memory_bytes")
	r.becomes(t, "/config", http.StatusOK, `"API_KEY":"[redacted]"`)
	r.becomes(t, "/debug/pprof/goroutine?debug=1", http.StatusOK, "goroutine profile")
	if strings.Contains(r.logs.String(), "canary") {
		t.Error("a secret is in the log")
	}
}

func TestTakenPortNamesTheSetting(t *testing.T) {
	t.Parallel()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	taken := ln.Addr().String()
	for variable, s := range map[string]service.Settings{
		"LISTEN_ADDR": {ListenAddr: taken, AdminAddr: "127.0.0.1:0"},
		"ADMIN_ADDR":  {ListenAddr: "127.0.0.1:0", AdminAddr: taken},
	} {
		err := service.Run(t.Context(), service.Config{Name: "test", Settings: s, Telemetry: telemetry.Config{Output: &lines{}}}, nil)
		if err == nil || !strings.Contains(err.Error(), variable+"="+taken) {
			t.Errorf("want %s named: %v", variable, err)
		}
	}
}

// lines collects a log from many goroutines.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
