package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"example.com/ballast/cmd/ballast/internal/stack"
	"example.com/ballast/cmd/ballast/internal/traceview"
)

// traceCommand shows what was recorded of one order or of one trace.
func traceCommand(home func() stack.Home) *cobra.Command {
	var order string
	var asJSON, all bool
	cmd := &cobra.Command{
		Use:   "trace TRACE_ID | --order ORDER_ID",
		Short: "Show the way of an order through all services as a tree",
		Long: `Reads the spans that the services, or the collector, have written to the files in
HOME/traces. A service writes its spans a few seconds after they ended.

One trace in twenty is recorded. To record all of a stack's:
  OTEL_TRACES_SAMPLER=always_on ballast up
To record one order:
  ballast order place --trace --customer ada --line 85123A=6`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (len(args) == 1) == (order != "") {
				return errors.New("want a TRACE_ID or --order ORDER_ID")
			}
			ids, dir := args, home().Traces()
			if order != "" {
				var err error
				if ids, err = traceview.TracesOf(dir, order); err != nil {
					return err
				}
			}
			var traces [][]traceview.Span
			for _, id := range ids {
				spans, err := traceview.Trace(dir, id)
				if err != nil {
					return err
				}
				if len(spans) > 0 {
					traces = append(traces, spans)
				}
			}
			if len(traces) == 0 {
				return fmt.Errorf("%s has no such span: it was not recorded, or is not written yet (`ballast trace --help` tells how to record)", dir)
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(traces)
			}
			for _, spans := range traces {
				if err := traceview.Print(cmd.OutOrStdout(), spans, all); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&order, "order", "", "every trace that names this order: of its placing, and of calls about it")
	cmd.Flags().BoolVar(&all, "all", false, "also statements of databases")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON: a list of traces, each a list of spans")
	return cmd
}
