package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric/noop"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// What a customer might write anywhere.
const (
	card = "4242424242424242"
	mail = "ada.lovelace@example.org"
	name = "Augusta Ada King"
)

func logger(out io.Writer, own ...string) *slog.Logger {
	keys := map[string]string{}
	for _, k := range own {
		keys[k] = "of the test"
	}
	return slog.New(discreet{slog.NewJSONHandler(out, nil), allowed(keys), noop.Int64Counter{}})
}

func line(t *testing.T, out *bytes.Buffer) map[string]any {
	t.Helper()
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	delete(got, "time")
	out.Reset()
	return got
}

type valuer struct{}

func (valuer) LogValue() slog.Value { return slog.StringValue(name) }

// TestUnknownKeysAreRedacted: whatever the kind of the value and wherever it
// stands, only a known key shows it.
func TestUnknownKeysAreRedacted(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := logger(&out, "order_id")
	const gone = "[redacted: unknown key]"
	log.With("recipient", name).Info("m", "order_id", "o-1", "email", mail, "card", 4242424242424242, "count", 2,
		"ship_to", struct{ Name string }{name}, "who", valuer{}, "failure", errors.New(name),
		slog.Group("request", "body", name, "limit", 3))
	want := map[string]any{
		"level": "INFO", "msg": "m", "recipient": gone, "order_id": "o-1", "email": gone, "card": gone, "count": 2.0,
		"ship_to": gone, "who": gone, "failure": gone, "request": map[string]any{"body": gone, "limit": 3.0},
	}
	if diff := cmp.Diff(want, line(t, &out)); diff != "" {
		t.Error(diff)
	}
	log.WithGroup("request").Warn("mail of "+mail, "topic", "of "+card, "body", name)
	want = map[string]any{"level": "WARN", "msg": "mail of [redacted: e-mail]", "request": map[string]any{"topic": "of [redacted: card number]", "body": gone}}
	if diff := cmp.Diff(want, line(t, &out)); diff != "" {
		t.Error(diff)
	}
}

// TestLabels: what is found out about a call stands in all lines that follow,
// also in those of whoever began it.
func TestLabels(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := logger(&out, "order_id")
	Label(t.Context(), slog.String("order_id", "nobody's")) // does nothing
	outer := WithLabels(t.Context(), slog.String("correlation_id", "c-1"))
	inner, cancel := context.WithCancel(outer)
	defer cancel()
	Label(inner, slog.String("order_id", "o-1"), slog.String("recipient", name))
	log.InfoContext(outer, "m")
	want := map[string]any{"level": "INFO", "msg": "m", "correlation_id": "c-1", "order_id": "o-1", "recipient": "[redacted: unknown key]"}
	if diff := cmp.Diff(want, line(t, &out)); diff != "" {
		t.Error(diff)
	}
	log.InfoContext(WithLabels(inner, slog.String("topic", "t")), "m", "order_id", "o-2")
	want["order_id"], want["topic"] = "o-2", "t"
	if diff := cmp.Diff(want, line(t, &out)); diff != "" {
		t.Error(diff)
	}
	log.InfoContext(t.Context(), "m")
	if diff := cmp.Diff(map[string]any{"level": "INFO", "msg": "m"}, line(t, &out)); diff != "" {
		t.Error(diff)
	}
}

// TestErrorText: errors of others that quote what they were given say what kind
// they are, wherever they hang in a tree.
func TestErrorText(t *testing.T) {
	t.Parallel()
	_, number := strconv.Atoi(name)
	_, moment := time.Parse(time.RFC3339, name)
	var into struct{ Quantity int32 }
	wrongType := json.Unmarshal([]byte(`{"Quantity": 4242424242424242}`), &into)
	duplicate := &pgconn.PgError{
		Severity: "ERROR", Code: "23505", Message: `duplicate key value violates unique constraint "k"`, Detail: "Key (name)=(" + name + ") already exists.",
		ConstraintName: "k", TableName: "orders", Where: name,
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{errors.New("the database is away"), "the database is away"},
		{fmt.Errorf("place: %w", duplicate), "place: postgres 23505, constraint k, table orders"},
		{fmt.Errorf("a: %w", errors.Join(io.EOF, &pgconn.PgError{Code: "22P02", Message: `invalid input: "` + name + `"`, ColumnName: "c"})), "a: EOF\npostgres 22P02, column c"},
		{&pgconn.PgError{Code: "57014", Message: "canceling statement due to statement timeout"}, "postgres 57014: canceling statement due to statement timeout"},
		{&pgconn.PgError{Message: name}, "postgres "},
		{fmt.Errorf("--line: %w", number), "--line: strconv.Atoi: invalid syntax"},
		{fmt.Errorf("since: %w", moment), "since: not a time of the form " + time.RFC3339},
		{fmt.Errorf("body: %w", wrongType), "body: json: field Quantity is no int32"},
		{&url.Error{Op: "Get", URL: "http://user:secret@host/path?name=" + url.QueryEscape(name), Err: io.EOF}, `Get "http://host/path": EOF`},
		{redisError("WRONGTYPE " + name), "redis: WRONGTYPE"},
		{fmt.Errorf("charged %s for %s", card, mail), "charged [redacted: card number] for [redacted: e-mail]"},
	} {
		if got := ErrorText(c.err); got != c.want {
			t.Errorf("got  %q\nwant %q", got, c.want)
		}
	}
}

