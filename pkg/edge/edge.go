// Package edge is the front of a service: one handler for Connect (JSON and
// binary), gRPC and gRPC-Web over HTTP/1.1 and cleartext HTTP/2.
//
// A call passes, outermost first:
//
//	telemetry     span and duration by procedure and code
//	correlate     what the call's log lines have in common
//	guard         panics and unknown errors become Internal; logged once
//	Config.Admit  what needs no caller: load shedding
//	authentication
//	Config.Limit  what needs the caller: rate limits
//	tell          a line for a call that its client has named
//	deadline      the client's, clamped
//	request       size, strict decoding and validation, as the handler receives
//	handler
//
// Interceptors run before the request is decoded, so a refused call costs
// neither the decoding nor the validation.
package edge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"buf.build/go/protovalidate"
	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"connectrpc.com/connect/v2/connectproto"
	"connectrpc.com/otelconnect"
)

// Limits that hold when Config leaves them zero.
const (
	// DefaultMaxBytes bounds one request message, before and after decompression.
	// The largest legitimate one, an order of 2,000 lines, takes 200 KB.
	DefaultMaxBytes = 1 << 20
	// DefaultDeadline is given to a call that brings none.
	DefaultDeadline = 10 * time.Second
	// DefaultMaxDeadline is the longest that a client can ask for. Work for which
	// nobody can still be waiting must not hold connections.
	DefaultMaxDeadline = 30 * time.Second
	// compressMinBytes: below it gzip costs more than the bytes it saves.
	compressMinBytes = 4 << 10
)

// Config of a Server.
type Config struct {
	// Logger takes one line per failed request. Required.
	Logger *slog.Logger
	// Verifier checks the bearer tokens. Required: there is no open mode.
	Verifier *Verifier
	// TrustTraces lets callers decide, by the traceparent that they send, which
	// traces are recorded. Without it a call begins a trace that links to theirs:
	// a customer must not be able to make this process record everything.
	TrustTraces bool
	// MaxBytes bounds one request message; 0 means DefaultMaxBytes.
	MaxBytes int
	// Deadline is given to unary calls that bring none; 0 means DefaultDeadline.
	Deadline time.Duration
	// MaxDeadline clamps the deadline that a client brings to a unary call; 0
	// means DefaultMaxDeadline.
	MaxDeadline time.Duration
	// Admit runs before authentication, Limit after it.
	Admit, Limit []connect.ServerInterceptor
	// Transient claims errors that pass by themselves, such as pg.Transient: the
	// client is told to come back. nil claims none.
	Transient func(error) bool
	// Healthy answers grpc.health.v1; nil means always serving.
	Healthy func(ctx context.Context) error
	// Draining is closed when the process is about to stop. Streams then end with
	// Unavailable, so that their clients reconnect elsewhere; unary calls finish.
	Draining <-chan struct{}
}

// Server collects the RPC services of a process. Register them on RPC, then call
// Handler once.
type Server struct {
	// RPC is where generated code registers handlers. It can also be called in
	// process, through connectinprocess.
	RPC *connect.Server

	cfg       Config
	validator protovalidate.Validator
	mux       *http.ServeMux
	causes    causes
}

// NewServer checks the configuration and builds the chain of interceptors.
// Telemetry goes to the global OpenTelemetry providers, so start those first.
func NewServer(cfg Config) (*Server, error) {
	if cfg.Logger == nil || cfg.Verifier == nil {
		return nil, errors.New("edge: Logger and Verifier are required")
	}
	cfg.MaxBytes = orDefault(cfg.MaxBytes, DefaultMaxBytes)
	cfg.MaxDeadline = orDefault(cfg.MaxDeadline, DefaultMaxDeadline)
	cfg.Deadline = min(orDefault(cfg.Deadline, DefaultDeadline), cfg.MaxDeadline)
	if cfg.Transient == nil {
		cfg.Transient = func(error) bool { return false }
	}
	var trust []otelconnect.Option
	if cfg.TrustTraces {
		trust = append(trust, otelconnect.WithTrustRemote())
	}
	telemetry, err := otelconnect.NewServerInterceptor(trust...)
	if err != nil {
		return nil, fmt.Errorf("rpc telemetry: %w", err)
	}
	validator, err := protovalidate.New(protovalidate.WithAllowUnknownFields())
	if err != nil {
		return nil, fmt.Errorf("validator: %w", err)
	}
	s := &Server{cfg: cfg, validator: validator, mux: http.NewServeMux()}
	chain := []connect.ServerInterceptor{telemetry, s.correlate, s.guard}
	chain = append(chain, cfg.Admit...)
	chain = append(chain, cfg.Verifier.authenticate)
	chain = append(chain, cfg.Limit...)
	chain = append(chain, s.tell, s.deadline, s.request)
	s.RPC = connect.NewServer(chain...)
	return s, nil
}

// Handle adds a plain HTTP handler, such as a webhook, beside the RPCs. It is
// bounded by MaxBytes and does its own authentication.
func (s *Server) Handle(pattern string, h http.Handler) {
	s.mux.Handle(pattern, http.MaxBytesHandler(h, int64(s.cfg.MaxBytes)))
}

// Handler mounts what is registered, with health and reflection, which need no
// token. Call it once, after the last registration. The error tells that the
// validation rules of a request message don't compile.
func (s *Server) Handler() (http.Handler, error) {
	if err := s.compileRules(); err != nil {
		return nil, err
	}
	opts := []connecthttp.Option{
		connecthttp.WithReadMaxBytes(s.cfg.MaxBytes),
		connecthttp.WithCompressMinBytes(compressMinBytes),
		connecthttp.WithCodecs(connectproto.NewBinaryCodec(), newStrictJSON()),
	}
	connecthttp.Mount(s.mux, s.RPC, opts...)
	s.mountHealth(opts)
	s.mountReflection()
	return withoutBaggage(s.mux), nil
}

func orDefault[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}
