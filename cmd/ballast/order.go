package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"example.com/ballast/cmd/ballast/internal/api"
	"example.com/ballast/cmd/ballast/internal/reconcile"
	"example.com/ballast/cmd/ballast/internal/stack"
	ordersv1 "example.com/ballast/gen/orders/v1"
)

// orderTool is what the order commands share.
type orderTool struct {
	to       target
	customer string
	asJSON   bool
}

func orderCommand(home func() stack.Home) *cobra.Command {
	tool := &orderTool{to: target{home: home}}
	cmd := &cobra.Command{
		Use:   "order",
		Short: "Look at orders, place one, cancel one",
		Long:  "Speaks for the customer given with --customer, or else as an operator who sees every order.",
	}
	tool.to.addFlags(cmd.PersistentFlags())
	cmd.PersistentFlags().StringVar(&tool.customer, "customer", "", "customer to speak for (default: an operator)")
	cmd.PersistentFlags().BoolVar(&tool.asJSON, "json", false, "print JSON")
	cmd.AddCommand(tool.get(), tool.list(), tool.history(), tool.cancel(), tool.place())
	return cmd
}

// open returns a client and the context that speaks for the customer.
func (t *orderTool) open(ctx context.Context) (context.Context, *api.Client, error) {
	client, err := t.to.client(false)
	if t.customer != "" {
		ctx = api.As(ctx, t.customer)
	}
	return ctx, client, err
}

func (t *orderTool) get() *cobra.Command {
	return &cobra.Command{
		Use: "get ID", Short: "Show an order", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, client, err := t.open(cmd.Context())
			if err != nil {
				return err
			}
			res, err := api.Do(ctx, client, client.Orders.GetOrder, &ordersv1.GetOrderRequest{OrderId: args[0]})
			if err != nil {
				return err
			}
			return t.print(cmd.OutOrStdout(), res, func(w io.Writer) { printOrder(w, res.GetOrder()) })
		},
	}
}

func (t *orderTool) list() *cobra.Command {
	var limit int32
	cmd := &cobra.Command{
		Use: "list", Short: "List the newest orders", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, client, err := t.open(cmd.Context())
			if err != nil {
				return err
			}
			res, err := api.Do(ctx, client, client.Orders.ListOrders, &ordersv1.ListOrdersRequest{PageSize: limit})
			if err != nil {
				return err
			}
			return t.print(cmd.OutOrStdout(), res, func(w io.Writer) {
				row(w, "ORDER", "CUSTOMER", "STATUS", "LINES", "TOTAL", "PLACED")
				for _, o := range res.GetOrders() {
					row(w, o.GetOrderId(), o.GetCustomerId(), status(o), strconv.Itoa(len(o.GetLines())), total(o), stamp(o.GetCreateTime().AsTime()))
				}
			})
		},
	}
	cmd.Flags().Int32Var(&limit, "limit", 20, "number of orders, at most 500")
	return cmd
}

func (t *orderTool) history() *cobra.Command {
	return &cobra.Command{
		Use: "history ID", Short: "Show what happened to an order, and when", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, client, err := t.open(cmd.Context())
			if err != nil {
				return err
			}
			res, err := api.Do(ctx, client, client.Orders.GetOrderHistory, &ordersv1.GetOrderHistoryRequest{OrderId: args[0]})
			if err != nil {
				return err
			}
			return t.print(cmd.OutOrStdout(), res, func(w io.Writer) {
				row(w, "VERSION", "TIME", "EVENT", "STATUS", "DETAIL")
				for _, e := range res.GetEvents() {
					row(w, strconv.FormatInt(e.GetVersion(), 10), stamp(e.GetOccurTime().AsTime()), e.GetType(), reconcile.StatusName(e.GetStatus()), e.GetDetail())
				}
			})
		},
	}
}

