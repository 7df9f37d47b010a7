package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"example.com/ballast/cmd/ballast/internal/drill"
	"example.com/ballast/cmd/ballast/internal/drill/zombie"
)

func (t *drillTool) zombie() *cobra.Command {
	var cfg zombie.Config
	cmd := &cobra.Command{
		Use:   "zombie",
		Short: "Pause every leader inside a transaction, past its lease, and let it go on",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.run(cmd, func(ctx context.Context, o drill.Options) (*drill.Report, error) { return zombie.Run(ctx, o, cfg) })
		},
	}
	cmd.Flags().StringSliceVar(&cfg.Leases, "lease", nil, "leases whose leader is stopped, such as payments/outbox (default: all)")
	cmd.Flags().Float64Var(&cfg.Rate, "rate", 20, "orders a second")
	cmd.Flags().DurationVar(&cfg.After, "after", 3*time.Second, "how long a leader stays stopped after it was replaced")
	return cmd
}
