package compose_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"

	"example.com/ballast/pkg/config"
	"example.com/ballast/pkg/service"
)

const root = "../.."

// budget is what the limits of the default profile may add up to, its jobs among them.
const budget = 2 << 30

// profiles are what a person may ask for; the last is everything at once.
var profiles = [][]string{nil, {"replicas"}, {"observability"}, {"chaos"}, {"load"}, {"tool"}, {"*"}}

func load(t *testing.T, profiles ...string) *types.Project {
	t.Helper()
	return loadFiles(t, []string{"docker-compose.yml"}, profiles...)
}

// loadFiles reads files as docker compose does: merged, interpolated, validated.
func loadFiles(t *testing.T, files []string, profiles ...string) *types.Project {
	t.Helper()
	paths := make([]string, len(files))
	for i, file := range files {
		paths[i] = filepath.Join(root, file)
	}
	options, err := cli.NewProjectOptions(paths, cli.WithProfiles(profiles))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return project
}

// TestEveryProfileIsWhole: it is valid, what it depends on is in it, and every file
// that it mounts or builds from is in the tree.
func TestEveryProfileIsWhole(t *testing.T) {
	t.Parallel()
	for _, names := range profiles {
		project := load(t, names...)
		for _, s := range project.Services {
			for name := range s.DependsOn {
				if _, ok := project.Services[name]; !ok {
					t.Errorf("profile %v: %s depends on %s, which is not in it", names, s.Name, name)
				}
			}
			for _, v := range s.Volumes {
				if v.Type != types.VolumeTypeBind {
					continue
				}
				if _, err := os.Stat(v.Source); err != nil {
					t.Errorf("%s mounts what is not there: %v", s.Name, err)
				}
				if !v.ReadOnly {
					t.Errorf("%s may write to %s of the host", s.Name, v.Source)
				}
			}
			if s.Build == nil {
				continue
			}
			if _, err := os.Stat(filepath.Join(s.Build.Context, "Dockerfile")); err != nil {
				t.Errorf("%s: %v", s.Name, err)
			}
		}
	}
}

// pinned is an image with the tag of a version. What is built here has none: it is of
// this tree.
var pinned = regexp.MustCompile(`^[a-z0-9./-]+:v?[0-9]+\.[0-9]+(\.[0-9]+)?$`)

// TestEveryServiceIsBounded: no container takes all of the memory or fills the disk
// with its logs, none is reached from another machine, none may more than it must.
func TestEveryServiceIsBounded(t *testing.T) {
	t.Parallel()
	for _, s := range load(t, "*").Services {
		require := func(ok bool, format string, args ...any) {
			if !ok {
				t.Errorf(s.Name+" "+format, args...)
			}
		}
		require(s.MemLimit > 0, "has no mem_limit")
		require(s.Logging != nil && s.Logging.Options["max-size"] != "" && s.Logging.Options["max-file"] != "", "rotates no logs")
		require(s.Restart != "", "has no restart policy")
		require(len(s.CapDrop) == 1 && s.CapDrop[0] == "ALL", "keeps capabilities")
		require(len(s.SecurityOpt) > 0 && s.SecurityOpt[0] == "no-new-privileges:true", "may gain privileges")
		// The broker's image writes its configuration into itself.
		require(s.ReadOnly || s.Name == "kafka", "writes to its root")
		require(s.Build != nil || pinned.MatchString(s.Image), "has the image %s: pin its version", s.Image)
		for _, p := range s.Ports {
			require(p.HostIP == "127.0.0.1", "publishes port %s to other machines", p.Published)
		}
		for _, m := range s.Secrets {
			require(!strings.Contains(m.Target, ".."), "puts a secret at %s", m.Target)
		}
	}
}

// unaskable are those whose image holds nothing that could ask them; nobody waits for them.
var unaskable = map[string]bool{"collector": true, "tempo": true, "loki": true}

