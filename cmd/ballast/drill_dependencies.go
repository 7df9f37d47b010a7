package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"example.com/ballast/cmd/ballast/internal/drill"
	"example.com/ballast/cmd/ballast/internal/drill/dependency"
)

func (t *drillTool) dependencies() *cobra.Command {
	var cfg dependency.Config
	cmd := &cobra.Command{
		Use:   "dependencies",
		Short: "Make every dependency slow, silent, gone and unreliable in turn (15 minutes; see --only and --faults)",
		Args:  cobra.NoArgs,
		Example: "  ballast drill dependencies --only postgres,kafka --faults slow,refuses\n" +
			"  ballast drill dependencies --markdown docs/drills/dependencies.md",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.run(cmd, func(ctx context.Context, o drill.Options) (*drill.Report, error) { return dependency.Run(ctx, o, cfg) })
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&cfg.Only, "only", nil, "dependencies, or what their names begin with: postgres-orders, kafka, redis, provider ... (default: all)")
	flags.StringSliceVar(&cfg.Faults, "faults", nil, "slow, black-hole, refuses, resets, errors-50% (default: all)")
	flags.Float64Var(&cfg.Rate, "rate", 20, "calls a second, half of them orders")
	flags.DurationVar(&cfg.Lasts, "lasts", 8*time.Second, "how long each fault is there")
	flags.DurationVar(&cfg.Calm, "calm", 5*time.Second, "the stretch before the first fault")
	flags.DurationVar(&cfg.Deadline, "deadline", 1500*time.Millisecond, "of every call")
	return cmd
}
