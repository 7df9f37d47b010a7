package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"example.com/ballast/cmd/ballast/internal/drill"
	"example.com/ballast/cmd/ballast/internal/drill/poison"
)

func (t *drillTool) poison() *cobra.Command {
	var cfg poison.Config
	cmd := &cobra.Command{
		Use:   "poison",
		Short: "Throw messages that nobody can handle among those of a working shop",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.run(cmd, func(ctx context.Context, o drill.Options) (*drill.Report, error) { return poison.Run(ctx, o, cfg) })
		},
	}
	cmd.Flags().IntVar(&cfg.Count, "count", 200, "messages of each kind in each topic")
	cmd.Flags().Float64Var(&cfg.Rate, "rate", 20, "good orders a second")
	cmd.Flags().DurationVar(&cfg.Phase, "phase", 20*time.Second, "length of each stretch, calm or poisoned")
	cmd.Flags().IntVar(&cfg.Rounds, "rounds", 2, "calm and poisoned stretches, by turns")
	cmd.Flags().Float64Var(&cfg.Ratio, "ratio", 2, "how much longer good orders may take at the p99")
	cmd.Flags().Uint64Var(&cfg.Seed, "seed", 1, "of the order in which the poison comes")
	return cmd
}
