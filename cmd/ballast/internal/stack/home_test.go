package stack

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSecretStays(t *testing.T) {
	t.Parallel()
	home := Home(t.TempDir())
	if err := home.prepare(); err != nil {
		t.Fatal(err)
	}
	first, err := home.Secret("x")
	if err != nil {
		t.Fatal(err)
	}
	second, err := home.Secret("x")
	if err != nil || second != first || len(first) < 20 {
		t.Errorf("got %q after %q, %v", second, first, err)
	}
	info, err := os.Stat(home.Path("secrets", "x"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestTokenNeedsAStack(t *testing.T) {
	t.Parallel()
	home := Home(t.TempDir())
	if _, err := home.Signer(); !errors.Is(err, ErrNoStack) {
		t.Errorf("got %v", err)
	}
	if err := home.prepare(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // The second time the keys are there.
		if err := home.makeKeys(); err != nil {
			t.Fatal(err)
		}
	}
	signer, err := home.Signer()
	if err != nil {
		t.Fatal(err)
	}
	token, err := signer.Token("ada", false)
	if err != nil || strings.Count(token, ".") != 2 {
		t.Errorf("got %q, %v", token, err)
	}
}

func TestLogIsCapped(t *testing.T) {
	t.Parallel()
	file := Home(t.TempDir()).Path("x.log")
	log, err := openLog(file)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	for range 3 {
		if _, err := log.WriteString("0123456789\n"); err != nil {
			t.Fatal(err)
		}
		if err := capLog(file, 15); err != nil {
			t.Fatal(err)
		}
	}
	now, _ := readFile(file)
	old, _ := readFile(file + ".1")
	if diff := cmp.Diff([]string{"0123456789", "0123456789\n0123456789"}, []string{now, old}); diff != "" {
		t.Error(diff)
	}
	if got := tail(file+".1", 1); got != "    0123456789" {
		t.Errorf("tail: %q", got)
	}
}

func TestLayoutGivesEveryPortOnce(t *testing.T) {
	t.Parallel()
	l := Layout{8080}
	ports := []int{l.Provider(), l.ProviderAdmin(), l.Postgres(), l.Kafka(), l.KafkaController()}
	for i := range services {
		ports = append(ports, l.Redis(i))
		for r := range MaxReplicas {
			ports = append(ports, l.Service(i, r), l.Admin(i, r))
		}
	}
	ports = append(ports, l.Toxiproxy())
	for i := range proxied {
		ports = append(ports, l.Proxy(i))
	}
	slices.Sort(ports)
	want := []int{
		8080, 8081, 8082, 8083, 8084, 8085, 8086, 8087, 8088, 8090,
		8100, 8101, 8102, 8103, 8104, 8105, 8106, 8107, 8108, 8110,
		8120, 8121, 8122, 8123, 8124, 8125,
		8130, 8131, 8132, 8133, 8134, 8135, 8136, 8137, 8138,
	}
	if diff := cmp.Diff(want, ports); diff != "" {
		t.Error(diff)
	}
	if last := slices.Max(ports); last >= l.Base+portSpan {
		t.Errorf("port %d is beyond the %d that a stack takes", last, portSpan)
	}
	for base, ok := range map[int]bool{80: false, 1024: true, 65476: true, 65477: false} {
		if err := (Layout{base}).validate(); (err == nil) != ok {
			t.Errorf("base %d: %v", base, err)
		}
	}
}

func TestExternalFromEnv(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		env  map[string]string
		want External
		bad  bool
	}{
		"nothing": {want: External{Redis: map[string]string{}}},
		"all": {
			env: map[string]string{
				"POSTGRES_URL": "postgres://a@b/c", "KAFKA_BROKERS": "x:1, y:2",
				"REDIS_URL": "redis://r:1", "REDIS_PAYMENTS_URL": "redis://p:2/7",
			},
			want: External{
				PostgresURL: "postgres://a@b/c", KafkaBrokers: []string{"x:1", "y:2"},
				Redis: map[string]string{"orders": "redis://r:1/0", "inventory": "redis://r:1/1", "payments": "redis://p:2/7"},
			},
		},
		"no URL": {env: map[string]string{"REDIS_URL": "r:1"}, bad: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ExternalFromEnv(func(k string) string { return c.env[k] })
			if c.bad {
				if err == nil || !strings.Contains(err.Error(), "REDIS_URL") {
					t.Errorf("got %v", err)
				}
				return
			}
			if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
				t.Error(err, diff)
			}
		})
	}
}

// TestEnvironment checks that the user's settings reach a service and that the
// stack's own sources do not.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	got := environment(
		[]string{"LOG_LEVEL=debug", "POSTGRES_URL=postgres://root@x", "REDIS_URL_FILE=/x", "KAFKA_BROKERS=y:1"},
		map[string]string{"KAFKA_BROKERS": "z:1"})
	slices.Sort(got)
	if diff := cmp.Diff([]string{"KAFKA_BROKERS=z:1", "LOG_LEVEL=debug"}, got); diff != "" {
		t.Error(diff)
	}
}
