package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"example.com/ballast/pkg/config"
	"example.com/ballast/pkg/flags"
	"example.com/ballast/pkg/lease"
	"example.com/ballast/pkg/telemetry"
)

// Host is what Run gives to the setup.
type Host struct {
	// Logger writes JSON lines with the service's name.
	Logger *slog.Logger
	// Telemetry has the registry for collectors that speak Prometheus.
	Telemetry *telemetry.Telemetry
	// Admin takes further handlers of the admin listener during the setup.
	Admin *http.ServeMux
	// Flags of FLAGS_FILE; never nil.
	Flags *flags.Set

	cfg           Config
	public, admin net.Listener
	publicServer  *http.Server
	adminServer   *http.Server
	handler       atomic.Pointer[http.Handler]

	started  atomic.Bool
	draining chan struct{} // closed at the first step of the end
	waits    waits

	loopCtx context.Context //nolint:containedctx // the loops' lifetime is the host's
	endLoop context.CancelFunc
	loops   sync.WaitGroup
	failed  chan error

	mu      sync.Mutex
	closers []closer
	leases  []*lease.Lease
}

type closer struct {
	name string
	fn   func(context.Context) error
}

// newHost opens both listeners first: a port that is taken should be known
// before anything else was touched.
func newHost(ctx context.Context, cfg Config, tel *telemetry.Telemetry) (*Host, error) {
	admin, err := listen(ctx, "ADMIN_ADDR", cfg.Settings.AdminAddr)
	if err != nil {
		return nil, err
	}
	public, err := listen(ctx, "LISTEN_ADDR", cfg.Settings.ListenAddr)
	if err != nil {
		return nil, errors.Join(err, admin.Close())
	}
	set, err := flags.Open(ctx, cfg.Settings.FlagsFile, tel.Logger)
	if err != nil {
		return nil, errors.Join(err, admin.Close(), public.Close())
	}
	h := &Host{
		Logger: tel.Logger, Telemetry: tel, Admin: http.NewServeMux(), Flags: set,
		cfg: cfg, public: public, admin: admin,
		draining: make(chan struct{}), failed: make(chan error, 1),
	}
	// The loops outlive ctx: they end after the last call has been answered.
	h.loopCtx, h.endLoop = context.WithCancel(context.WithoutCancel(ctx))
	h.OnClose("flags", set.Close)
	h.Go("flags", set.Run)
	h.mountAdmin(config.Redacted(cfg.Print))
	h.adminServer = h.start("admin", admin, h.Admin)
	h.publicServer = h.start("public", public, http.HandlerFunc(h.servePublic))
	return h, nil
}

// start serves on a listener: HTTP/1.1 and cleartext HTTP/2, which gRPC speaks.
func (h *Host) start(name string, ln net.Listener, handler http.Handler) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{
		Handler: handler, Protocols: protocols,
		// A client that sends its headers one byte a second must not hold a
		// connection for ever. There is no write timeout: streams are long.
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(h.Logger.Handler(), slog.LevelDebug),
	}
	go func() {
		if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			h.fail(fmt.Errorf("%s listener: %w", name, err))
		}
	}()
	return server
}

// Serve hands over the handler of the public listener. Until then every request
// is answered 503.
func (h *Host) Serve(handler http.Handler) { h.handler.Store(&handler) }

func (h *Host) servePublic(w http.ResponseWriter, r *http.Request) {
	if handler := h.handler.Load(); handler != nil {
		(*handler).ServeHTTP(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Retry-After", "1")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = w.Write([]byte(`{"code":"unavailable","message":"the service is starting"}`))
}

// Addr is the public listener's address, for a setup that listens on port 0.
func (h *Host) Addr() string { return h.public.Addr().String() }

// AdminAddr is the admin listener's address.
func (h *Host) AdminAddr() string { return h.admin.Addr().String() }

// Draining is closed when the end begins. It is what edge.Config.Draining wants.
func (h *Host) Draining() <-chan struct{} { return h.draining }

// Go runs a background loop under a name. Its context ends after the last call
// has been answered; the loop then finishes what it holds and returns, within
// DrainTimeout. A loop that returns an error before, or panics, ends the service;
// one that returns nil is done.
func (h *Host) Go(name string, loop func(context.Context) error) {
	h.loops.Add(1)
	go func() {
		defer h.loops.Done()
		if err := h.protect(name, loop)(h.loopCtx); err != nil && h.loopCtx.Err() == nil {
			h.fail(fmt.Errorf("%s: %w", name, err))
		} else if err != nil && !errors.Is(err, context.Canceled) {
			h.Logger.Warn("a loop did not end well", "loop", name, "error", err)
		}
	}()
}

// OnClose registers what is closed after the loops have ended. The last one
// registered is closed first, as with defer.
func (h *Host) OnClose(name string, fn func(context.Context) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closers = append(h.closers, closer{name, fn})
}

// Healthy tells why the service does not take calls, or nil. It is what
// edge.Config.Healthy wants. It does not ask the dependencies: when Postgres is
// away every replica would leave the balancer at once, and the cached answers
// with them.
func (h *Host) Healthy(context.Context) error {
	select {
	case <-h.draining:
		return errors.New("stopping")
	default:
	}
	if waiting := h.waits.list(); len(waiting) > 0 {
		return fmt.Errorf("waiting for %s", waiting[0])
	}
	if !h.started.Load() {
		return errors.New("starting")
	}
	return nil
}

// fail reports the first error; the others follow from it.
func (h *Host) fail(err error) {
	select {
	case h.failed <- err:
	default:
	}
}

// protect turns a panic into an error, so that the end is orderly.
func (h *Host) protect(name string, fn func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) (err error) {
		defer func() {
			if r := recover(); r != nil {
				h.Logger.Error("panic in a loop", "loop", name, "panic", telemetry.PanicText(r), "stack", string(debug.Stack()))
				err = errors.New("panic: " + telemetry.PanicText(r))
			}
		}()
		return fn(ctx)
	}
}
