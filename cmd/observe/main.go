// Command observe generates what follows from deploy/observability: the code of
// the instruments, the docs, and what a monitoring system reads.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"example.com/ballast/deploy/observability/dashboard"
	"example.com/ballast/deploy/observability/registry"
	"example.com/ballast/deploy/observability/slo"
)

func main() {
	if err := root().Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "observe:", err)
		os.Exit(1)
	}
}

// generators make files of what is in deploy/observability. Each takes the root of
// the source tree and returns contents by path from there.
var generators = []func(root string) (map[string][]byte, error){
	metrics,
	rules,
	dashboards,
}

// metrics makes the instruments of each owner, and docs/metrics.md.
func metrics(root string) (map[string][]byte, error) {
	r, err := registry.Load()
	if err != nil {
		return nil, err
	}
	return r.Generate(root)
}

// rules makes what Prometheus evaluates.
func rules(string) (map[string][]byte, error) {
	content, err := slo.Render(1)
	return map[string][]byte{slo.Path: content}, err
}

// dashboards makes what Grafana reads, and docs/dashboards.md.
func dashboards(string) (map[string][]byte, error) {
	r, err := registry.Load()
	if err != nil {
		return nil, err
	}
	m, err := dashboard.NewMeanings(r)
	if err != nil {
		return nil, err
	}
	return dashboard.Generate(m)
}

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "observe",
		Short: "Generate what follows from deploy/observability, or check that nobody forgot to",
		Long: `Generate what follows from deploy/observability, or check that nobody forgot to.

  metrics.yaml -> metrics_gen.go of each owner, docs/metrics.md
  slo/*.yaml, alerts.yaml -> prometheus/rules.yml
  dashboard/ -> grafana/*.json, docs/dashboards.md`,
		SilenceErrors: true, // main prints them, once
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
	}
	dir := cmd.PersistentFlags().String("root", ".", "the root of the source tree")
	cmd.AddCommand(&cobra.Command{
		Use:   "generate",
		Short: "Write the generated files that have changed, and remove instruments without an owner",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return generate(cmd.OutOrStdout(), *dir)
		},
	}, &cobra.Command{
		Use:   "check",
		Short: "Fail when a generated file is not what would be generated now, and name it",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return check(cmd.OutOrStdout(), *dir)
		},
	})
	return cmd
}
