// Package rpc shows payments, the ledger and reconciliation to operators.
package rpc

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/types/known/timestamppb"

	moneyv1 "example.com/ballast/gen/money/v1"
	paymentsv1 "example.com/ballast/gen/payments/v1"
	"example.com/ballast/pkg/edge"
	"example.com/ballast/pkg/ids"
	"example.com/ballast/pkg/money"
	"example.com/ballast/services/payments/internal/payment"
)

// Payments is what the handlers call. Get fails with payment.ErrNotFound.
type Payments struct {
	Get       func(ctx context.Context, orderID string) (payment.Payment, error)
	List      func(ctx context.Context, after string, limit int) ([]payment.Payment, error)
	Ledger    func(ctx context.Context, after int64, limit int) ([]payment.Posted, error)
	Reconcile func(ctx context.Context, from payment.Mark) (payment.Reconciliation, error)
}

// Server implements paymentsv1connect.PaymentServiceHandler.
type Server struct{ payments Payments }

// New returns the handlers.
func New(p Payments) *Server { return &Server{payments: p} }

// GetPayment reads an order's payment.
func (s *Server) GetPayment(ctx context.Context, req *paymentsv1.GetPaymentRequest) (*paymentsv1.GetPaymentResponse, error) {
	if err := edge.RequireOperator(ctx); err != nil {
		return nil, err
	}
	id, err := ids.Parse(req.GetOrderId())
	if err != nil {
		return nil, edge.FieldError("order_id", "must be a UUID with dashes")
	}
	p, err := s.payments.Get(ctx, id.String())
	if errors.Is(err, payment.ErrNotFound) {
		return nil, edge.Error(connect.CodeNotFound, "no payment for this order", "PAYMENT_NOT_FOUND", nil)
	}
	if err != nil {
		return nil, err
	}
	return &paymentsv1.GetPaymentResponse{Payment: toProto(p)}, nil
}

// ListPayments reads payments by order id.
func (s *Server) ListPayments(ctx context.Context, req *paymentsv1.ListPaymentsRequest) (*paymentsv1.ListPaymentsResponse, error) {
	if err := edge.RequireOperator(ctx); err != nil {
		return nil, err
	}
	after := firstOrder
	if token := req.GetPageToken(); token != "" {
		id, err := ids.Parse(token)
		if err != nil {
			return nil, errPageToken
		}
		after = id.String()
	}
	size := pageSize(req.GetPageSize(), defaultPayments)
	page, err := s.payments.List(ctx, after, size)
	if err != nil {
		return nil, err
	}
	res := &paymentsv1.ListPaymentsResponse{}
	for _, p := range page {
		res.Payments = append(res.Payments, toProto(p))
	}
	if len(page) == size {
		res.NextPageToken = page[size-1].OrderID
	}
	return res, nil
}

// ListLedgerEntries reads the ledger in the order of posting.
func (s *Server) ListLedgerEntries(ctx context.Context, req *paymentsv1.ListLedgerEntriesRequest) (*paymentsv1.ListLedgerEntriesResponse, error) {
	if err := edge.RequireOperator(ctx); err != nil {
		return nil, err
	}
	var after int64
	if token := req.GetPageToken(); token != "" {
		var err error
		if after, err = strconv.ParseInt(token, 10, 64); err != nil || after < 0 {
			return nil, errPageToken
		}
	}
	size := pageSize(req.GetPageSize(), defaultEntries)
	page, err := s.payments.Ledger(ctx, after, size)
	if err != nil {
		return nil, err
	}
	res := &paymentsv1.ListLedgerEntriesResponse{}
	for _, e := range page {
		res.Entries = append(res.Entries, &paymentsv1.LedgerEntry{
			EntryId: e.ID, OrderId: e.OrderID, Kind: e.Kind, Account: e.Account,
			Amount: amount(e.Amount), PostTime: timestamppb.New(e.Time),
		})
	}
	if len(page) == size {
		res.NextPageToken = strconv.FormatInt(page[size-1].ID, 10)
	}
	return res, nil
}

// Reconcile compares the ledger with the provider's book now.
func (s *Server) Reconcile(ctx context.Context, req *paymentsv1.ReconcileRequest) (*paymentsv1.ReconcileResponse, error) {
	if err := edge.RequireOperator(ctx); err != nil {
		return nil, err
	}
	from, ok := mark(req.GetPageToken())
	if !ok {
		return nil, errPageToken
	}
	r, err := s.payments.Reconcile(ctx, from)
	if errors.Is(err, payment.ErrBookAway) {
		return nil, edge.Because(edge.RetryLater(connect.CodeUnavailable, payment.ErrBookAway.Error(), "PROVIDER_UNAVAILABLE", time.Second), err)
	}
	if err != nil {
		return nil, err
	}
	res := &paymentsv1.ReconcileResponse{Compared: r.Compared, Debits: r.Debits, Credits: r.Credits, NextPageToken: token(r.Next)}
	for _, d := range r.Differences {
		res.Differences = append(res.Differences, &paymentsv1.Difference{
			OrderId: d.OrderID, PaymentIntentId: d.IntentID, Problem: d.Problem,
		})
	}
	return res, nil
}

// token writes a mark so that any replica can go on from it.
func token(m payment.Mark) string {
	if m == (payment.Mark{}) {
		return ""
	}
	return fmt.Sprintf("%d-%d", m.Time.UnixNano(), m.Entry)
}

// mark is the inverse of token.
func mark(token string) (m payment.Mark, ok bool) {
	if token == "" {
		return m, true
	}
	at, entry, _ := strings.Cut(token, "-")
	nanos, err1 := strconv.ParseInt(at, 10, 64)
	number, err2 := strconv.ParseInt(entry, 10, 64)
	return payment.Mark{Time: time.Unix(0, nanos).UTC(), Entry: number}, err1 == nil && err2 == nil && number >= 0
}

const (
	// firstOrder is before every order's id.
	firstOrder = "00000000-0000-0000-0000-000000000000"
	// The defaults are the protos'; their upper bounds are validated before.
	defaultPayments = 500
	defaultEntries  = 1000
)

var errPageToken = edge.FieldError("page_token", "must be the next_page_token of the page before")

func pageSize(asked int32, otherwise int) int {
	if asked == 0 {
		return otherwise
	}
	return int(asked)
}

func toProto(p payment.Payment) *paymentsv1.Payment {
	return &paymentsv1.Payment{
		OrderId: p.OrderID, Status: status[p.Status], Amount: amount(p.Amount), PaymentIntentId: p.IntentID,
		Version: p.Version, Attempts: int32(p.Attempts), //nolint:gosec // one per call, backed off
		UpdateTime: timestamppb.New(p.Updated), Stuck: p.Stuck(),
	}
}

// status is complete: a test walks all of the domain's.
var status = map[payment.Status]paymentsv1.PaymentStatus{
	payment.Pending:  paymentsv1.PaymentStatus_PAYMENT_STATUS_PENDING,
	payment.Charged:  paymentsv1.PaymentStatus_PAYMENT_STATUS_CHARGED,
	payment.Declined: paymentsv1.PaymentStatus_PAYMENT_STATUS_DECLINED,
	payment.Voiding:  paymentsv1.PaymentStatus_PAYMENT_STATUS_VOIDING,
	payment.Voided:   paymentsv1.PaymentStatus_PAYMENT_STATUS_VOIDED,
	payment.Refunded: paymentsv1.PaymentStatus_PAYMENT_STATUS_REFUNDED,
}

func amount(m money.Money) *moneyv1.Money {
	return &moneyv1.Money{Currency: m.Currency, MinorUnits: m.Minor}
}
