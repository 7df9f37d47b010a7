package edge

import (
	"context"
	"net"
	"net/http"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// clientDeadline bounds unary calls whose context has none.
const clientDeadline = DefaultMaxDeadline

// NewClient returns a client of the service at baseURL for generated code, such
// as ordersv1connect.NewOrderServiceClient(client). It speaks binary Connect over
// HTTP/1.1; pass connecthttp.WithProtoJSON for JSON. The token is sent with
// every call whose context has none of its own, see WithToken; it may be empty.
func NewClient(baseURL, token string, opts ...connecthttp.Option) *connect.Client {
	return NewClientHTTP(NewHTTPClient(), baseURL, token, opts...)
}

// NewClientHTTP is NewClient with the HTTP client given: tools that talk to
// several services share one, and gRPC needs NewHTTP2Client.
func NewClientHTTP(hc *http.Client, baseURL, token string, opts ...connecthttp.Option) *connect.Client {
	return connect.NewClient(connecthttp.NewTransport(hc, baseURL, opts...), bearer(token), traced, bounded)
}

// NewHTTPClient returns an HTTP/1.1 client that keeps a connection for every
// call that is under way at once. The default transport keeps two per host and
// opens and closes the others, which costs more than the calls.
func NewHTTPClient() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 2 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		MaxIdleConnsPerHost: 1024,
		IdleConnTimeout:     90 * time.Second,
		// Small answers on a fast network: compressing them costs more than it saves.
		DisableCompression: true,
	}}
}

// NewHTTP2Client returns a client for cleartext HTTP/2, which gRPC needs.
func NewHTTP2Client() *http.Client {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Client{Transport: &http.Transport{
		Protocols:   protocols,
		DialContext: (&net.Dialer{Timeout: 2 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
	}}
}

type tokenKey struct{}

// WithToken returns a context whose calls carry this token instead of the
// client's, for tools that speak for many customers.
func WithToken(ctx context.Context, token string) context.Context {
	return context.WithValue(ctx, tokenKey{}, token)
}

// bearer sends the token.
func bearer(token string) connect.ClientInterceptor {
	return func(next connect.ClientFunc) connect.ClientFunc {
		return func(ctx context.Context, spec connect.Spec) (connect.ClientStream, error) {
			use := token
			if own, ok := ctx.Value(tokenKey{}).(string); ok {
				use = own
			}
			if info, ok := connect.CallInfoForClientContext(ctx); ok && use != "" {
				info.RequestHeader().Set("Authorization", "Bearer "+use)
			}
			return next(ctx, spec)
		}
	}
}

// traced sends the span of the context, so that the server's goes below it.
func traced(next connect.ClientFunc) connect.ClientFunc {
	return func(ctx context.Context, spec connect.Spec) (connect.ClientStream, error) {
		if info, ok := connect.CallInfoForClientContext(ctx); ok && trace.SpanContextFromContext(ctx).IsSampled() {
			carrier := propagation.MapCarrier{}
			propagation.TraceContext{}.Inject(ctx, carrier)
			for name, value := range carrier {
				info.RequestHeader().Set(name, value)
			}
		}
		return next(ctx, spec)
	}
}

// bounded gives a deadline to unary calls that have none: no wait is unbounded.
func bounded(next connect.ClientFunc) connect.ClientFunc {
	return func(ctx context.Context, spec connect.Spec) (connect.ClientStream, error) {
		if _, has := ctx.Deadline(); has || spec.StreamType != connect.StreamTypeUnary {
			return next(ctx, spec)
		}
		ctx, cancel := context.WithTimeout(ctx, clientDeadline)
		stream, err := next(ctx, spec)
		if err != nil {
			cancel()
			return nil, err
		}
		return &cancelOnClose{ClientStream: stream, cancel: cancel}, nil
	}
}

type cancelOnClose struct {
	connect.ClientStream

	cancel context.CancelFunc
}

func (s *cancelOnClose) Close() error {
	defer s.cancel()
	return s.ClientStream.Close()
}
