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

// TestWhatIsTestedIsWhatIsShipped: CI builds, and tests, with the flags of the image.
func TestWhatIsTestedIsWhatIsShipped(t *testing.T) {
	t.Parallel()
	flags := func(file, keyword string) string {
		content, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		_, rest, found := strings.Cut(string(content), "\n"+keyword+" CGO_ENABLED=0 ")
		line, _, _ := strings.Cut(rest, "\n")
		if !found || !strings.HasPrefix(line, "GOFLAGS=") {
			t.Errorf("%s sets no flags of go by %s", file, keyword)
		}
		return line
	}
	if image, ci := flags("Dockerfile", "ENV"), flags(".ci/run", "export"); image != ci {
		t.Errorf("images are built with %s, CI with %s", image, ci)
	}
}
