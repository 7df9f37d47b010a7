package service_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/ballast/pkg/service"
)

// protocols are the two that clients speak.
func protocols(t *testing.T) map[string]*http.Client {
	t.Helper()
	clients := map[string]*http.Client{}
	for name, h2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		protocols := new(http.Protocols)
		protocols.SetHTTP1(!h2)
		protocols.SetUnencryptedHTTP2(h2)
		transport := &http.Transport{Protocols: protocols, MaxIdleConnsPerHost: 100}
		t.Cleanup(transport.CloseIdleConnections)
		clients[name] = &http.Client{Transport: transport, Timeout: patience}
	}
	return clients
}

// call makes one request and tells whether it went over a connection that was
// there before.
func call(ctx context.Context, client *http.Client, addr string) (reused bool, err error) {
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) { reused = c.Reused }})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/", http.NoBody)
	if err != nil {
		return false, err
	}
	res, err := client.Do(req)
	if err != nil {
		return reused, err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return reused, err
}

// TestConnectionsAreGivenUpWhileDraining: calls are still taken, but none keeps
// its connection, or a client would stay with a process that goes away.
func TestConnectionsAreGivenUpWhileDraining(t *testing.T) {
	t.Parallel()
	for name, client := range protocols(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, service.Settings{DrainDelay: time.Second}, func(_ context.Context, h *service.Host) error {
				h.Serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) }))
				return nil
			})
			r.becomes(t, "/readyz", http.StatusOK, "ready")
			for i := range 2 {
				if reused, err := call(t.Context(), client, r.host.Addr()); err != nil || reused != (i > 0) {
					t.Fatalf("call %d before the end: reused %v, %v", i, reused, err)
				}
			}
			r.stop()
			receive(t, r.host.Draining())
			r.becomes(t, "/readyz", http.StatusServiceUnavailable, "stopping")
			// The idle connection is closed, perhaps just as it is used again; a new
			// one is taken.
			deadline := time.Now().Add(patience)
			for {
				reused, err := call(t.Context(), client, r.host.Addr())
				if err != nil && !reused {
					t.Fatalf("while draining: %v", err)
				}
				if !reused {
					break
				}
				if time.Now().After(deadline) {
					t.Fatal("the connection is kept")
				}
			}
			if err := receive(t, r.done); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestNoAnswerIsLost lets many clients call without a pause while the process
// stops: a call that fails was not begun, so that repeating it elsewhere is no
// second time.
func TestNoAnswerIsLost(t *testing.T) {
	t.Parallel()
	for name, client := range protocols(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var begun, answered atomic.Int64
			r := start(t, service.Settings{DrainDelay: 20 * time.Millisecond}, func(_ context.Context, h *service.Host) error {
				h.Serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					begun.Add(1)
					time.Sleep(time.Millisecond)
					_, _ = w.Write([]byte("ok"))
				}))
				return nil
			})
			r.becomes(t, "/readyz", http.StatusOK, "ready")
			var clients sync.WaitGroup
			for range 20 {
				clients.Go(func() {
					for {
						if _, err := call(t.Context(), client, r.host.Addr()); err == nil {
							answered.Add(1)
							continue
						}
						select {
						case <-r.host.Draining():
							return // the others follow one by one
						default:
							t.Error("a call failed before the end")
							return
						}
					}
				})
			}
			for answered.Load() < 200 {
				time.Sleep(time.Millisecond)
			}
			r.stop()
			if err := receive(t, r.done); err != nil {
				t.Error(err)
			}
			clients.Wait()
			// net/http may close an idle connection of HTTP/1.1 just as a request
			// arrives on it: of twenty clients a few may meet that, not most.
			if begun.Load()-answered.Load() > 5 {
				t.Errorf("%d calls were begun, %d answered", begun.Load(), answered.Load())
			}
		})
	}
}

// TestACloserThatHangsIsGivenUp: what was opened before it is closed all the same,
// and the process ends.
func TestACloserThatHangsIsGivenUp(t *testing.T) {
	t.Parallel()
	closed, never := make(chan struct{}), make(chan struct{})
	defer close(never)
	r := start(t, service.Settings{DrainTimeout: 50 * time.Millisecond}, func(_ context.Context, h *service.Host) error {
		h.OnClose("kafka", func(context.Context) error { close(closed); return nil })
		h.OnClose("postgres", func(context.Context) error { <-never; return nil })
		return nil
	})
	r.becomes(t, "/readyz", http.StatusOK, "ready")
	r.stop()
	if err := receive(t, r.done); err == nil || !strings.Contains(err.Error(), "close postgres: still running") {
		t.Errorf("ended with %v, want the closer's name", err)
	}
	receive(t, closed)
}