// TestEveryServiceIsAskedHowItIs: each that stays has a health check, and whoever
// depends on one waits until it is healthy, or until a job has done its work.
func TestEveryServiceIsAskedHowItIs(t *testing.T) {
	t.Parallel()
	dockerfile, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	inImage := strings.Contains(string(dockerfile), "\nHEALTHCHECK ")
	project := load(t, "*")
	job := func(s types.ServiceConfig) bool { return s.Restart == "no" }
	asked := func(s types.ServiceConfig) bool {
		if s.HealthCheck == nil {
			return s.Build != nil && inImage
		}
		return !s.HealthCheck.Disable
	}
	for _, s := range project.Services {
		if !job(s) && !asked(s) && !unaskable[s.Name] {
			t.Errorf("nobody asks %s how it is", s.Name)
		}
		for name, d := range s.DependsOn {
			want := types.ServiceConditionHealthy
			if job(project.Services[name]) {
				want = types.ServiceConditionCompletedSuccessfully
			}
			if d.Condition != want {
				t.Errorf("%s starts when %s is %s, want %s", s.Name, name, d.Condition, want)
			}
		}
	}
}

// TestTheBudget: the limits of the default profile add up to less than 2 GiB, and what
// manages its own memory starts to save well below its limit.
func TestTheBudget(t *testing.T) {
	t.Parallel()
	var sum types.UnitBytes
	for _, s := range load(t).Services {
		sum += s.MemLimit
	}
	if sum >= budget {
		t.Errorf("the limits add up to %d MiB, want less than %d", sum>>20, budget>>20)
	}
	for _, s := range load(t, "*").Services {
		for _, own := range ownLimits(s) {
			size, err := bytesOf(own.size)
			if err != nil || size == 0 || float64(size) > own.share*float64(s.MemLimit) {
				t.Errorf("%s: %s is %s (%v), want at most %.2f of its limit, %d MiB", s.Name, own.what, own.size, err, own.share, s.MemLimit>>20)
			}
		}
	}
}

// own is a limit that a process holds itself to, and the share of the container's that it may be.
type own struct {
	what, size string
	share      float64
}

func ownLimits(s types.ServiceConfig) (limits []own) {
	if v := s.Environment["GOMEMLIMIT"]; v != nil {
		limits = append(limits, own{"GOMEMLIMIT", *v, 0.9})
	}
	if v := s.Environment["KAFKA_HEAP_OPTS"]; v != nil {
		_, size, _ := strings.Cut(*v, "-Xmx")
		limits = append(limits, own{"the heap", size, 0.65}) // the rest of a JVM is about 150 MB
	}
	for i, word := range s.Command {
		if word == "--maxmemory" {
			limits = append(limits, own{"maxmemory", s.Command[i+1], 0.5})
		}
		if size, ok := strings.CutPrefix(word, "shared_buffers="); ok {
			limits = append(limits, own{"shared_buffers", size, 0.5})
		}
	}
	return limits
}

// bytesOf reads 80MiB, 320m, 128MB and 32mb alike, as powers of two: a little more
// than some mean.
func bytesOf(size string) (types.UnitBytes, error) {
	var b types.UnitBytes
	err := b.DecodeMapstructure(strings.ReplaceAll(strings.ToLower(size), "ib", "b"))
	return b, err
}

// TestEveryClientOfKafkaSpeaksTLS: under the overlay the broker takes nothing else.
func TestEveryClientOfKafkaSpeaksTLS(t *testing.T) {
	t.Parallel()
	for _, s := range loadFiles(t, []string{"docker-compose.yml", "docker-compose.tls.yml"}, "*").Services {
		// The one tool that talks to HTTP alone has the broker's address like all tools.
		if s.Environment["KAFKA_BROKERS"] == nil || s.Name == "catalogue" {
			continue
		}
		if s.Environment["KAFKA_TLS_CA_FILE"] == nil {
			t.Errorf("%s talks to Kafka in the clear", s.Name)
		}
	}
}

// TestServicesMayDrain: docker kills later than a service gives up.
func TestServicesMayDrain(t *testing.T) {
	t.Parallel()
	defaults, err := config.Parse[service.Settings](nil)
	if err != nil {
		t.Fatal(err)
	}
	project := load(t, "*")
	for _, name := range []string{"orders", "inventory", "payments", "orders-2", "inventory-2", "payments-2"} {
		grace := time.Duration(*project.Services[name].StopGracePeriod)
		// Calls and loops have DRAIN_TIMEOUT each; closing after them takes moments.
		if least := defaults.DrainDelay + 2*defaults.DrainTimeout; grace <= least {
			t.Errorf("%s has %s to stop, want more than %s", name, grace, least)
		}
	}
}
