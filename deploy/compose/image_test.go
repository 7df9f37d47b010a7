package compose_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
)

// declared are the volumes that images say they have. Docker makes one without a name
// for each that nothing is mounted at, and `docker compose down` leaves it behind.
var declared = map[string][]string{
	"apache/kafka":    {"/etc/kafka/secrets", "/mnt/shared/config", "/var/lib/kafka/data"},
	"postgres":        {"/var/lib/postgresql"},
	"prom/prometheus": {"/prometheus"},
	"redis":           {"/data"},
}

// TestNoVolumeIsWithoutAName: what an image declares as a volume is a named one here, or
// in memory.
func TestNoVolumeIsWithoutAName(t *testing.T) {
	t.Parallel()
	for _, s := range load(t, "*").Services {
		image, _, _ := strings.Cut(s.Image, ":")
		for _, dir := range declared[image] {
			named := slices.ContainsFunc(s.Volumes, func(v types.ServiceVolumeConfig) bool { return v.Target == dir && v.Source != "" })
			if !named && !slices.Contains(s.Tmpfs, dir) {
				t.Errorf("%s leaves a volume without a name at %s", s.Name, dir)
			}
		}
	}
}

// TestEachImageIsBuiltOnce: the script builds one service of each image. Docker gives an
// image that is built twice two digests, and makes containers of the first anew.
func TestEachImageIsBuiltOnce(t *testing.T) {
	t.Parallel()
	script, err := os.ReadFile(filepath.Join(root, "scripts/compose.sh"))
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^ *docker compose build (.+)$`).FindStringSubmatch(string(script))
	if line == nil {
		t.Fatal("scripts/compose.sh builds no service by its name")
	}
	project := load(t, "*")
	built := map[string]int{}
	for _, name := range strings.Fields(line[1]) {
		built[project.Services[name].Image]++
	}
	for _, s := range project.Services {
		if s.Build == nil {
			continue
		}
		if n := built[s.Image]; n != 1 {
			t.Errorf("%s has an image that is built %d times: %s", s.Name, n, s.Image)
		}
		if s.PullPolicy != types.PullPolicyNever {
			t.Errorf("%s may take %s from a registry, whoever has that name there", s.Name, s.Image)
		}
	}
}
