package compose_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
)

// viewers are what the profile adds.
var viewers = []string{"collector", "prometheus", "tempo", "loki", "grafana"}

// told is all that a service is given: environment, ports, and the files that it mounts,
// of a directory those in it and not below.
func told(t *testing.T, s types.ServiceConfig) string {
	t.Helper()
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(s.Environment)) {
		if v := s.Environment[name]; v != nil {
			fmt.Fprintf(&text, "%s=%s\n", name, *v)
		}
	}
	for _, p := range s.Ports {
		fmt.Fprintf(&text, "port %d\n", p.Target)
	}
	for _, v := range s.Volumes {
		if v.Type != types.VolumeTypeBind {
			continue
		}
		files, err := filepath.Glob(filepath.Join(v.Source, "*.json"))
		if err != nil {
			t.Fatal(err)
		}
		if len(files) == 0 {
			files = []string{v.Source}
		}
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			text.Write(b)
		}
	}
	return text.String()
}

// TestViewersFindEachOther: whoever is asked in another container is in the profile, and
// is told of that port by its own configuration.
func TestViewersFindEachOther(t *testing.T) {
	t.Parallel()
	project := load(t, "observability")
	address := regexp.MustCompile(`\b([a-z]+):(\d{4})\b`)
	found := make(map[string]bool)
	for _, name := range viewers {
		for _, m := range address.FindAllStringSubmatch(told(t, project.Services[name]), -1) {
			host, port := m[1], m[2]
			if host == "localhost" { // a link for a person, in the text of an alert
				continue
			}
			s, ok := project.Services[host]
			if !ok {
				t.Errorf("%s asks %s, which is not there", name, m[0])
				continue
			}
			if !regexp.MustCompile(`\b` + port + `\b`).MatchString(told(t, s)) {
				t.Errorf("%s asks %s, and nothing tells %s of that port", name, m[0], host)
			}
			found[m[0]] = true
		}
	}
	for _, want := range []string{"tempo:4317", "tempo:3200", "loki:3100", "collector:8888", "prometheus:9090"} {
		if !found[want] {
			t.Errorf("nobody asks %s", want)
		}
	}
}

// TestDataSourcesLinkToEachOther: an exemplar and a line lead to traces, a span to lines,
// each by the name of a source that there is. Panels take the Prometheus that there is.
func TestDataSourcesLinkToEachOther(t *testing.T) {
	t.Parallel()
	text := told(t, load(t, "observability").Services["grafana"])
	sources := make(map[string]bool)
	for _, m := range regexp.MustCompile(`(?m)^    uid: (\S+)$`).FindAllStringSubmatch(text, -1) {
		sources[m[1]] = true
	}
	used := make(map[string]bool)
	for _, m := range regexp.MustCompile(`datasourceUid: (\w+)`).FindAllStringSubmatch(text, -1) {
		used[m[1]] = true
	}
	for uid := range used {
		if !sources[uid] {
			t.Errorf("something leads to the data source %q, and there are %v", uid, slices.Sorted(maps.Keys(sources)))
		}
	}
	for _, uid := range []string{"tempo", "loki"} {
		if !used[uid] {
			t.Errorf("nothing leads to %s", uid)
		}
	}
}
