package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"

	ordersv1 "example.com/ballast/gen/orders/v1"
)

// watch prints each version of an order as it happens, across restarts of the
// service, until the order has ended.
func (t *orderTool) watch() *cobra.Command {
	var after int64
	cmd := &cobra.Command{
		Use: "watch ID", Short: "Print what happens to an order, as it happens, to its end", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, client, err := t.open(cmd.Context())
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			return client.Watch(ctx, args[0], after, func(e *ordersv1.OrderEvent) error {
				if !t.asJSON {
					_, err := fmt.Fprintln(out, strings.TrimRight(fmt.Sprintf("%4s  %s  %-26s %-15s %s", toAny(eventCells(e))...), " "))
					return err
				}
				encoded, err := protojson.Marshal(e)
				if err == nil {
					_, err = fmt.Fprintf(out, "%s\n", encoded)
				}
				return err
			})
		},
	}
	cmd.Flags().Int64Var(&after, "after", 0, "begin behind this version")
	return cmd
}

func toAny(cells []string) []any {
	list := make([]any, len(cells))
	for i, c := range cells {
		list[i] = c
	}
	return list
}
