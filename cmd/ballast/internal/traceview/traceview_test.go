package traceview_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/ballast/cmd/ballast/internal/traceview"
)

// Files as a service writes them, twice the same, and as the collector does: with a
// span of another trace, and an end that was cut off.
const (
	trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	order = "01a202e9-70ff-76ba-82ab-4ca307c1ed2e"

	orders = `{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"orders"}}]},"scopeSpans":[{"spans":[` +
		`{"traceId":"` + trace + `","spanId":"00f067aa0ba902b7","name":"orders.v1.OrderService/PlaceOrder","kind":2,"startTimeUnixNano":"1795341600000000000","endTimeUnixNano":"1795341600008000000",` +
		`"attributes":[{"key":"order.id","value":{"stringValue":"` + order + `"}}]},` +
		`{"traceId":"` + trace + `","spanId":"00f067aa0ba902b8","parentSpanId":"00f067aa0ba902b7","name":"INSERT","kind":3,"startTimeUnixNano":"1795341600002000000","endTimeUnixNano":"1795341600003000000",` +
		`"attributes":[{"key":"db.system.name","value":{"stringValue":"postgresql"}}]},` +
		`{"traceId":"11111111111111111111111111111111","spanId":"00f067aa0ba902b9","name":"GetOrder","kind":2,"startTimeUnixNano":"1795341600002000000","endTimeUnixNano":"1795341600003000000"}]}]}]}
{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"` + trace + `"`

	collector = `{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"inventory"}}]},"scopeSpans":[{"scope":{"name":"stream"},"spans":[` +
		`{"traceId":"` + trace + `","spanId":"00f067aa0ba902c1","parentSpanId":"00f067aa0ba902b7","flags":257,"name":"process inventory.commands","kind":5,"startTimeUnixNano":"1795341600010500000","endTimeUnixNano":"1795341600012000000",` +
		`"attributes":[{"key":"stream.attempt","value":{"intValue":"1"}},{"key":"stream.broker.wait","value":{"doubleValue":0.0041}}],` +
		`"links":[{"traceId":"11111111111111111111111111111111","spanId":"00f067aa0ba902b9"}],"droppedLinksCount":2,"status":{"message":"no such product","code":2}},` +
		`{"traceId":"` + trace + `","spanId":"00f067aa0ba902c2","parentSpanId":"00000000000000aa","name":"lost","startTimeUnixNano":"1795341600020000000","endTimeUnixNano":"1795341600021000000"}]}]}]}
`
)

func files(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"orders.jsonl": orders, "orders.old.jsonl": orders, "collector.jsonl": collector} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestTree(t *testing.T) {
	t.Parallel()
	spans, err := traceview.Trace(files(t), trace)
	if err != nil {
		t.Fatal(err)
	}
	for all, want := range map[bool]string{
		false: `
    at ms     ms    service
      0.0    8.0     orders  orders.v1.OrderService/PlaceOrder  [order ` + order + `]
     10.5    1.5  inventory    process inventory.commands  [attempt 1, broker wait s 0.0041]  -> 11111111111111111111111111111111, 2 links found no room  ERROR: no such product
     20.0    1.0  inventory  lost  (its parent 00000000000000aa is in no file)
`,
		true: `INSERT`,
	} {
		var page strings.Builder
		if err := traceview.Print(&page, spans, all); err != nil {
			t.Fatal(err)
		}
		squeezed := strings.Join(strings.Fields(page.String()), " ")
		if !strings.Contains(squeezed, strings.Join(strings.Fields(want), " ")) || strings.Contains(squeezed, "INSERT") != all {
			t.Errorf("all %t:\n%s", all, page.String())
		}
	}
}

func TestTracesOfAnOrder(t *testing.T) {
	t.Parallel()
	dir := files(t)
	for value, want := range map[string][]string{order: {trace}, "another": nil} {
		got, err := traceview.TracesOf(dir, value)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", value, diff)
		}
	}
}
