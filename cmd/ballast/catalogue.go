package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"example.com/ballast/cmd/ballast/internal/catalogue"
	"example.com/ballast/cmd/ballast/internal/stack"
)

func catalogueCommand(home func() stack.Home) *cobra.Command {
	to := target{home: home}
	cmd := &cobra.Command{
		Use:   "catalogue",
		Short: "Load the products of the README, with stock, into inventory",
		Long: `Makes the demo's products known and receives 10,000 units of each, through
inventory's public API. A second run changes nothing. Orders learns of them by
itself, also when it starts later. "ballast up" does this on its own.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := to.client(false)
			if err != nil {
				return err
			}
			demo := stack.Demo()
			if err := catalogue.Load(cmd.Context(), client, demo); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d products, with stock\n", len(demo.Items))
			return err
		},
	}
	to.addFlags(cmd.Flags())
	return cmd
}
