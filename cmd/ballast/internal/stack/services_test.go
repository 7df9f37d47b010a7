package stack

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestReplicasHaveNamesAndPortsOfTheirOwn: a single replica keeps the plain name,
// and everyone can tell which admin listener is whose.
func TestReplicasHaveNamesAndPortsOfTheirOwn(t *testing.T) {
	t.Parallel()
	for replicas, want := range map[int]struct {
		names  []string
		orders []string
		admin  map[string]string
	}{
		1: {
			[]string{"provider", "orders", "inventory", "payments"},
			[]string{"http://127.0.0.1:9000"},
			map[string]string{
				"provider": "http://127.0.0.1:9030", "orders": "http://127.0.0.1:9020",
				"inventory": "http://127.0.0.1:9021", "payments": "http://127.0.0.1:9022",
			},
		},
		2: {
			[]string{"provider", "orders-1", "orders-2", "inventory-1", "inventory-2", "payments-1", "payments-2"},
			[]string{"http://127.0.0.1:9000", "http://127.0.0.1:9003"},
			map[string]string{
				"provider": "http://127.0.0.1:9030", "orders": "http://127.0.0.1:9020",
				"inventory": "http://127.0.0.1:9021", "payments": "http://127.0.0.1:9022",
				"orders-1": "http://127.0.0.1:9020", "orders-2": "http://127.0.0.1:9023",
				"inventory-1": "http://127.0.0.1:9021", "inventory-2": "http://127.0.0.1:9024",
				"payments-1": "http://127.0.0.1:9022", "payments-2": "http://127.0.0.1:9025",
			},
		},
	} {
		home := Home(t.TempDir())
		if err := home.prepare(); err != nil {
			t.Fatal(err)
		}
		u := &upper{Options: Options{Home: home, Binaries: "bin", Replicas: replicas}, layout: Layout{9000}, partitions: replicas}
		children, err := u.services()
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, c := range children {
			names = append(names, c.Name)
		}
		if diff := cmp.Diff(want.names, names); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(want.orders, u.endpoints.Replicas["orders"]); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(want.admin, u.endpoints.Admin); diff != "" {
			t.Error(diff)
		}
		// The last child is a replica of payments, whatever their number.
		cmd, err := children[len(children)-1].Command(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if cmd.Path != "bin/payments" || !slices.Contains(cmd.Env, "KAFKA_PARTITIONS="+string(rune('0'+replicas))) ||
			slices.Contains(cmd.Env, "DRAIN_DELAY=500ms") != (replicas > 1) {
			t.Errorf("%d replicas: %s with %v", replicas, cmd.Path, cmd.Env)
		}
	}
}

// TestProxiedServicesSeeNothingElse: whatever a service is told to use is a
// proxy's address, and every proxy stands before what it is named after.
func TestProxiedServicesSeeNothingElse(t *testing.T) {
	t.Parallel()
	home := Home(t.TempDir())
	if err := home.prepare(); err != nil {
		t.Fatal(err)
	}
	u := &upper{Options: Options{Home: home, Self: "ballast", Broker: "kfake", Proxied: true, Replicas: 1}, layout: Layout{9000}}
	u.endpoints.Postgres = "127.0.0.1:9040"
	u.endpoints.Redis = map[string]string{}
	for i, service := range services {
		u.endpoints.Redis[service] = "redis://" + local(u.layout.Redis(i)) + "/0"
	}
	if _, err := u.kafka(t.Context()); err != nil {
		t.Fatal(err)
	}
	proxies, err := u.toxiproxy().Command(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"ballast", "toxiproxy", "--listen", "127.0.0.1:9050",
		"--proxy", "postgres-orders,127.0.0.1:9051,127.0.0.1:9040", "--proxy", "postgres-inventory,127.0.0.1:9052,127.0.0.1:9040",
		"--proxy", "postgres-payments,127.0.0.1:9053,127.0.0.1:9040", "--proxy", "kafka,127.0.0.1:9054,127.0.0.1:9041",
		"--proxy", "redis-orders,127.0.0.1:9055,127.0.0.1:9043", "--proxy", "redis-inventory,127.0.0.1:9056,127.0.0.1:9044",
		"--proxy", "redis-payments,127.0.0.1:9057,127.0.0.1:9045", "--proxy", "provider,127.0.0.1:9058,127.0.0.1:9010",
	}
	if diff := cmp.Diff(want, proxies.Args); diff != "" {
		t.Error(diff)
	}
	children, err := u.services()
	if err != nil {
		t.Fatal(err)
	}
	payments, err := children[len(children)-1].Command(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, setting := range []string{
		"KAFKA_BROKERS=127.0.0.1:9054", "REDIS_URL=redis://127.0.0.1:9057/0", "PROVIDER_URL=http://127.0.0.1:9058",
	} {
		if !slices.Contains(payments.Env, setting) {
			t.Errorf("no %s in %v", setting, payments.Env)
		}
	}
}
