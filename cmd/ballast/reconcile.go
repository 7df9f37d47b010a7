package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"example.com/ballast/cmd/ballast/internal/reconcile"
	"example.com/ballast/cmd/ballast/internal/stack"
)

func reconcileCommand(home func() stack.Home) *cobra.Command {
	to := target{home: home}
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "reconcile",
		Short: "Compare orders, provider's book, ledger and stock from outside",
		Long: `Waits until every order has come to its end, then reads the public APIs and the
payment provider's own book and compares them both ways, to the penny and to the
unit. The exit code is 1 when there is a difference.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := to.client(false)
			if err != nil {
				return err
			}
			result, err := reconcile.Run(cmd.Context(), client, nil, to.wait, nil)
			if err != nil {
				return err
			}
			return finish(cmd.OutOrStdout(), asJSON, result, result.Print, len(result.Differences) == 0)
		},
	}
	to.addFlags(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// finish prints a report and turns a bad one into the exit code 1.
func finish(out io.Writer, asJSON bool, report any, print func(io.Writer) error, ok bool) error {
	var err error
	if asJSON {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		err = enc.Encode(report)
	} else {
		err = print(out)
	}
	if err != nil {
		return fmt.Errorf("print: %w", err)
	}
	if !ok {
		return exitCode(1)
	}
	return nil
}
