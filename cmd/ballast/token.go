package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"example.com/ballast/cmd/ballast/internal/stack"
)

func tokenCommand(home func() stack.Home) *cobra.Command {
	var customer string
	var operator bool
	cmd := &cobra.Command{
		Use:     "token",
		Short:   "Print a development token, good for a day",
		Example: `  curl -H "Authorization: Bearer $(ballast token --customer ada)" ...`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if customer == "" {
				return errors.New("--customer ID is missing: whom the token speaks for")
			}
			signer, err := home().Signer()
			if err != nil {
				return err
			}
			token, err := signer.Token(customer, operator)
			if err == nil {
				_, err = fmt.Fprintln(cmd.OutOrStdout(), token)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&customer, "customer", "", "customer that the token speaks for")
	cmd.Flags().BoolVar(&operator, "operator", false, "give the token the operator scope too")
	return cmd
}
