//go:build observability

package observability_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestCollectorKeepsWhatMatters sends traces to a real collector that runs the
// committed configuration and reads the files that it wrote.
func TestCollectorKeepsWhatMatters(t *testing.T) {
	t.Parallel()
	c := startCollector(t, "KEEP_PERCENT=20", "DECISION_WAIT=1s")
	const each, rest = 40, 1000
	kinds := map[string]string{} // by trace id
	// Fixed ids: the share of the rest is drawn by them, so it is the same each time.
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // not a secret
	var all []span
	for kind, number := range map[string]int{"error": each, "slow": each, "undone": each, "deep error": each, "ordinary": rest} {
		for range number {
			trace := fmt.Sprintf("%016x%016x", random.Uint64(), random.Uint64())
			kinds[trace] = kind
			all = append(all, spansOf(kind, trace)...)
		}
	}
	c.send(t, all)
	kept := func() map[string]int {
		numbers := map[string]int{}
		for trace := range c.traces(t) {
			numbers[kinds[trace]]++
		}
		return numbers
	}
	var got map[string]int
	eventually(t, "every trace that matters is kept", func() bool {
		got = kept()
		return got["error"] == each && got["slow"] == each && got["undone"] == each && got["deep error"] == each
	}, func() string { return fmt.Sprint(got) })
	c.stop(t)
	// Three standard deviations of 1,000 draws at 20 % are 38.
	if got = kept(); got["ordinary"] < 160 || got["ordinary"] > 240 {
		t.Errorf("kept %v: of %d ordinary ones it should be a fifth", got, rest)
	}
	for trace, spans := range c.traces(t) {
		if want := len(spansOf(kinds[trace], trace)); spans != want {
			t.Errorf("trace %s (%s) has %d spans, want all %d", trace, kinds[trace], spans, want)
		}
	}
}

// TestCollectorKeepsLateFailures: of an order that looked healthy when the collector
// decided about it, what fails later is kept.
func TestCollectorKeepsLateFailures(t *testing.T) {
	t.Parallel()
	c := startCollector(t, "KEEP_PERCENT=0", "DECISION_WAIT=1s")
	const late, other = "000000000000000000000000000000aa", "000000000000000000000000000000bb"
	// The collector remembers the last one that it dropped.
	for i, healthy := range []string{late, other} {
		c.send(t, spansOf("ordinary", healthy))
		// What was sent later and is kept says that the earlier one is decided.
		next := fmt.Sprintf("%032x", i+1)
		c.send(t, spansOf("error", next))
		eventually(t, "a decision is made", func() bool { return c.traces(t)[next] > 0 }, nil)
	}
	if spans := c.traces(t)[late]; spans != 0 {
		t.Fatalf("%d spans of a healthy trace are kept", spans)
	}
	failed := spansOf("error", late)[:1]
	failed[0].SpanID = "0000000000000003"
	c.send(t, failed)
	eventually(t, "the failure is kept", func() bool { return c.traces(t)[late] == 1 }, nil)
}

