package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"example.com/ballast/cmd/ballast/internal/drill"
	"example.com/ballast/cmd/ballast/internal/drill/alerts"
)

func (t *drillTool) alerts() *cobra.Command {
	var cfg alerts.Config
	cmd := &cobra.Command{
		Use:   "alerts",
		Short: "Make every alert fire by its fault, work off its runbook, and see it clear (16 minutes; see --only)",
		Args:  cobra.NoArgs,
		Example: "  ballast drill alerts --only BreakerOpen,PlaceOrderBurns\n" +
			"  ballast drill alerts --markdown docs/drills/alerts.md",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.run(cmd, func(ctx context.Context, o drill.Options) (*drill.Report, error) { return alerts.Run(ctx, o, cfg) })
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&cfg.Only, "only", nil, "alerts, or their runbooks (default: all)")
	flags.Float64Var(&cfg.Rate, "rate", 10, "calls a second, half of them orders")
	flags.Float64Var(&cfg.Faster, "faster", 60, "how many times shorter than in production the times of the rules are")
	flags.DurationVar(&cfg.Calm, "calm", 15*time.Second, "length of the stretches without a fault")
	return cmd
}
