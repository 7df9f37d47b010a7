package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	moneyv1 "example.com/ballast/gen/money/v1"
	paymentsv1 "example.com/ballast/gen/payments/v1"
	"example.com/ballast/gen/payments/v1/paymentsv1connect"
	"example.com/ballast/pkg/edge"
	"example.com/ballast/pkg/money"
	"example.com/ballast/services/payments/internal/payment"
	"example.com/ballast/services/payments/internal/rpc"
)

const (
	order   = "01936d5e-8f00-7000-8000-000000000001"
	missing = "01936d5e-8f00-7000-8000-000000000009"
)

var (
	gbp  = money.Money{Currency: "GBP", Minor: 1250}
	when = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	paid = payment.Payment{
		OrderID: order, Status: payment.Charged, Amount: gbp, Version: 2, IntentID: "pi_1", Attempts: 3, Updated: when,
	}
)

// setup serves fakes behind the real edge, to an operator and to a customer.
func setup(t *testing.T) (operator, customer paymentsv1connect.PaymentServiceClient) {
	t.Helper()
	keys, err := edge.NewKeyPair()
	if err != nil {
		t.Fatal(err)
	}
	server, err := edge.NewServer(edge.Config{Logger: slog.New(slog.DiscardHandler), Verifier: edge.NewVerifier(keys.Public)})
	if err != nil {
		t.Fatal(err)
	}
	paymentsv1connect.RegisterPaymentServiceHandler(server.RPC, rpc.New(rpc.Payments{
		Get: func(_ context.Context, id string) (payment.Payment, error) {
			if id != order {
				return payment.Payment{}, payment.ErrNotFound
			}
			return paid, nil
		},
		List: func(_ context.Context, after string, limit int) ([]payment.Payment, error) {
			if after >= order {
				return nil, nil
			}
			return []payment.Payment{paid}[:min(1, limit)], nil
		},
		Ledger: func(_ context.Context, after int64, limit int) (page []payment.Posted, _ error) {
			for id := after + 1; id <= 3 && len(page) < limit; id++ {
				page = append(page, payment.Posted{ID: id, Time: when, Entry: payment.Entry{
					OrderID: order, Kind: payment.PostingCharge, Account: payment.ProviderReceivable, Amount: gbp,
				}})
			}
			return page, nil
		},
		Reconcile: func(_ context.Context, from payment.Mark) (payment.Reconciliation, error) {
			if from == (payment.Mark{}) {
				return payment.Reconciliation{Compared: 3, Next: payment.Mark{Time: when, Entry: 9}}, nil
			}
			if !from.Time.Equal(when) || from.Entry != 9 {
				return payment.Reconciliation{}, fmt.Errorf("goes on from %v", from)
			}
			return payment.Reconciliation{
				Compared: 7, Debits: 5, Credits: 5,
				Differences: []payment.Difference{{OrderID: order, IntentID: "pi_1", Problem: "p"}},
			}, nil
		},
	}))
	handler, err := server.Handler()
	if err != nil {
		t.Fatal(err)
	}
	listener := httptest.NewServer(handler)
	t.Cleanup(listener.Close)
	client := func(id edge.Identity) paymentsv1connect.PaymentServiceClient {
		token, err := edge.Sign(keys.Private, id, time.Now(), time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		return paymentsv1connect.NewPaymentServiceClient(edge.NewClient(listener.URL, token))
	}
	return client(edge.Identity{Customer: "ops", Operator: true}), client(edge.Identity{Customer: "17850"})
}

func TestGetPayment(t *testing.T) {
	t.Parallel()
	operator, _ := setup(t)
	got, err := operator.GetPayment(t.Context(), &paymentsv1.GetPaymentRequest{OrderId: order})
	if err != nil {
		t.Fatal(err)
	}
	want := &paymentsv1.GetPaymentResponse{Payment: &paymentsv1.Payment{
		OrderId: order, Status: paymentsv1.PaymentStatus_PAYMENT_STATUS_CHARGED,
		Amount: &moneyv1.Money{Currency: "GBP", MinorUnits: 1250}, PaymentIntentId: "pi_1", Version: 2, Attempts: 3,
		UpdateTime: timestamppb.New(when),
	}}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("payment (-want +got):\n%s", diff)
	}
	for id, code := range map[string]connect.Code{missing: connect.CodeNotFound, "7": connect.CodeInvalidArgument} {
		if _, err := operator.GetPayment(t.Context(), &paymentsv1.GetPaymentRequest{OrderId: id}); connect.CodeOf(err) != code {
			t.Errorf("order %s: error is %v, want %s", id, err, code)
		}
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	operator, _ := setup(t)
	var tokens []string
	for token := "first"; token != ""; {
		if token == "first" {
			token = ""
		}
		got, err := operator.ListLedgerEntries(t.Context(), &paymentsv1.ListLedgerEntriesRequest{PageSize: 2, PageToken: token})
		if err != nil {
			t.Fatal(err)
		}
		token = got.GetNextPageToken()
		tokens = append(tokens, token)
	}
	if diff := cmp.Diff([]string{"2", ""}, tokens); diff != "" {
		t.Errorf("pages of the ledger (-want +got):\n%s", diff)
	}
	first, err := operator.ListPayments(t.Context(), &paymentsv1.ListPaymentsRequest{PageSize: 1})
	if err != nil || first.GetNextPageToken() != order {
		t.Fatalf("first page of payments: %v, %v", first, err)
	}
	second, err := operator.ListPayments(t.Context(), &paymentsv1.ListPaymentsRequest{PageSize: 1, PageToken: order})
	if err != nil || len(second.GetPayments()) != 0 || second.GetNextPageToken() != "" {
		t.Errorf("second page of payments: %v, %v", second, err)
	}
	_, err1 := operator.ListPayments(t.Context(), &paymentsv1.ListPaymentsRequest{PageToken: "x"})
	_, err2 := operator.ListLedgerEntries(t.Context(), &paymentsv1.ListLedgerEntriesRequest{PageToken: "-1"})
	_, err3 := operator.Reconcile(t.Context(), &paymentsv1.ReconcileRequest{PageToken: "7"})
	for _, err := range []error{err1, err2, err3} {
		if connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("a made-up token: %v", err)
		}
	}
}

