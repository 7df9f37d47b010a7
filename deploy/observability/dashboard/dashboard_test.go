package dashboard

import (
	"encoding/json"
	"maps"
	"net/url"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"go.yaml.in/yaml/v3"

	"example.com/ballast/deploy/observability"
	"example.com/ballast/deploy/observability/registry"
)

func meanings(t *testing.T) *Meanings {
	t.Helper()
	r, err := registry.Load()
	if err != nil {
		t.Fatal(err)
	}
	m, err := NewMeanings(r)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func generated(t *testing.T) map[string][]byte {
	t.Helper()
	files, err := Generate(meanings(t))
	if err != nil {
		t.Fatal(err)
	}
	maps.DeleteFunc(files, func(name string, _ []byte) bool { return path.Ext(name) != ".json" })
	return files
}

func TestTheSameInputMakesTheSameBytes(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(generated(t), generated(t)); diff != "" {
		t.Error(diff)
	}
}

// TestGrafanaTakesThem reads the files with Grafana's own schema, where a field that
// is missing, has another type or is unknown is an error.
func TestGrafanaTakesThem(t *testing.T) {
	t.Parallel()
	plugins.RegisterDefaultPlugins()
	for file, content := range generated(t) {
		var d dashboard.Dashboard
		if err := d.UnmarshalJSONStrict(content); err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if err := d.Validate(); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if d.Uid == nil || *d.Uid+".json" != path.Base(file) || d.SchemaVersion < 39 {
			t.Errorf("%s: uid %v, schema %d", file, d.Uid, d.SchemaVersion)
		}
	}
}

// panelJSON is what a person, or Grafana, needs of a panel.
type panelJSON struct {
	ID                       int
	Type, Title, Description string
	Datasource               struct{ Type, UID string }
	GridPos                  struct{ H, W, X, Y int }
	Targets                  []struct{ RefID, Expr, LegendFormat, Format string }
	FieldConfig              struct{ Defaults struct{ Unit string } }
}

func TestEveryPanel(t *testing.T) {
	t.Parallel()
	for file, content := range generated(t) {
		var d struct{ Panels []panelJSON }
		if err := json.Unmarshal(content, &d); err != nil {
			t.Fatal(err)
		}
		if len(d.Panels) < 8 || d.Panels[0].Type != "text" || d.Panels[0].GridPos.Y != 0 {
			t.Errorf("%s: does not begin with what it answers", file)
		}
		ids, cells := map[int]string{}, map[[2]int]string{}
		for _, p := range d.Panels {
			refuse := func(ok bool, why string) {
				if !ok {
					t.Errorf("%s: %q: %s", file, p.Title, why)
				}
			}
			refuse(p.ID > 0 && ids[p.ID] == "", "has the id of "+ids[p.ID])
			ids[p.ID] = p.Title
			refuse(p.Title != "", "no title")
			for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
				for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
					refuse(cells[[2]int{x, y}] == "" && x < 24, "lies on "+cells[[2]int{x, y}])
					cells[[2]int{x, y}] = p.Title
				}
			}
			if p.Type != "row" && p.Type != "text" {
				checkTargets(refuse, p)
			}
		}
	}
}

func checkTargets(refuse func(bool, string), p panelJSON) {
	refuse(strings.HasSuffix(p.Description, "."), "no description")
	refuse(p.FieldConfig.Defaults.Unit != "", "no unit")
	refuse(p.Datasource.Type == "prometheus" && p.Datasource.UID == "${datasource}", "another datasource than the one chosen")
	refuse(len(p.Targets) > 0, "no query")
	names := map[string]bool{}
	for _, target := range p.Targets {
		refuse(target.Format == "table" || target.LegendFormat != "", "a query without a legend")
		refuse(!names[target.RefID] && !names[target.LegendFormat], "two queries with one name")
		names[target.RefID], names[target.LegendFormat] = true, true
		// A legend with a label that the query has not kept is an empty word.
		for _, label := range regexp.MustCompile(`{{(\w+)}}`).FindAllStringSubmatch(target.LegendFormat, -1) {
			kept := regexp.MustCompile(`by \([^)]*\b`+label[1]+`\b[^)]*\)`).MatchString(target.Expr) || label[1] == "slo"
			refuse(kept, "the legend's "+label[1]+" is not in the result")
		}
	}
}

