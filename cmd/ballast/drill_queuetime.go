package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"example.com/ballast/cmd/ballast/internal/drill"
	"example.com/ballast/cmd/ballast/internal/drill/queuetime"
)

func (t *drillTool) queueTime() *cobra.Command {
	var cfg queuetime.Config
	cmd := &cobra.Command{
		Use:   "queue-time",
		Short: "Stop a consumer under load and work out from outside how long its commands waited",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.run(cmd, func(ctx context.Context, o drill.Options) (*drill.Report, error) { return queuetime.Run(ctx, o, cfg) })
		},
	}
	cmd.Flags().Float64Var(&cfg.Rate, "rate", 40, "orders a second")
	cmd.Flags().DurationVar(&cfg.Stop, "stop", 20*time.Second, "how long a consumer is stopped")
	cmd.Flags().DurationVar(&cfg.Stall, "stall", 6*time.Second, "how long the broker is frozen before")
	cmd.Flags().DurationVar(&cfg.Steady, "steady", 5*time.Second, "length of the steady load before, between and after the stops")
	cmd.Flags().StringSliceVar(&cfg.Ways, "way", nil, "frozen or restarted (default: both)")
	return cmd
}
