package service_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/ballast/pkg/service"
)

// A limit changes in a running service when the flags' file does, and the admin
// listener says so.
func TestFlagsChangeWithoutARestart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "flags.json")
	r := start(t, service.Settings{FlagsFile: path}, func(context.Context, *service.Host) error { return nil })
	limit := func() float64 { return r.host.Flags.Number(t.Context(), "orders.fault-rpc-latency-ms", 5, "") }
	if got := limit(); got != 5 {
		t.Fatalf("%v without a file, want the setting", got)
	}
	if err := os.WriteFile(path, []byte(`{"orders.fault-rpc-latency-ms": {"value": 9}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); limit() != 9; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the change did not arrive")
		}
	}
	code, body := r.get(t, r.host.AdminAddr(), "/flags")
	if code != 200 || !strings.Contains(body, `"orders.fault-rpc-latency-ms":{"value":9}`) {
		t.Errorf("%d %s", code, body)
	}
	r.stop()
	if err := receive(t, r.done); err != nil {
		t.Error(err)
	}
}
