package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"connectrpc.com/connect/v2"

	ordersv1 "example.com/ballast/gen/orders/v1"
	"example.com/ballast/pkg/edge"
)

// silence is how long a stream may say nothing before it counts as dead: it
// gives a sign of life every 10 seconds.
const silence = 30 * time.Second

// errVersions means that a stream broke its promise: each version once, in order.
var errVersions = errors.New("the stream's versions have a gap or a repetition")

// Watch calls each for the versions of an order after the given one, each once
// and in order, and returns nil when the order has ended. A stream that breaks
// is taken up behind the last version, on another replica if there is one, until
// nothing has come for as long as the configured wait.
func (c *Client) Watch(ctx context.Context, orderID string, after int64, each func(*ordersv1.OrderEvent) error) error {
	w := &watcher{client: c, request: &ordersv1.WatchOrderRequest{OrderId: orderID, AfterVersion: after}, each: each}
	w.alive()
	for {
		err := w.stream(ctx)
		if err == nil || ctx.Err() != nil {
			return err
		}
		var failed *attemptError
		if !errors.As(err, &failed) || !Transient(err) || time.Since(w.seen) > c.wait {
			return err
		}
		c.Retries.add(codeName(err))
		pause := rand.N(min(maxPause, firstPause<<min(w.failures, 10)))
		w.failures++
		if absent(err) && w.route.leave(failed.after) {
			failed.after = 0 // that was one replica's; another is there
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(failed.after + pause):
		}
	}
}

// watcher is one Watch over its streams.
type watcher struct {
	client   *Client
	request  *ordersv1.WatchOrderRequest
	each     func(*ordersv1.OrderEvent) error
	route    route
	seen     time.Time // the last sign of life
	failures int       // since then
}

func (w *watcher) alive() { w.seen, w.failures = time.Now(), 0 }

// stream reads one stream to its end. Errors of the stream are attemptErrors.
func (w *watcher) stream(ctx context.Context) error {
	token, err := w.client.signer.token(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	dead := time.AfterFunc(silence, cancel)
	defer dead.Stop()
	ctx, info := connect.NewClientContext(edge.WithToken(w.route.in(ctx), token))
	fail := func(err error) error { return &attemptError{error: err, after: retryAfter(err, info)} }
	stream, err := w.client.Orders.WatchOrder(ctx, w.request)
	if err != nil {
		return fail(err)
	}
	defer func() { _ = stream.Close() }() // what it can say was received
	for {
		res, err := stream.Receive()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fail(err)
		}
		dead.Reset(silence)
		w.alive()
		event := res.GetEvent()
		if event == nil {
			continue
		}
		if event.GetVersion() != w.request.GetAfterVersion()+1 {
			return fmt.Errorf("%w: %d came after %d", errVersions, event.GetVersion(), w.request.GetAfterVersion())
		}
		w.request.AfterVersion = event.GetVersion()
		if err := w.each(event); err != nil {
			return err
		}
	}
}
