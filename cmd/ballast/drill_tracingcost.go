package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"example.com/ballast/cmd/ballast/internal/drill"
	"example.com/ballast/cmd/ballast/internal/drill/tracingcost"
)

func (t *drillTool) tracingCost() *cobra.Command {
	var cfg tracingcost.Config
	cmd := &cobra.Command{
		Use:   "tracing-cost",
		Short: "Compare the throughput with tracing off, by the default sampler and of everything",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.run(cmd, func(ctx context.Context, o drill.Options) (*drill.Report, error) { return tracingcost.Run(ctx, o, cfg) })
		},
	}
	cmd.Flags().IntVar(&cfg.Rounds, "rounds", 5, "how often each setting has its turn")
	cmd.Flags().IntVar(&cfg.Clients, "clients", 128, "clients of the closed loop")
	cmd.Flags().DurationVar(&cfg.Duration, "duration", 15*time.Second, "how long each turn is measured")
	cmd.Flags().Float64Var(&cfg.Least, "least", .9, "share of the throughput that the default sampler must leave")
	return cmd
}
