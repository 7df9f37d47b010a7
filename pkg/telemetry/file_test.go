package telemetry

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

func TestTraceFilesAreBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := &traceFile{path: filepath.Join(dir, "orders.jsonl"), max: 500}
	if err := f.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		spans := []*tracepb.ResourceSpans{{ScopeSpans: []*tracepb.ScopeSpans{{Spans: []*tracepb.Span{{Name: "a"}}}}}}
		if err := f.UploadTraces(t.Context(), spans); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"orders.jsonl", "orders.old.jsonl"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > 500 || !bytes.HasSuffix(b, []byte("\n")) {
			t.Errorf("%s has %d bytes and ends with %q", name, len(b), b[len(b)-1:])
		}
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 2 {
		t.Errorf("files %v: %v", files, err)
	}
}
