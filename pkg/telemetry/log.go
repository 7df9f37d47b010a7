package telemetry

import (
	"context"
	"log/slog"
	"sync"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// discreet is what every line passes first: it adds the labels of the context,
// and lets out the values of known keys alone. The list is one of what is
// allowed, because nobody can list what customers write into their fields.
type discreet struct {
	slog.Handler

	keys       map[string]bool
	redactions metric.Int64Counter
}

func (h discreet) Handle(ctx context.Context, r slog.Record) error {
	clean := slog.NewRecord(r.Time, r.Level, scrub(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(h.clean(ctx, a))
		return true
	})
	for _, a := range labelsOf(ctx) {
		if !has(r, a.Key) { // A line that names its order itself does so once.
			clean.AddAttrs(h.clean(ctx, a))
		}
	}
	return h.Handler.Handle(ctx, clean)
}

func has(r slog.Record, key string) (found bool) {
	r.Attrs(func(a slog.Attr) bool {
		found = found || a.Key == key
		return !found
	})
	return found
}

func (h discreet) WithAttrs(attrs []slog.Attr) slog.Handler {
	clean := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		clean[i] = h.clean(context.TODO(), a) //nolint:forbidigo // slog gives none, and it is for a counter.
	}
	h.Handler = h.Handler.WithAttrs(clean)
	return h
}

func (h discreet) WithGroup(name string) slog.Handler {
	h.Handler = h.Handler.WithGroup(name)
	return h
}

// clean returns the attribute as it may be seen. The key stays: it is a word of
// the code, and says where to look.
func (h discreet) clean(ctx context.Context, a slog.Attr) slog.Attr {
	a.Value = a.Value.Resolve()
	switch kind := a.Value.Kind(); {
	case kind == slog.KindGroup:
		members := a.Value.Group()
		clean := make([]slog.Attr, len(members))
		for i, m := range members {
			clean[i] = h.clean(ctx, m)
		}
		return slog.Attr{Key: a.Key, Value: slog.GroupValue(clean...)}
	case !h.keys[a.Key]:
		h.redactions.Add(ctx, 1)
		return slog.String(a.Key, "[redacted: unknown key]")
	case kind == slog.KindString:
		a.Value = slog.StringValue(scrub(a.Value.String()))
	case kind == slog.KindAny:
		if err, ok := a.Value.Any().(error); ok {
			a.Value = slog.StringValue(ErrorText(err))
		}
	}
	return a
}

// labels are what is known about the work that a context belongs to. They are
// filled in on the way: which order a call is about is found out after the line
// that reports its failure was already sure to need it.
type labels struct {
	mu    sync.Mutex
	attrs []slog.Attr
}

type labelsKey struct{}

// WithLabels returns a context whose log lines carry attrs, those that it had,
// and what Label adds later. It is for the edges: a call, a message, a payment.
func WithLabels(ctx context.Context, attrs ...slog.Attr) context.Context {
	return context.WithValue(ctx, labelsKey{}, &labels{attrs: append(labelsOf(ctx), attrs...)})
}

// Label adds to the labels of the context's work. Without WithLabels it does
// nothing.
func Label(ctx context.Context, attrs ...slog.Attr) {
	if l, ok := ctx.Value(labelsKey{}).(*labels); ok {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.attrs = append(l.attrs, attrs...)
	}
}

func labelsOf(ctx context.Context) []slog.Attr {
	l, ok := ctx.Value(labelsKey{}).(*labels)
	if !ok {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.attrs[:len(l.attrs):len(l.attrs)] // Who appends makes a copy.
}

// withTrace adds the context's trace and span to every line, so that a line
// leads to its trace and a trace to its lines.
type withTrace struct{ slog.Handler }

func (h withTrace) Handle(ctx context.Context, r slog.Record) error {
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		r = r.Clone()
		r.AddAttrs(slog.String("trace_id", span.TraceID().String()), slog.String("span_id", span.SpanID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

func (h withTrace) WithAttrs(attrs []slog.Attr) slog.Handler {
	return withTrace{h.Handler.WithAttrs(attrs)}
}

func (h withTrace) WithGroup(name string) slog.Handler {
	return withTrace{h.Handler.WithGroup(name)}
}

// atLeast drops what is below a level. The OpenTelemetry handler has no level
// of its own and would export debug lines that the output does not show.
type atLeast struct {
	level slog.Leveler
	slog.Handler
}

func (h atLeast) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= h.level.Level() && h.Handler.Enabled(ctx, l)
}

func (h atLeast) WithAttrs(attrs []slog.Attr) slog.Handler {
	return atLeast{h.level, h.Handler.WithAttrs(attrs)}
}

func (h atLeast) WithGroup(name string) slog.Handler {
	return atLeast{h.level, h.Handler.WithGroup(name)}
}
