package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/prometheus/client_golang/api"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"github.com/spf13/cobra"

	"example.com/ballast/cmd/ballast/internal/stack"
)

func queryCommand(home func() stack.Home) *cobra.Command {
	return &cobra.Command{
		Use:   "query PROMQL",
		Short: "Ask the stack's Prometheus for what is now",
		Example: `  ballast query 'ALERTS{alertstate="firing"}'
  ballast query 'max by (group, topic) (stream_lag)'`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			state, err := home().Running()
			if err != nil {
				return err
			}
			if state.Endpoints.Prometheus == "" {
				return errors.New("this stack has no Prometheus: `ballast up --observability` starts one")
			}
			client, err := api.NewClient(api.Config{Address: state.Endpoints.Prometheus})
			if err != nil {
				return err
			}
			value, _, _, err := promv1.NewAPI(client).Query(cmd.Context(), args[0], time.Now())
			if err != nil {
				return fmt.Errorf("prometheus: %w", err)
			}
			return printSamples(cmd.OutOrStdout(), value)
		},
	}
}

// printSamples prints a value and its labels in a row each, largest value first.
func printSamples(out io.Writer, value model.Value) error {
	samples, ok := value.(model.Vector)
	if !ok {
		_, err := fmt.Fprintln(out, value)
		return err
	}
	if len(samples) == 0 {
		_, err := fmt.Fprintln(out, "nothing")
		return err
	}
	slices.SortFunc(samples, func(a, b *model.Sample) int {
		return cmp.Or(cmp.Compare(b.Value, a.Value), cmp.Compare(a.Metric.String(), b.Metric.String()))
	})
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, s := range samples {
		cells := []string{s.Value.String()}
		for _, name := range slices.Sorted(maps.Keys(s.Metric)) {
			cells = append(cells, fmt.Sprintf("%s=%s", name, s.Metric[name]))
		}
		row(w, cells...)
	}
	return w.Flush()
}
