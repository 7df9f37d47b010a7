// Package traceview reads spans from files of OTLP JSON lines, as the services
// (TRACES_FILE) and the collector's file exporter write them, and shows a trace
// as a tree.
package traceview

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
)

// Span is one span of a file.
type Span struct {
	TraceID string `json:"traceId"`
	SpanID  string `json:"spanId"`
	// Parent is the id of the span above; empty for a root.
	Parent  string    `json:"parentSpanId,omitempty"`
	Service string    `json:"service"`
	Name    string    `json:"name"`
	Kind    string    `json:"kind"` // server, client, producer, consumer or internal
	Start   time.Time `json:"start"`
	// Duration in nanoseconds.
	Duration time.Duration `json:"durationNanos"`
	// Error is the description of a status of that kind.
	Error      string            `json:"error,omitempty"`
	Attributes map[string]string `json:"attributes,omitempty"`
	Links      []Link            `json:"links,omitempty"`
	// DroppedLinks counts the links that found no room.
	DroppedLinks uint32 `json:"droppedLinks,omitempty"`
}

// Link is what a span points to beside its parent.
type Link struct {
	TraceID string `json:"traceId"`
	SpanID  string `json:"spanId"`
}

// Trace returns the spans of one trace in the files of a directory, each once, in
// the order in which they began.
func Trace(dir, id string) ([]Span, error) {
	return read(dir, id, func(s *Span) bool { return s.TraceID == id })
}

// TracesOf returns the ids of the traces that have a span with this value of an
// attribute, such as an order's id, oldest first.
func TracesOf(dir, value string) ([]string, error) {
	spans, err := read(dir, value, func(s *Span) bool {
		for _, v := range s.Attributes {
			if v == value {
				return true
			}
		}
		return false
	})
	var ids []string
	for _, s := range spans {
		if !slices.Contains(ids, s.TraceID) {
			ids = append(ids, s.TraceID)
		}
	}
	return ids, err
}

// read decodes the lines in which the text occurs: most are about other traces.
func read(dir, text string, keep func(*Span) bool) ([]Span, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil {
		return nil, fmt.Errorf("files of traces: %w", err)
	}
	var spans []Span
	seen := map[string]bool{} // A service and the collector may both have written it.
	for _, file := range files {
		err := eachLine(file, func(line []byte) {
			if !bytes.Contains(line, []byte(text)) {
				return
			}
			var data tracepb.TracesData
			if (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(line, &data) != nil {
				return // The last line of a process that was killed.
			}
			for s := range each(&data) {
				if keep(&s) && !seen[s.SpanID] {
					seen[s.SpanID] = true
					spans = append(spans, s)
				}
			}
		})
		if err != nil {
			return nil, fmt.Errorf("read traces: %w", err)
		}
	}
	slices.SortStableFunc(spans, func(a, b Span) int { return a.Start.Compare(b.Start) })
	return spans, nil
}

func eachLine(file string, do func([]byte)) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 1<<20)
	for {
		line, err := r.ReadBytes('\n')
		do(line)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func each(data *tracepb.TracesData) func(func(Span) bool) {
	return func(yield func(Span) bool) {
		for _, r := range data.GetResourceSpans() {
			service := attributes(r.GetResource().GetAttributes())["service.name"]
			for _, scope := range r.GetScopeSpans() {
				for _, s := range scope.GetSpans() {
					if !yield(spanOf(service, s)) {
						return
					}
				}
			}
		}
	}
}

func spanOf(service string, s *tracepb.Span) Span {
	start := time.Unix(0, int64(s.GetStartTimeUnixNano())) //nolint:gosec // until the year 2262
	span := Span{
		TraceID: digits(s.GetTraceId()), SpanID: digits(s.GetSpanId()), Parent: digits(s.GetParentSpanId()),
		Service: service, Name: s.GetName(), Kind: kind(s.GetKind()), Start: start,
		Duration:   time.Duration(s.GetEndTimeUnixNano() - s.GetStartTimeUnixNano()), //nolint:gosec // short
		Attributes: attributes(s.GetAttributes()), DroppedLinks: s.GetDroppedLinksCount(),
	}
	if s.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR {
		span.Error = "error"
		if m := s.GetStatus().GetMessage(); m != "" {
			span.Error = m
		}
	}
	for _, l := range s.GetLinks() {
		span.Links = append(span.Links, Link{TraceID: digits(l.GetTraceId()), SpanID: digits(l.GetSpanId())})
	}
	return span
}

// digits undoes what Protobuf's JSON made of an id: OTLP has it in hexadecimal
// where Protobuf reads base64.
func digits(id []byte) string { return base64.StdEncoding.EncodeToString(id) }

func kind(k tracepb.Span_SpanKind) string {
	switch k {
	case tracepb.Span_SPAN_KIND_SERVER:
		return "server"
	case tracepb.Span_SPAN_KIND_CLIENT:
		return "client"
	case tracepb.Span_SPAN_KIND_PRODUCER:
		return "producer"
	case tracepb.Span_SPAN_KIND_CONSUMER:
		return "consumer"
	default:
		return "internal"
	}
}

func attributes(list []*commonpb.KeyValue) map[string]string {
	values := make(map[string]string, len(list))
	for _, kv := range list {
		switch v := kv.GetValue().GetValue().(type) {
		case *commonpb.AnyValue_StringValue:
			values[kv.GetKey()] = v.StringValue
		case *commonpb.AnyValue_IntValue:
			values[kv.GetKey()] = fmt.Sprint(v.IntValue)
		case *commonpb.AnyValue_DoubleValue:
			values[kv.GetKey()] = fmt.Sprintf("%.4g", v.DoubleValue)
		case *commonpb.AnyValue_BoolValue:
			values[kv.GetKey()] = fmt.Sprint(v.BoolValue)
		}
	}
	return values
}
