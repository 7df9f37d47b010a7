package rpc

import (
	"context"
	"time"

	ordersv1 "example.com/ballast/gen/orders/v1"
	"example.com/ballast/gen/orders/v1/ordersv1connect"
	"example.com/ballast/pkg/edge"
	"example.com/ballast/pkg/ids"
	"example.com/ballast/services/orders/internal/order"
)

// Bounds of a stream, by judgement; the proto promises them.
const (
	// heartbeat is below the idle timeouts of usual proxies (60 s) by far.
	heartbeat = 10 * time.Second
	// maxStream is how long a place can be held by a connection that nobody reads,
	// and by a token that has expired. It also moves streams to new replicas.
	maxStream = 15 * time.Minute
	// catchUpTimeout bounds one reading of the store.
	catchUpTimeout = 5 * time.Second
)

// Updates are the events of one order as they happen. They are kept up to a
// bound; what is beyond it is in the store.
type Updates interface {
	// Changed receives when there is something to take.
	Changed() <-chan struct{}
	// Take returns what has come since the last time, and whether anything was
	// left out of it.
	Take() (events []order.Recorded, missed bool)
	// Close ends them.
	Close()
}

// WatchOrder streams the events of an order of the caller.
func (s *Server) WatchOrder(ctx context.Context, req *ordersv1.WatchOrderRequest, stream ordersv1connect.OrderServiceWatchOrderServerStream) error {
	view, err := s.owned(ctx, s.orders.Get, req.GetOrderId())
	if err != nil {
		return err
	}
	if req.GetAfterVersion() > view.Version {
		return edge.FieldError("after_version", "is higher than the order's version")
	}
	// First the updates, then the store: what is committed between the two is in
	// one of them, or in both.
	updates, err := s.orders.Subscribe(ctx, view.ID)
	if err != nil {
		return forClient(err)
	}
	defer updates.Close()
	if err := stream.SendHeaders(); err != nil {
		return err
	}
	caller, _ := edge.Caller(ctx)
	w := watch{
		id: view.ID, after: req.GetAfterVersion(), operator: caller.Operator,
		updates: updates, history: s.orders.History, send: stream.Send,
	}
	err = w.run(ctx)
	if ctx.Err() != nil {
		return ctx.Err() // The edge knows why: the client left, or the process drains.
	}
	return forClient(err)
}

// watch is one stream. The store is what it trusts; the updates tell it when to
// go on, and spare it the reading as long as they leave no gap.
type watch struct {
	id       ids.ID
	after    int64 // what the client has seen before
	operator bool
	state    order.State // after the last event that was delivered or seen before
	updates  Updates
	history  func(context.Context, ids.ID) ([]order.Recorded, error)
	send     func(*ordersv1.WatchOrderResponse) error
}

func (w *watch) run(ctx context.Context) error {
	if err := w.catchUp(ctx); err != nil {
		return err
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	end := time.NewTimer(maxStream)
	defer end.Stop()
	for w.state.Status != order.Confirmed && w.state.Status != order.Cancelled {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-end.C:
			return errStreamOld
		case <-w.updates.Changed():
			if err := w.update(ctx); err != nil {
				return err
			}
		case <-beat.C:
			// The broker may be away, and with it the updates: the store knows. When
			// that is away too, the updates may go on, and the next beat looks again.
			_ = w.catchUp(ctx)
			if err := w.send(&ordersv1.WatchOrderResponse{}); err != nil {
				return err
			}
		}
	}
	return nil
}

// update delivers what has come, and reads what is missing.
func (w *watch) update(ctx context.Context) error {
	events, missed := w.updates.Take()
	gap, err := w.deliver(ctx, events)
	if err == nil && (gap || missed) {
		err = w.catchUp(ctx)
	}
	return err
}

func (w *watch) catchUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, catchUpTimeout)
	defer cancel()
	events, err := w.history(ctx, w.id)
	if err != nil {
		return err
	}
	_, err = w.deliver(ctx, events)
	return err
}

// deliver sends each next version, once. A version that is not the next leaves a
// gap, and what comes behind it is left to the store.
func (w *watch) deliver(ctx context.Context, events []order.Recorded) (gap bool, err error) {
	for _, r := range events {
		if r.Version <= w.state.Version {
			continue
		}
		if r.Version > w.state.Version+1 {
			return true, nil
		}
		w.state = order.Evolve(w.state, r)
		if r.Version <= w.after {
			continue
		}
		delivered := delivering(ctx, r)
		err := w.send(&ordersv1.WatchOrderResponse{Event: eventProto(r, w.state.Status, w.operator)})
		delivered(err)
		if err != nil {
			return false, err
		}
	}
	return false, nil
}
