package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"example.com/ballast/cmd/ballast/internal/api"
	"example.com/ballast/cmd/ballast/internal/stack"
)

// Not parallel: the environment is the process's. There is no stack in the home
// directory, so what is found is found without one.
func TestAToolBesideAStackIsToldWhereItIs(t *testing.T) {
	t.Setenv("BALLAST_ORDERS_URL", "http://orders:8080,http://orders-2:8080")
	t.Setenv("BALLAST_INVENTORY_URL", "http://inventory:8080")
	t.Setenv("BALLAST_PAYMENTS_URL", "http://payments:8080")
	t.Setenv("BALLAST_PROVIDER_URL", "http://provider:8090")
	to := target{home: func() stack.Home { return stack.Home(t.TempDir()) }}
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	to.addFlags(flags)
	if err := flags.Parse([]string{"--provider-url", "http://elsewhere:8090"}); err != nil {
		t.Fatal(err)
	}
	got, err := to.endpoints()
	want := api.Endpoints{
		Orders:    []string{"http://orders:8080", "http://orders-2:8080"},
		Inventory: []string{"http://inventory:8080"}, Payments: []string{"http://payments:8080"},
		Provider: "http://elsewhere:8090",
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v, -want +got:\n%s", err, diff)
	}
}