func TestReconcile(t *testing.T) {
	t.Parallel()
	operator, _ := setup(t)
	first, err := operator.Reconcile(t.Context(), &paymentsv1.ReconcileRequest{})
	if err != nil || first.GetCompared() != 3 || first.GetNextPageToken() == "" {
		t.Fatalf("the first page: %v, %v", first, err)
	}
	got, err := operator.Reconcile(t.Context(), &paymentsv1.ReconcileRequest{PageToken: first.GetNextPageToken()})
	if err != nil {
		t.Fatal(err)
	}
	want := &paymentsv1.ReconcileResponse{
		Compared: 7, Debits: 5, Credits: 5,
		Differences: []*paymentsv1.Difference{{OrderId: order, PaymentIntentId: "pi_1", Problem: "p"}},
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("reconciliation (-want +got):\n%s", diff)
	}
}

func TestBookAway(t *testing.T) {
	t.Parallel()
	s := rpc.New(rpc.Payments{Reconcile: func(context.Context, payment.Mark) (payment.Reconciliation, error) {
		return payment.Reconciliation{}, fmt.Errorf("reconcile: %w", payment.ErrBookAway)
	}})
	ctx := edge.WithCaller(t.Context(), edge.Identity{Customer: "ops", Operator: true})
	if _, err := s.Reconcile(ctx, &paymentsv1.ReconcileRequest{}); connect.CodeOf(err) != connect.CodeUnavailable {
		t.Errorf("a provider that is away: %v", err)
	}
}

func TestOperatorsOnly(t *testing.T) {
	t.Parallel()
	_, customer := setup(t)
	_, err1 := customer.GetPayment(t.Context(), &paymentsv1.GetPaymentRequest{OrderId: order})
	_, err2 := customer.ListPayments(t.Context(), &paymentsv1.ListPaymentsRequest{})
	_, err3 := customer.ListLedgerEntries(t.Context(), &paymentsv1.ListLedgerEntriesRequest{})
	_, err4 := customer.Reconcile(t.Context(), &paymentsv1.ReconcileRequest{})
	for i, err := range []error{err1, err2, err3, err4} {
		if connect.CodeOf(err) != connect.CodePermissionDenied {
			t.Errorf("call %d of a customer: %v", i+1, errors.Unwrap(err))
		}
	}
}
