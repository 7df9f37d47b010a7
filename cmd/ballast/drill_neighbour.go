package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"example.com/ballast/cmd/ballast/internal/drill"
	"example.com/ballast/cmd/ballast/internal/drill/neighbour"
)

func (t *drillTool) noisyNeighbour() *cobra.Command {
	var cfg neighbour.Config
	cmd := &cobra.Command{
		Use:   "noisy-neighbour",
		Short: "Let one service's cache overflow: with a Redis for each service, and with one for all",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.run(cmd, func(ctx context.Context, o drill.Options) (*drill.Report, error) { return neighbour.Run(ctx, o, cfg) })
		},
	}
	cmd.Flags().IntVar(&cfg.Orders, "orders", 300, "orders that customers look at")
	cmd.Flags().Float64Var(&cfg.Rate, "rate", 100, "looks a second")
	cmd.Flags().DurationVar(&cfg.Phase, "phase", 8*time.Second, "length of each of before, churn and after")
	return cmd
}
