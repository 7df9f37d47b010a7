package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"example.com/ballast/cmd/ballast/internal/api"
	ordersv1 "example.com/ballast/gen/orders/v1"
	"example.com/ballast/gen/orders/v1/ordersv1connect"
)

// wish is what the commands that change an order share.
type wish struct {
	reason    string
	atVersion int64
}

func (v *wish) addFlags(cmd *cobra.Command, why string) {
	cmd.Flags().StringVar(&v.reason, "reason", "", why)
	cmd.Flags().Int64Var(&v.atVersion, "at-version", 0, "refuse unless the order is at this version (default: any)")
}

// ordered is an answer that holds the order after the wish.
type ordered interface {
	proto.Message
	GetOrder() *ordersv1.Order
}

// wishFor calls and prints what the order has become.
func wishFor[Req any, Res ordered](t *orderTool, cmd *cobra.Command,
	call func(ordersv1connect.OrderServiceClient, context.Context, Req) (Res, error), req Req,
) error {
	ctx, client, err := t.open(cmd.Context())
	if err != nil {
		return err
	}
	res, err := api.Do(ctx, client, func(ctx context.Context, req Req) (Res, error) { return call(client.Orders, ctx, req) }, req)
	if err != nil {
		return err
	}
	return t.print(cmd.OutOrStdout(), res, func(w io.Writer) { printOrder(w, res.GetOrder()) })
}

func (t *orderTool) cancel() *cobra.Command {
	var v wish
	cmd := &cobra.Command{
		Use: "cancel ID --reason WHY", Short: "Undo an order that is not confirmed yet, or that needs an operator", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return wishFor(t, cmd, ordersv1connect.OrderServiceClient.CancelOrder,
				&ordersv1.CancelOrderRequest{OrderId: args[0], Reason: v.reason, ExpectedVersion: v.atVersion})
		},
	}
	v.addFlags(cmd, "why; an operator must say")
	return cmd
}

func (t *orderTool) resume() *cobra.Command {
	var v wish
	cmd := &cobra.Command{
		Use: "resume ID --reason WHY", Short: "Send an order's outstanding command again, with all of its time", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return wishFor(t, cmd, ordersv1connect.OrderServiceClient.ResumeOrder,
				&ordersv1.ResumeOrderRequest{OrderId: args[0], Reason: v.reason, ExpectedVersion: v.atVersion})
		},
	}
	v.addFlags(cmd, "why: the order's history keeps it")
	return cmd
}

func (t *orderTool) settle() *cobra.Command {
	var v wish
	var as string
	cmd := &cobra.Command{
		Use: "settle ID --as confirmed|cancelled --reason WHY", Short: "Record how an order that needs an operator has ended", Args: cobra.ExactArgs(1),
		Long: `Records how an order has ended in the world. It is a word, not an act: only what
was still to be undone for a cancellation is asked for once more. Where the books
say otherwise, "ballast reconcile" goes on reporting the order.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			status, err := parseStatus(as)
			if err != nil {
				return fmt.Errorf("--as: %w", err)
			}
			return wishFor(t, cmd, ordersv1connect.OrderServiceClient.SettleOrder,
				&ordersv1.SettleOrderRequest{OrderId: args[0], Status: status, Reason: v.reason, ExpectedVersion: v.atVersion})
		},
	}
	v.addFlags(cmd, "why: the order's history keeps it")
	cmd.Flags().StringVar(&as, "as", "", "confirmed or cancelled")
	return cmd
}
