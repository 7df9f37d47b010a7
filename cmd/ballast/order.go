package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"example.com/ballast/cmd/ballast/internal/api"
	"example.com/ballast/cmd/ballast/internal/stack"
	ordersv1 "example.com/ballast/gen/orders/v1"
)

// orderTool is what the order commands share.
type orderTool struct {
	to       target
	customer string
	operator string
	asJSON   bool
}

func orderCommand(home func() stack.Home) *cobra.Command {
	tool := &orderTool{to: target{home: home}}
	cmd := &cobra.Command{
		Use:   "order",
		Short: "Look at orders, place one, watch one, end one",
		Long: `Speaks for the customer given with --customer, or else as an operator, who sees
every order and can end those that the platform can't end by itself.`,
	}
	tool.to.addFlags(cmd.PersistentFlags())
	cmd.PersistentFlags().StringVar(&tool.customer, "customer", "", "customer to speak for (default: an operator)")
	cmd.PersistentFlags().StringVar(&tool.operator, "operator", cmp.Or(os.Getenv("USER"), "operator"), "operator to speak as; the order's history keeps it")
	cmd.PersistentFlags().BoolVar(&tool.asJSON, "json", false, "print JSON")
	cmd.AddCommand(tool.get(), tool.show(), tool.list(), tool.history(), tool.watch(), tool.place(),
		tool.cancel(), tool.resume(), tool.settle())
	return cmd
}

// open returns a client and the context that speaks for the customer or operator.
func (t *orderTool) open(ctx context.Context) (context.Context, *api.Client, error) {
	client, err := t.to.client(false)
	if t.customer != "" {
		return api.As(ctx, t.customer), client, err
	}
	return api.AsOperator(ctx, t.operator), client, err
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
	var only string
	cmd := &cobra.Command{
		Use: "list", Short: "List the newest orders", Args: cobra.NoArgs,
		Example: "  ballast order list --status needs_operator",
		RunE: func(cmd *cobra.Command, _ []string) error {
			status, err := parseStatus(only)
			if err != nil {
				return err
			}
			ctx, client, err := t.open(cmd.Context())
			if err != nil {
				return err
			}
			res, err := api.Do(ctx, client, client.Orders.ListOrders, &ordersv1.ListOrdersRequest{PageSize: limit, Status: status})
			if err != nil {
				return err
			}
			return t.print(cmd.OutOrStdout(), res, func(w io.Writer) {
				row(w, "ORDER", "CUSTOMER", "STATUS", "LINES", "TOTAL", "PLACED", "DETAIL")
				for _, o := range res.GetOrders() {
					row(w, o.GetOrderId(), o.GetCustomerId(), statusText(o), strconv.Itoa(len(o.GetLines())), total(o), stamp(o.GetCreateTime().AsTime()), o.GetDetail())
				}
			})
		},
	}
	cmd.Flags().Int32Var(&limit, "limit", 20, "number of orders, at most 500")
	cmd.Flags().StringVar(&only, "status", "", "only orders in this status, such as needs_operator")
	return cmd
}

func (t *orderTool) place() *cobra.Command {
	var lines []string
	var country, key string
	var trace bool
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
			end := func() error { return nil }
			if trace {
				if ctx, end, err = recorded(ctx, t.to.home(), "ballast order place"); err != nil {
					return err
				}
			}
			order, err := client.Place(ctx, t.customer, key, req)
			if err := errors.Join(err, end()); err != nil {
				return err
			}
			return t.print(cmd.OutOrStdout(), &ordersv1.PlaceOrderResponse{Order: order}, func(w io.Writer) { printOrder(w, order) })
		},
	}
	cmd.Flags().StringArrayVar(&lines, "line", nil, "product and quantity, may be repeated")
	cmd.Flags().StringVar(&country, "country", "GB", "destination, ISO 3166-1 alpha-2")
	cmd.Flags().BoolVar(&trace, "trace", false, "have the order's trace recorded: 'ballast trace --order ID' prints it")
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

// row writes one row; an error shows when the writer is flushed.
func row(w io.Writer, cells ...string) { _, _ = fmt.Fprintln(w, strings.Join(cells, "\t")) }