// TestLinksLeadSomewhere follows every link to a dashboard, those of alerts too.
func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	files := generated(t)
	there := func(from, name string) {
		if _, ok := files[path.Join(Directory, name+".json")]; !ok && !strings.Contains(name, "$") {
			t.Errorf("%s: there is no dashboard %q", from, name)
		}
	}
	for file, content := range files {
		for _, link := range regexp.MustCompile(`"/d/([^?"]+)`).FindAllSubmatch(content, -1) {
			there(file, string(link[1]))
		}
	}
	m := meanings(t)
	suffix := regexp.MustCompile(`^(.*?)(Fast|Slow)?$`) // As in the table of firing alerts.
	for _, r := range m.rules {
		if r.Alert == "" {
			continue
		}
		there(r.Alert, path.Base(r.Annotations["dashboard_url"]))
		if want, got := r.Annotations["runbook_url"], runbooks(m.rules)+suffix.ReplaceAllString(r.Alert, "$1")+".md"; want != got {
			t.Errorf("%s: the overview links to %s, the alert to %s", r.Alert, got, want)
		}
	}
}

func TestWhatNobodyWritesIsRefused(t *testing.T) {
	t.Parallel()
	m := meanings(t)
	for expr, want := range map[string]string{
		`sum(rate(stream_lagg[$__rate_interval]))`:    "no metric of the registry is called \"stream_lagg\"",
		`stream_lag{consumer="orders"}`:               "stream.lag has no label consumer",
		`stream_process_seconds_count{outcome="ok"}`:  "no value of outcome is ok",
		`rate(stream_lag)`:                            "expected type range vector",
		`slo:error_budget:left`:                       "no rule records it",
		`stream_lag{job=~"$service"} or on (job) upp`: "called \"upp\"",
	} {
		if _, _, err := m.explain(expr); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", expr, err, want)
		}
	}
}

// TestARenamedMetricIsMissed renames one in the list, and nowhere else.
func TestARenamedMetricIsMissed(t *testing.T) {
	t.Parallel()
	list, err := observability.Files.ReadFile("metrics.yaml")
	if err != nil {
		t.Fatal(err)
	}
	renamed, err := registry.Parse([]byte(strings.Replace(string(list), "name: stream.lag\n", "name: stream.backlog\n", 1)))
	if err != nil {
		t.Fatal(err)
	}
	m := meanings(t)
	m.metrics = renamed
	if _, err := Generate(m); err == nil || !strings.Contains(err.Error(), "stream_lag") {
		t.Errorf("generated without stream_lag: %v", err)
	}
}

func TestUnitsFollowFromExpressions(t *testing.T) {
	t.Parallel()
	m := meanings(t)
	for expr, want := range map[string]string{
		"stream_lag": "short", "outbox_age_seconds": "s", "max(cache_redis_memory_bytes)": "bytes",
		"rate(kafka_produced_bytes_total[1m])":                      "Bps",
		"sum(rate(process_cpu_seconds_total[1m]))":                  "percentunit",
		quantile(.99, "stream_broker_wait_seconds", "", "group"):    "s",
		mean("stream_broker_wait_seconds", "", "group"):             "s",
		buckets("stream_broker_wait_seconds", ""):                   "short",
		"cache_redis_memory_bytes / cache_redis_memory_limit_bytes": "percentunit",
		"sum(rate(pg_statements_total[1m])) / " + confirmed:         "short",
		"sum(rate(kafka_produced_bytes_total[1m])) / " + confirmed:  "bytes",
		"sum(rate(process_cpu_seconds_total[1m])) / " + confirmed:   "s",
		"slo:error_budget:remaining_ratio":                          "percentunit",
		`count by (job) (build_info)`:                               "short",
		"time() - process_start_time_seconds":                       "s",
		"rate(shed_calls_total[1m])":                                "reqps",
		"rate(outbox_published_total[1m]) > 5":                      "mps",
		"(sum(payments_open) or vector(0)) * 2":                     "short",
		"1 - slo:errors:ratio_rate5m":                               "percentunit",
		"increase(cache_redis_evictions[5m])":                       "short",
	} {
		if got, _, err := m.explain(expr); err != nil || got != want {
			t.Errorf("%s is in %s, want %s (%v)", expr, got, want, err)
		}
	}
}

// TestProvisioning holds the names together that Grafana is given and that links use.
func TestProvisioning(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../grafana/provisioning/datasources/ballast.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Datasources []struct {
			UID      string `yaml:"uid"`
			JSONData struct {
				Exemplars []struct {
					DatasourceUID string `yaml:"datasourceUid"`
				} `yaml:"exemplarTraceIdDestinations"`
			} `yaml:"jsonData"`
		} `yaml:"datasources"`
	}
	if err := yaml.Unmarshal(content, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Datasources) != 2 {
		t.Fatalf("%d datasources, want metrics and traces", len(file.Datasources))
	}
	uid := file.Datasources[1].UID
	if to := file.Datasources[0].JSONData.Exemplars; len(to) != 1 || to[0].DatasourceUID != uid {
		t.Errorf("exemplars lead to %v, want %s", to, uid)
	}
	if link, err := url.QueryUnescape(traces()); err != nil || !strings.Contains(link, `"datasource":"`+uid+`"`) {
		t.Errorf("the link to traces does not ask %s: %s", uid, link)
	}
}