func (t *orderTool) cancel() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "cancel ID", Short: "Undo an order that is not confirmed yet", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, client, err := t.open(cmd.Context())
			if err != nil {
				return err
			}
			res, err := api.Do(ctx, client, client.Orders.CancelOrder, &ordersv1.CancelOrderRequest{OrderId: args[0], Reason: reason})
			if err != nil {
				return err
			}
			return t.print(cmd.OutOrStdout(), res, func(w io.Writer) { printOrder(w, res.GetOrder()) })
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, in the customer's words")
	return cmd
}

func (t *orderTool) place() *cobra.Command {
	var lines []string
	var country, key string
	cmd := &cobra.Command{
		Use: "place --customer ID --line SKU=QUANTITY...", Short: "Place an order", Args: cobra.NoArgs,
		Example: "  ballast order place --customer ada --line 85123A=6 --line 71053=2",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if t.customer == "" {
				return errors.New("--customer ID is missing: who buys")
			}
			req := &ordersv1.PlaceOrderRequest{ShipTo: &ordersv1.Address{Country: country}}
			for _, line := range lines {
				sku, quantity, _ := strings.Cut(line, "=")
				units, err := strconv.ParseInt(quantity, 10, 32)
				if err != nil {
					return fmt.Errorf("--line %s: want SKU=QUANTITY, such as 85123A=6", line)
				}
				req.Lines = append(req.Lines, &ordersv1.LineRequest{Sku: sku, Quantity: int32(units)})
			}
			if key == "" {
				key = uuid.NewString()
			}
			ctx, client, err := t.open(cmd.Context())
			if err != nil {
				return err
			}
			order, err := client.Place(ctx, t.customer, key, req)
			if err != nil {
				return err
			}
			return t.print(cmd.OutOrStdout(), &ordersv1.PlaceOrderResponse{Order: order}, func(w io.Writer) { printOrder(w, order) })
		},
	}
	cmd.Flags().StringArrayVar(&lines, "line", nil, "product and quantity, may be repeated")
	cmd.Flags().StringVar(&country, "country", "GB", "destination, ISO 3166-1 alpha-2")
	cmd.Flags().StringVar(&key, "key", "", "Idempotency-Key (default: a new one)")
	return cmd
}

// print writes the answer as JSON or as text in columns.
func (t *orderTool) print(out io.Writer, answer proto.Message, text func(io.Writer)) error {
	if t.asJSON {
		encoded, err := protojson.Marshal(answer)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "%s\n", encoded)
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	text(w)
	return w.Flush()
}

func printOrder(w io.Writer, o *ordersv1.Order) {
	row(w, "order", o.GetOrderId())
	row(w, "customer", o.GetCustomerId())
	row(w, "status", status(o))
	if o.GetDetail() != "" {
		row(w, "detail", o.GetDetail())
	}
	row(w, "total", total(o))
	row(w, "ship to", o.GetShipTo().GetCountry())
	row(w, "placed", stamp(o.GetCreateTime().AsTime()))
	row(w, "updated", fmt.Sprintf("%s (version %d)", stamp(o.GetUpdateTime().AsTime()), o.GetVersion()))
	for _, line := range o.GetLines() {
		row(w, "line", fmt.Sprintf("%d x %s at %s", line.GetQuantity(), line.GetSku(), amount(line.GetUnitPrice().GetCurrency(), line.GetUnitPrice().GetMinorUnits())))
	}
}

// row writes one row; an error shows when the writer is flushed.
func row(w io.Writer, cells ...string) { _, _ = fmt.Fprintln(w, strings.Join(cells, "\t")) }

func status(o *ordersv1.Order) string {
	text := reconcile.StatusName(o.GetStatus())
	if reason := o.GetCancelReason(); reason != ordersv1.CancelReason_CANCEL_REASON_UNSPECIFIED {
		text += " (" + strings.ToLower(strings.TrimPrefix(reason.String(), "CANCEL_REASON_")) + ")"
	}
	return text
}

func total(o *ordersv1.Order) string {
	return amount(o.GetTotal().GetCurrency(), o.GetTotal().GetMinorUnits())
}

// amount shows minor units as they are: the tool does not know every currency's decimals.
func amount(currency string, minor int64) string {
	return fmt.Sprintf("%d %s minor units", minor, currency)
}

func stamp(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05.000") }
