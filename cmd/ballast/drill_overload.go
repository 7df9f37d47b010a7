package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"example.com/ballast/cmd/ballast/internal/drill"
	"example.com/ballast/cmd/ballast/internal/drill/overload"
	"example.com/ballast/cmd/ballast/internal/load"
)

func (t *drillTool) overload() *cobra.Command {
	var cfg overload.Config
	var mix string
	cmd := &cobra.Command{
		Use:   "overload",
		Short: "Send three times what orders can do, with shedding and without",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if cfg.Mix, err = load.ParseMix(mix); err != nil {
				return fmt.Errorf("--mix: %w", err)
			}
			return t.run(cmd, func(ctx context.Context, o drill.Options) (*drill.Report, error) { return overload.Run(ctx, o, cfg) })
		},
	}
	flags := cmd.Flags()
	flags.Float64Var(&cfg.Times, "times", 3, "how much of the sustained rate is sent")
	flags.DurationVar(&cfg.Lasts, "storm", 30*time.Second, "length of each of the two overloads")
	flags.StringVar(&mix, "mix", "place=10,read=35,list=55", "shares of the calls, most important first; the orders alone must be within what the stack can do")
	return cmd
}