type redisError string

func (e redisError) Error() string { return string(e) }
func (redisError) RedisError()     {}

func TestPanicText(t *testing.T) {
	t.Parallel()
	var nobody map[string]int
	assign := func() (p any) {
		defer func() { p = recover() }()
		nobody["a"] = 1
		return nil
	}
	for _, c := range []struct {
		value any
		want  string
	}{
		{"order of " + name, "a value of type string"},
		{struct{ Name string }{name}, "a value of type struct { Name string }"},
		{fmt.Errorf("no encoding: %w", &strconv.NumError{Func: "Atoi", Num: name, Err: strconv.ErrSyntax}), "no encoding: strconv.Atoi: invalid syntax"},
		{assign(), "assignment to entry in nil map"},
	} {
		if got := PanicText(c.value); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

// TestScrub: the net takes card numbers and addresses, and no id of ours.
func TestScrub(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"4242424242424242 declined":            "[redacted: card number] declined",
		"card 4242 4242 4242 4242.":            "card [redacted: card number].",
		"card 3782-8224-6310-005":              "card [redacted: card number]",
		"4242424242424241":                     "4242424242424241", // no check digit of a card
		"01942424-2424-7242-8424-242424242424": "01942424-2424-7242-8424-242424242424",
		"offset 123456789 of 987654321":        "offset 123456789 of 987654321",
		"to <" + mail + ">":                    "to <[redacted: e-mail]>",
		"postgres://user@db:5432/orders":       "postgres://user@db:5432/orders",
		"café @ home":                          "café @ home",
	} {
		if got := scrub(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

// TestSpansAreDiscreet: what leaves the process as a span obeys the same rule.
func TestSpansAreDiscreet(t *testing.T) {
	t.Parallel()
	kept := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(discreetSpans{kept}))
	for _, scope := range []string{"example.com/library", "example.com/ballast/pkg/stream"} {
		_, span := provider.Tracer(scope).Start(t.Context(), "work")
		span.SetAttributes(attribute.String("rpc.method", "Place"), attribute.String("order.id", "o-1"), attribute.Int("db.response.rows", 1),
			attribute.String("db.query.parameter.0", name), attribute.String("user_agent.original", mail), attribute.String("messaging.destination.name", card))
		span.RecordError(errors.New(name))
		span.SetStatus(codes.Error, "of "+card)
		span.End()
	}
	spans := kept.GetSpans()
	wantAttrs := map[attribute.Key]string{"rpc.method": "Place", "order.id": "o-1", "db.response.rows": "1", "messaging.destination.name": "[redacted: card number]"}
	for i, status := range []string{"", "of [redacted: card number]"} {
		got := map[attribute.Key]string{}
		for _, a := range spans[i].Attributes {
			got[a.Key] = a.Value.String()
		}
		if diff := cmp.Diff(wantAttrs, got); diff != "" {
			t.Error(diff)
		}
		if s := spans[i].Status; s.Code != codes.Error || s.Description != status {
			t.Errorf("status of %s: %+v", spans[i].InstrumentationScope.Name, s)
		}
		if e := spans[i].Events; len(e) != 1 || len(e[0].Attributes) != 1 || e[0].Attributes[0].Key != "exception.type" {
			t.Errorf("events: %+v", e)
		}
	}
}

// TestAFailedSpanQuotesNothing: the text of an own span is kept, so it is made of
// what an error says of itself; and what did not fail is not marked.
func TestAFailedSpanQuotesNothing(t *testing.T) {
	t.Parallel()
	kept := tracetest.NewInMemoryExporter()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSyncer(discreetSpans{kept})).Tracer("example.com/ballast/pkg/stream")
	_, number := strconv.Atoi(name)
	for _, err := range []error{fmt.Errorf("line: %w", number), nil} {
		_, span := tracer.Start(t.Context(), "work")
		Fail(span, err)
		span.End()
	}
	want := []sdktrace.Status{{Code: codes.Error, Description: "line: strconv.Atoi: invalid syntax"}, {}}
	for i, span := range kept.GetSpans() {
		if span.Status != want[i] {
			t.Errorf("%+v, want %+v", span.Status, want[i])
		}
	}
}

// TestKeysAreDescribed: a list of keys without reasons soon has every key.
func TestKeysAreDescribed(t *testing.T) {
	t.Parallel()
	for key, about := range technical() {
		if about == "" || key != strings.ToLower(key) {
			t.Errorf("key %q: %q", key, about)
		}
	}
	if !reflect.DeepEqual(allowed(nil)["order_id"], false) {
		t.Error("pkg knows a business noun")
	}
}

func BenchmarkLine(b *testing.B) {
	ctx := WithLabels(b.Context(), slog.String("order_id", "0199f0a2-6a0e-7c1b-9a5e-2f6d1c3b4a59"))
	plain := slog.New(slog.NewJSONHandler(io.Discard, nil)) //nolint:sloglint // What formatting costs is the question.
	for name, log := range map[string]*slog.Logger{"plain": plain, "discreet": logger(io.Discard, "order_id")} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				log.WarnContext(ctx, "record set aside", "error", io.EOF, "message_id", "0199f0a2-6a0e-7c1b-9a5e-2f6d1c3b4a59",
					"topic", "payments.commands", "partition", 3, "offset", int64(123456), "attempt", 1)
			}
		})
	}
}
