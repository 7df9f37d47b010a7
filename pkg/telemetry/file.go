package telemetry

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
)

// maxTraceFile bounds a file of traces, in bytes. When it is full it takes the
// place of the one before it, <name>.old.jsonl, and a new one is begun: a process
// keeps at most two.
const maxTraceFile = 64 << 20

// traceFile writes spans as lines of OTLP JSON, as the file exporter of the
// OpenTelemetry collector does. It is an otlptrace.Client; the exporter calls it
// from one goroutine at a time.
type traceFile struct {
	path string
	max  int64
	file *os.File
	size int64
}

// Start opens the file, so that a path that can't be written is known at once.
func (f *traceFile) Start(context.Context) error { return f.open() }

// Stop closes the file.
func (f *traceFile) Stop(context.Context) error { return f.file.Close() }

// UploadTraces appends one line.
func (f *traceFile) UploadTraces(_ context.Context, spans []*tracepb.ResourceSpans) error {
	line, err := otlpJSON(&tracepb.TracesData{ResourceSpans: spans})
	if err != nil {
		return fmt.Errorf("encode spans: %w", err)
	}
	if f.size > 0 && f.size+int64(len(line)) > f.max {
		if err := f.rotate(); err != nil {
			return err
		}
	}
	n, err := f.file.Write(line)
	f.size += int64(n)
	return err
}

func (f *traceFile) open() error {
	file, err := os.OpenFile(f.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("TRACES_FILE: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		return errors.Join(fmt.Errorf("TRACES_FILE: %w", err), file.Close())
	}
	f.file, f.size = file, info.Size()
	return nil
}

func (f *traceFile) rotate() error {
	old := strings.TrimSuffix(f.path, ".jsonl") + ".old.jsonl"
	if err := errors.Join(f.file.Close(), os.Rename(f.path, old)); err != nil {
		return err
	}
	return f.open()
}

// otlpJSON is Protobuf's JSON but for two things: enums are numbers, and ids are
// in hexadecimal where Protobuf has bytes in base64.
func otlpJSON(data *tracepb.TracesData) ([]byte, error) {
	for _, r := range data.GetResourceSpans() {
		for _, s := range r.GetScopeSpans() {
			for _, span := range s.GetSpans() {
				span.TraceId, span.SpanId, span.ParentSpanId = inHex(span.TraceId), inHex(span.SpanId), inHex(span.ParentSpanId)
				for _, l := range span.GetLinks() {
					l.TraceId, l.SpanId = inHex(l.TraceId), inHex(l.SpanId)
				}
			}
		}
	}
	line, err := protojson.MarshalOptions{UseEnumNumbers: true}.Marshal(data)
	return append(line, '\n'), err
}

// inHex returns the bytes whose base64 reads as the hexadecimal of id: all of its
// digits are letters of base64 too, and 16 or 32 of them are whole groups of four.
func inHex(id []byte) []byte {
	b, err := base64.StdEncoding.DecodeString(hex.EncodeToString(id))
	if err != nil {
		return nil // An id of another length is not one of OpenTelemetry's.
	}
	return b
}