// TestCollectorSendsWhatIsTaken: many traces are decided about at once, and no batch of
// theirs comes near the 4 MiB that a server of OTLP takes by gRPC.
func TestCollectorSendsWhatIsTaken(t *testing.T) {
	t.Parallel()
	c := startCollector(t, "KEEP_PERCENT=100", "DECISION_WAIT=1s")
	const sends, each, most = 10, 1000, 2000
	for i := range sends {
		var all []span
		for j := range each {
			all = append(all, spansOf("ordinary", fmt.Sprintf("%032x", 1+i*each+j))...)
		}
		c.send(t, all)
	}
	kept := 0
	eventually(t, "all are kept", func() bool {
		kept = len(c.traces(t))
		return kept == sends*each
	}, func() string { return fmt.Sprint(kept) })
	content, err := os.ReadFile(filepath.Join(c.dir, "collector.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(content) {
		if n := bytes.Count(line, []byte(`"spanId"`)); n > most {
			t.Errorf("a batch has %d spans, want at most %d", n, most)
		}
	}
}

// span is what of OTLP's JSON the test needs.
type span struct {
	TraceID    string           `json:"traceId"`
	SpanID     string           `json:"spanId"`
	Name       string           `json:"name"`
	Start      string           `json:"startTimeUnixNano"`
	End        string           `json:"endTimeUnixNano"`
	Attributes []map[string]any `json:"attributes,omitempty"`
	Status     map[string]any   `json:"status,omitempty"`
}

// spansOf are the two spans of a trace: the call, and what followed from it.
func spansOf(kind, trace string) []span {
	begin := time.Now()
	took := 20 * time.Millisecond
	if kind == "slow" {
		took = 1200 * time.Millisecond
	}
	at := func(d time.Duration) string { return fmt.Sprint(begin.Add(d).UnixNano()) }
	call := span{TraceID: trace, SpanID: "0000000000000001", Name: "orders.v1.OrderService/PlaceOrder", Start: at(0), End: at(5 * time.Millisecond)}
	work := span{TraceID: trace, SpanID: "0000000000000002", Name: "process inventory.commands", Start: at(5 * time.Millisecond), End: at(took)}
	switch kind {
	case "error":
		call.Status = map[string]any{"code": 2}
	case "deep error":
		work.Status = map[string]any{"code": 2}
	case "undone":
		work.Attributes = []map[string]any{{"key": "cloudevents.event_type", "value": map[string]any{"stringValue": "inventory.v1.StockReleased"}}}
	}
	return []span{call, work}
}

type collector struct {
	url, dir string
	cmd      *exec.Cmd
	ended    bool
}

// startCollector fails the test when there is no collector: `make
// test-observability` puts one into PATH.
func startCollector(t *testing.T, env ...string) *collector {
	t.Helper()
	otlp, metrics := freePort(t), freePort(t)
	c := &collector{url: "http://127.0.0.1:" + otlp, dir: t.TempDir()}
	env = append(env, "OTLP_ADDR=127.0.0.1:"+otlp, "METRICS_PORT="+metrics, "TRACES_DIR="+c.dir)
	check := exec.CommandContext(t.Context(), "otelcol", "validate", "--config=collector.yaml")
	check.Env = append(os.Environ(), env...)
	if out, err := check.CombinedOutput(); err != nil {
		t.Fatalf("otelcol validate: %v\n%s", err, out)
	}
	c.cmd = exec.Command("otelcol", "--config=collector.yaml")
	c.cmd.Env, c.cmd.Stdout, c.cmd.Stderr = check.Env, t.Output(), t.Output()
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.stop(t) })
	eventually(t, "the collector is up", func() bool {
		// It shows its metrics before it listens.
		conn, err := net.Dial("tcp", "127.0.0.1:"+otlp)
		return err == nil && conn.Close() == nil
	}, nil)
	return c
}

// stop ends the collector in good order: it writes down what it holds.
func (c *collector) stop(t *testing.T) {
	t.Helper()
	if c.ended {
		return
	}
	c.ended = true
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if err := c.cmd.Wait(); err != nil {
		t.Errorf("the collector ended with %v", err)
	}
}

func (c *collector) send(t *testing.T, spans []span) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"resourceSpans": []any{map[string]any{"scopeSpans": []any{map[string]any{"spans": spans}}}}})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.url+"/v1/traces", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatal(res.Status)
	}
}

// traces are the numbers of spans in the files, by trace.
func (c *collector) traces(t *testing.T) map[string]int {
	t.Helper()
	numbers := map[string]int{}
	files, err := filepath.Glob(filepath.Join(c.dir, "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		// The last line may be under way.
		whole := string(content[:bytes.LastIndexByte(content, '\n')+1])
		for line := range strings.Lines(whole) {
			var batch struct {
				ResourceSpans []struct {
					ScopeSpans []struct {
						Spans []span `json:"spans"`
					} `json:"scopeSpans"`
				} `json:"resourceSpans"`
			}
			if err := json.Unmarshal([]byte(line), &batch); err != nil {
				t.Fatal(err)
			}
			for _, resource := range batch.ResourceSpans {
				for _, scope := range resource.ScopeSpans {
					for _, s := range scope.Spans {
						numbers[s.TraceID]++
					}
				}
			}
		}
	}
	return numbers
}

// eventually waits for what must become true within 20 seconds.
func eventually(t *testing.T, what string, ok func() bool, seen func() string) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			if seen != nil {
				what += ": " + seen()
			}
			t.Fatalf("not within 20 s: %s", what)
		case <-tick.C:
		}
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}
