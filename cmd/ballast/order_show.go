package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"

	"example.com/ballast/cmd/ballast/internal/api"
	"example.com/ballast/cmd/ballast/internal/reconcile"
	"example.com/ballast/cmd/ballast/internal/timeline"
	ordersv1 "example.com/ballast/gen/orders/v1"
)

// show is what an operator wants to know before deciding anything.
func (t *orderTool) show() *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show an order, what it waits for, and all that happened to it", Args: cobra.ExactArgs(1),
		Long: `Prints the order, its history, and for an operator one timeline of its events, the
messages about it in all topics, and what the provider's own book says. Times are
milliseconds since the order was placed. OUTBOX MS is how long a message took to
the broker, ANSWERED MS from there to what came of it: waiting in the topic and
being worked on. What can't be read is said, and the rest printed.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, client, err := t.open(cmd.Context())
			if err != nil {
				return err
			}
			got, err := api.Do(ctx, client, client.Orders.GetOrder, &ordersv1.GetOrderRequest{OrderId: args[0]})
			if err != nil {
				return err
			}
			past, err := t.read(ctx, client, args[0])
			if err != nil {
				return err
			}
			found := &trail{}
			if t.customer == "" { // It is not a customer's to read topics.
				found = t.follow(ctx, client, got.GetOrder(), past)
			}
			if t.asJSON {
				return showJSON(cmd.OutOrStdout(), got, past, found)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			printOrder(w, got.GetOrder())
			row(w)
			if err := w.Flush(); err != nil {
				return err
			}
			printHistory(w, past)
			if err := w.Flush(); err != nil || t.customer != "" {
				return err
			}
			row(w)
			found.print(w)
			return w.Flush()
		},
	}
}

func (t *orderTool) history() *cobra.Command {
	return &cobra.Command{
		Use: "history ID", Short: "Show what happened to an order, and when", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, client, err := t.open(cmd.Context())
			if err != nil {
				return err
			}
			res, err := t.read(ctx, client, args[0])
			if err != nil {
				return err
			}
			return t.print(cmd.OutOrStdout(), res, func(w io.Writer) { printHistory(w, res) })
		},
	}
}

func (t *orderTool) read(ctx context.Context, client *api.Client, id string) (*ordersv1.GetOrderHistoryResponse, error) {
	return api.Do(ctx, client, client.Orders.GetOrderHistory, &ordersv1.GetOrderHistoryRequest{OrderId: id})
}

// showJSON prints all of it as one object.
func showJSON(out io.Writer, got *ordersv1.GetOrderResponse, past *ordersv1.GetOrderHistoryResponse, found *trail) error {
	var both struct {
		Order    json.RawMessage   `json:"order"`
		Events   []json.RawMessage `json:"events"`
		Payment  json.RawMessage   `json:"payment,omitempty"`
		Timeline []timeline.Step   `json:"timeline,omitempty"`
		Notes    []string          `json:"notes,omitempty"`
	}
	both.Timeline, both.Notes = found.steps, found.notes
	var err error
	if both.Order, err = protojson.Marshal(got.GetOrder()); err != nil {
		return err
	}
	if found.payment != nil {
		if both.Payment, err = protojson.Marshal(found.payment); err != nil {
			return err
		}
	}
	for _, e := range past.GetEvents() {
		encoded, err := protojson.Marshal(e)
		if err != nil {
			return err
		}
		both.Events = append(both.Events, encoded)
	}
	return json.NewEncoder(out).Encode(both)
}

func printOrder(w io.Writer, o *ordersv1.Order) {
	row(w, "order", o.GetOrderId())
	row(w, "customer", o.GetCustomerId())
	row(w, "status", statusText(o))
	if o.GetDetail() != "" {
		row(w, "detail", o.GetDetail())
	}
	if wait := o.GetWait(); wait != nil {
		since := wait.GetSince().AsTime()
		row(w, "waits for", fmt.Sprintf("%s, since %s (%v)", wait.GetWhat(), stamp(since), time.Since(since).Round(time.Second)))
		if wait.GetDeadline() != nil {
			row(w, "next look", fmt.Sprintf("%s, sent again %d times so far", stamp(wait.GetDeadline().AsTime()), wait.GetResends()))
		}
	}
	row(w, "total", total(o))
	row(w, "ship to", o.GetShipTo().GetCountry())
	row(w, "placed", stamp(o.GetCreateTime().AsTime()))
	row(w, "updated", fmt.Sprintf("%s (version %d)", stamp(o.GetUpdateTime().AsTime()), o.GetVersion()))
	for _, line := range o.GetLines() {
		row(w, "line", fmt.Sprintf("%d x %s at %s", line.GetQuantity(), line.GetSku(), amount(line.GetUnitPrice().GetCurrency(), line.GetUnitPrice().GetMinorUnits())))
	}
}

func printHistory(w io.Writer, past *ordersv1.GetOrderHistoryResponse) {
	row(w, "VERSION", "TIME", "EVENT", "STATUS", "DETAIL")
	for _, e := range past.GetEvents() {
		row(w, eventCells(e)...)
	}
}

// eventCells are the columns of one event, the person who decided it included.
func eventCells(e *ordersv1.OrderEvent) []string {
	detail := e.GetDetail()
	if e.GetOperator() != "" {
		detail = strings.TrimPrefix(fmt.Sprintf("%s, by %s: %s", detail, e.GetOperator(), e.GetReason()), ", ")
	}
	return []string{
		strconv.FormatInt(e.GetVersion(), 10), stamp(e.GetOccurTime().AsTime()), strings.TrimPrefix(e.GetType(), "orders.v1."),
		reconcile.StatusName(e.GetStatus()), detail,
	}
}

// parseStatus reads a status as the tool prints it; none when it is empty.
func parseStatus(text string) (ordersv1.OrderStatus, error) {
	if text == "" {
		return ordersv1.OrderStatus_ORDER_STATUS_UNSPECIFIED, nil
	}
	number, known := ordersv1.OrderStatus_value["ORDER_STATUS_"+strings.ToUpper(text)]
	if !known || number == 0 {
		return 0, fmt.Errorf("%q is no status: placed, reserved, charged, confirmed, cancelling, cancelled or needs_operator", text)
	}
	return ordersv1.OrderStatus(number), nil
}

func statusText(o *ordersv1.Order) string {
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
