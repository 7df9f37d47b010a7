package rpc

import (
	"context"

	"go.opentelemetry.io/otel/trace"

	ordersv1 "example.com/ballast/gen/orders/v1"
	"example.com/ballast/pkg/edge"
	"example.com/ballast/pkg/message"
	"example.com/ballast/services/orders/internal/order"
)

// CancelOrder begins to undo an order of the caller, or, for an operator, of anybody.
func (s *Server) CancelOrder(ctx context.Context, req *ordersv1.CancelOrderRequest) (*ordersv1.CancelOrderResponse, error) {
	cancel := order.Cancel{Detail: req.GetReason()}
	if caller, _ := edge.Caller(ctx); caller.Operator {
		if req.GetReason() == "" {
			return nil, edge.FieldError("reason", "is required of an operator: it is kept in the order's history")
		}
		cancel = order.Cancel{By: order.By{Operator: caller.Customer, Reason: req.GetReason()}}
	}
	after, err := s.wish(ctx, req.GetOrderId(), req.GetExpectedVersion(), cancel)
	if err != nil {
		return nil, err
	}
	return &ordersv1.CancelOrderResponse{Order: after}, nil
}

// ResumeOrder lets an order wait anew, for operators.
func (s *Server) ResumeOrder(ctx context.Context, req *ordersv1.ResumeOrderRequest) (*ordersv1.ResumeOrderResponse, error) {
	by, err := operator(ctx, req.GetReason())
	if err != nil {
		return nil, err
	}
	after, err := s.wish(ctx, req.GetOrderId(), req.GetExpectedVersion(), order.Resume{By: by})
	if err != nil {
		return nil, err
	}
	return &ordersv1.ResumeOrderResponse{Order: after}, nil
}

// SettleOrder records how an order has ended, for operators.
func (s *Server) SettleOrder(ctx context.Context, req *ordersv1.SettleOrderRequest) (*ordersv1.SettleOrderResponse, error) {
	by, err := operator(ctx, req.GetReason())
	if err != nil {
		return nil, err
	}
	settle := order.Settle{By: by, As: order.Status(req.GetStatus())} //nolint:gosec // its rule allows two small values
	after, err := s.wish(ctx, req.GetOrderId(), req.GetExpectedVersion(), settle)
	if err != nil {
		return nil, err
	}
	return &ordersv1.SettleOrderResponse{Order: after}, nil
}

// operator is the caller, as the order's history will name them.
func operator(ctx context.Context, reason string) (order.By, error) {
	caller, _ := edge.Caller(ctx)
	return order.By{Operator: caller.Customer, Reason: reason}, edge.RequireOperator(ctx)
}

// wish tells an order that the caller may see what a person wants of it.
func (s *Server) wish(ctx context.Context, orderID string, onlyAt int64, wish order.Fact) (*ordersv1.Order, error) {
	view, err := s.owned(ctx, s.orders.Get, orderID)
	if err != nil {
		return nil, err
	}
	verdicts, err := s.orders.Tell(ctx, []order.Told{{
		Order: view.ID, Fact: wish, OnlyAt: onlyAt, Trace: message.TraceParent(ctx),
	}})
	if err == nil {
		err = verdicts[0].Err
	}
	if err != nil {
		return nil, forClient(err)
	}
	after := verdicts[0].State
	if placing := message.ParseTrace(after.Trace); placing.IsValid() {
		trace.SpanFromContext(ctx).AddLink(trace.Link{SpanContext: placing})
	}
	after.Lines = view.Lines
	return orderProto(order.View{State: after, Recipient: view.Recipient}), nil
}
