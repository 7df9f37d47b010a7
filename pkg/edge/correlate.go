package edge

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"connectrpc.com/connect/v2"

	"example.com/ballast/pkg/ids"
	"example.com/ballast/pkg/telemetry"
)

// HeaderCorrelation is where a client says which of its calls belong together.
// Nothing but a UUID is taken, so that nothing else gets into the log by it. It
// comes back in the answer.
const HeaderCorrelation = "X-Correlation-Id"

// correlate begins the labels of a call's log lines, which handlers add to.
func (s *Server) correlate(next connect.ServerFunc) connect.ServerFunc {
	return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
		ctx = telemetry.WithLabels(ctx)
		info, ok := connect.CallInfoForServerContext(ctx)
		if !ok {
			return next(ctx, spec, stream)
		}
		if id, err := ids.Parse(info.RequestHeader().Get(HeaderCorrelation)); err == nil {
			telemetry.Label(ctx, slog.String("correlation_id", id.String()))
			info.ResponseHeader().Set(HeaderCorrelation, id.String())
		}
		return next(ctx, spec, stream)
	}
}

// tell gives a call whose client has named it a line of its own, in which the
// client's id, the trace and what the handler found stand together; from there on
// the order's id leads through the platform, and no message carries another. It
// comes after all that refuses: a flood of calls must not become one of lines.
func (s *Server) tell(next connect.ServerFunc) connect.ServerFunc {
	return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
		info, ok := connect.CallInfoForServerContext(ctx)
		if !ok || info.ResponseHeader().Get(HeaderCorrelation) == "" {
			return next(ctx, spec, stream)
		}
		began := time.Now()
		err := next(ctx, spec, stream)
		code := "ok"
		if err != nil {
			code = connect.CodeOf(err).String()
		}
		s.cfg.Logger.InfoContext(ctx, "call answered", "procedure", spec.Procedure, "code", code,
			"took", time.Since(began).Round(time.Microsecond).String())
		return err
	}
}

// withoutBaggage drops the headers of W3C trace context in which a caller can
// write what it likes; they would travel into every span and every next call.
func withoutBaggage(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Baggage")
		r.Header.Del("Tracestate")
		next.ServeHTTP(w, r)
	})
}
