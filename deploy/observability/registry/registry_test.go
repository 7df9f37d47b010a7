package registry_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/ballast/deploy/observability/registry"
)

// TestTheListIsSound: what is in the binary can be loaded.
func TestTheListIsSound(t *testing.T) {
	t.Parallel()
	if _, err := registry.Load(); err != nil {
		t.Fatal(err)
	}
}

// TestPrometheusNames: they are what the exporter serves.
func TestPrometheusNames(t *testing.T) {
	t.Parallel()
	r, err := registry.Load()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]string{
		"stream.broker.wait":  {"stream_broker_wait_seconds_bucket", "stream_broker_wait_seconds_sum", "stream_broker_wait_seconds_count"},
		"stream.dead.letters": {"stream_dead_letters_total"}, "shed.pressure": {"shed_pressure_ratio"},
		"cache.redis.memory": {"cache_redis_memory_bytes"}, "go.memory.used": {"go_memory_used_bytes"},
		"process_cpu_seconds_total": {"process_cpu_seconds_total"}, "up": {"up"}, "alerts": {"ALERTS"},
	} {
		e, ok := r.Find(name)
		if !ok {
			t.Errorf("%s is not there", name)
			continue
		}
		if d := cmp.Diff(want, e.Series()); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		for _, series := range want {
			if found, ok := r.Prometheus(series); !ok || found.Name != name {
				t.Errorf("%s is found as %q", series, found.Name)
			}
		}
	}
	if _, ok := r.Prometheus("stream_broker_wait_seconds"); ok {
		t.Error("a histogram has no series of its bare name")
	}
}

// TestRefused: an error names the entry and what is wrong with it.
func TestRefused(t *testing.T) {
	t.Parallel()
	const good = "name: a.b, owner: pkg/a, instrument: counter, unit: s, about: Is there."
	for name, c := range map[string]struct{ entries, want string }{
		"good":               {"- {" + good + "}", ""},
		"twice":              {"- {" + good + "}\n- {" + good + "}", "a.b: is there twice"},
		"one name there":     {"- {" + good + "}\n- {" + strings.Replace(good, "a.b", "a_b", 1) + "}", "a_b: Prometheus calls it a_b_seconds_total, as it does a.b"},
		"capitals":           {"- {" + strings.Replace(good, "a.b", "a.B", 1) + "}", "a.B: the name is not lower-case"},
		"unknown unit":       {"- {" + strings.Replace(good, "unit: s", "unit: ms", 1) + "}", `a.b: unit "ms" is none of`},
		"no unit":            {"- {name: a.b, owner: pkg/a, instrument: counter, about: Is there.}", `a.b: unit "" is none of`},
		"no owner":           {"- {name: a.b, instrument: counter, unit: s, about: Is there.}", "a.b: owner is missing"},
		"not about anything": {"- {name: a.b, owner: pkg/a, instrument: counter, unit: s}", "a.b: about is missing"},
		"unknown instrument": {"- {" + strings.Replace(good, "counter", "meter", 1) + "}", `a.b: instrument "meter" is none of`},
		"unknown field":      {"- {" + good + ", colour: red}", "field colour not found"},
		"not explained":      {"- {" + good + ", limit: 3, attributes: {topic: }}", "a.b: attribute topic is not explained"},
		"no bound":           {"- {" + good + ", attributes: {topic: of the record}}", "a.b: attribute topic has no bound"},
		"bound by values":    {"- {" + good + ", attributes: {outcome: {about: how it ended, values: [ok, error]}}}", ""},
		"an identity":        {"- {" + good + ", limit: 3, attributes: {order.id: of the order}}", "a.b: attribute order.id is an identity"},
		"no buckets":         {"- {" + strings.Replace(good, "counter", "histogram", 1) + "}", "a.b: buckets are missing"},
		"buckets of nothing": {"- {" + good + ", buckets: [1]}", "a.b: a counter has no buckets"},
		"buckets go down":    {"- {" + strings.Replace(good, "counter", "histogram", 1) + ", buckets: [1, 3, 2]}", "a.b: bucket 2 is not above 3"},
		"derived":            {"- {" + good + ", prometheus: ab}", "a.b: prometheus is for external metrics"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := registry.Parse([]byte("metrics:\n" + c.entries))
			if c.want == "" && err != nil {
				t.Error(err)
			}
			if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("want %q: %v", c.want, err)
			}
		})
	}
}

// TestBound: what is listed multiplies, a limit takes its place.
func TestBound(t *testing.T) {
	t.Parallel()
	r, err := registry.Load()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"shed.limit": 1, "shed.calls": 8, "stream.lag": 400} {
		if e, _ := r.Find(name); e.Bound() != want {
			t.Errorf("%s may have %d series, want %d", name, e.Bound(), want)
		}
	}
}
