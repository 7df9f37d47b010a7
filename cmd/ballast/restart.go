package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"example.com/ballast/cmd/ballast/internal/stack"
)

func restartCommand(home func() stack.Home) *cobra.Command {
	var rolling bool
	var patience time.Duration
	cmd := &cobra.Command{
		Use:   "restart [NAME...]",
		Short: "Restart services, or whatever else runs, in good order",
		Long: `Tells each process to stop (SIGTERM), waits until it has drained, and until its
successor is ready. A name is one process, such as orders-2, or a service with all
of its replicas; without a name, all three services are restarted.`,
		Example: "  ballast up --replicas 2 --detach && ballast restart --rolling",
		RunE: func(cmd *cobra.Command, names []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), patience)
			defer cancel()
			out := cmd.OutOrStdout()
			return stack.Restart(ctx, home(), names, rolling, func(r stack.Restarted) {
				say(out, fmt.Sprintf("%s stopped after %.2f s, ready again after %.2f s", r.Name, r.Gone.Seconds(), r.Ready.Seconds()))
			})
		},
	}
	cmd.Flags().BoolVar(&rolling, "rolling", false, "one after another: the next when the one before is ready again")
	cmd.Flags().DurationVar(&patience, "wait", 5*time.Minute, "how long to wait in all")
	return cmd
}
