package main

import (
	"time"

	"github.com/spf13/cobra"

	"example.com/ballast/cmd/ballast/internal/stack"
)

func downCommand(home func() stack.Home) *cobra.Command {
	var patience time.Duration
	cmd := &cobra.Command{
		Use:   "down",
		Short: "Stop the stack of the home directory; its data stays",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return stack.Down(cmd.Context(), home(), patience, cmd.OutOrStdout())
		},
	}
	cmd.Flags().DurationVar(&patience, "timeout", time.Minute, "after this long, kill what has not stopped")
	return cmd
}
