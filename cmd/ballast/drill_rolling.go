package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"example.com/ballast/cmd/ballast/internal/drill"
	"example.com/ballast/cmd/ballast/internal/drill/rolling"
)

func (t *drillTool) rollingRestart() *cobra.Command {
	var cfg rolling.Config
	cmd := &cobra.Command{
		Use:   "rolling-restart",
		Short: "Restart every process of two replicas of every service under load, then kill some",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.run(cmd, func(ctx context.Context, o drill.Options) (*drill.Report, error) { return rolling.Run(ctx, o, cfg) })
		},
	}
	cmd.Flags().Float64Var(&cfg.Rate, "rate", 50, "calls a second, six in ten of them orders")
	cmd.Flags().DurationVar(&cfg.Calm, "calm", 3*time.Second, "length of the stretches without a fault")
	cmd.Flags().BoolVar(&cfg.Kills, "kills", true, "also kill -9 one replica of each service")
	return cmd
}
