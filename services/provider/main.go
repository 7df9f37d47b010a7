// Command provider simulates a payment provider that speaks a subset of
// Stripe's API. It is not part of the platform: it shares no code with it, and
// its book is the outside witness of what happened to the money.
//
//	payments --stripe-go--> LISTEN_ADDR /v1/...  --> api --> bank --> book (file)
//	reconciliation -------> LISTEN_ADDR /book    ------------------->  "
//	payments <-- signed ---  WEBHOOK_URL <--- webhook <--------------  "
//	drills ---------------> ADMIN_ADDR  /faults  --> faults
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"example.com/ballast/services/provider/internal/api"
	"example.com/ballast/services/provider/internal/bank"
	"example.com/ballast/services/provider/internal/faults"
)

// At shutdown, open calls have drainTimeout; those that a fault lets hang are
// dropped after hangGrace.
const (
	hangGrace    = time.Second
	drainTimeout = 5 * time.Second
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	command := run
	if len(os.Args) == 2 && os.Args[1] == "health" {
		command = health
	}
	err := command(ctx, os.Args[1:], os.Getenv, os.Stderr)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return
	}
	fmt.Fprintln(os.Stderr, "provider:", err)
	os.Exit(1)
}

// run serves until ctx ends or the book can't be written. Shutdown order: stop
// accepting, drain the calls, drop those that hang, end the webhooks, close the book.
func run(ctx context.Context, args []string, getenv func(string) string, out io.Writer) error {
	cfg, err := loadConfig(args, getenv, rand.Uint64(), out)
	if err != nil {
		return err
	}
	logger := slog.New(slog.NewJSONHandler(out, nil)).With("service", "provider")
	b, err := openBank(cfg, logger)
	if err != nil {
		return err
	}
	f := faults.New(cfg.Seed, cfg.Faults)
	go f.Follow(ctx, cfg.FlagsFile, logger)
	told, stop, err := tell(ctx, cfg, b, f, logger)
	if err == nil {
		err = errors.Join(serve(ctx, cfg, b, f, told, logger), stop())
	}
	return errors.Join(err, b.Book().Close())
}

func serve(ctx context.Context, cfg config, b *bank.Bank, f *faults.Faults, told telling, logger *slog.Logger) error {
	// calls is what requests run under: cancelling it ends hanging answers.
	calls, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	failed := make(chan error, 2)
	var servers []*http.Server
	for _, s := range []struct {
		name, addr string
		handler    http.Handler
	}{
		{"LISTEN_ADDR", cfg.Listen, api.New(b, f, cfg.APIKey, told, logger)},
		{"ADMIN_ADDR", cfg.Admin, api.Admin(f, logger)},
	} {
		l, err := net.Listen("tcp", s.addr)
		if err != nil {
			return fmt.Errorf("%s: %w (choose a free address)", s.name, err)
		}
		server := &http.Server{
			Handler: s.handler, BaseContext: func(net.Listener) context.Context { return calls },
			ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
			ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
		}
		servers = append(servers, server)
		logger.Info("listening", "setting", s.name, "addr", l.Addr().String())
		go func() { failed <- server.Serve(l) }()
	}
	logger.Info("ready", "seed", cfg.Seed, "faults", f.Settings())
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	case err = <-b.Book().Failed():
	}
	logger.Info("stopping")
	defer time.AfterFunc(hangGrace, cancel).Stop()
	drain, done := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer done()
	for _, s := range servers {
		err = errors.Join(err, s.Shutdown(drain))
	}
	return err
}
