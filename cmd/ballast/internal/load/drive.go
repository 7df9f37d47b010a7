package load

import (
	"context"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"example.com/ballast/cmd/ballast/internal/api"
	ordersv1 "example.com/ballast/gen/orders/v1"
)

// endWithin is how long an order may take to its end before it counts as not
// ended, and how long the orders of a phase are waited for after it.
const endWithin = 30 * time.Second

// maxInFlight bounds the calls that the open model has under way at once. An
// arrival beyond it is not sent and counts as refused: the generator's memory
// is a limit too, and hiding it would be coordinated omission.
const maxInFlight = 8192

// buyers is the number of customers that the orders are spread over.
const buyers = 256

// driver sends orders.
type driver struct {
	client *api.Client
	watch  *watcher
	lines  int
	run    string // makes the idempotency keys of this run its own
	next   atomic.Int64
}

func newDriver(client *api.Client, watch *watcher, lines int) *driver {
	return &driver{client: client, watch: watch, lines: lines, run: uuid.NewString()}
}

// send places one order that was meant to be sent at the given time and returns
// the channel that is closed at its end, nil when it was refused.
func (d *driver) send(ctx context.Context, p *phase, meant time.Time) <-chan struct{} {
	n := d.next.Add(1)
	p.sentOne()
	req := &ordersv1.PlaceOrderRequest{ShipTo: &ordersv1.Address{Country: "GB"}}
	// Steps of one stride never meet within an order, and need no shuffling.
	first, stride := rand.IntN(skus), 1+rand.IntN(skus/d.lines)
	for i := range d.lines {
		req.Lines = append(req.Lines, &ordersv1.LineRequest{Sku: sku((first + i*stride) % skus), Quantity: 1})
	}
	customer := "load-" + strconv.FormatInt(n%buyers, 10)
	order, err := d.client.Place(ctx, customer, d.run+"-"+strconv.FormatInt(n, 10), req)
	if err != nil {
		p.answered(0, api.Refusal(err))
		return nil
	}
	p.answered(time.Since(meant), "")
	return d.watch.placed(order.GetOrderId(), p, meant)
}

// closed runs clients that each send the next order when the last one has ended.
func (d *driver) closed(ctx context.Context, p *phase, clients int, duration time.Duration) {
	until := time.Now().Add(duration)
	var group sync.WaitGroup
	for range clients {
		group.Go(func() {
			for time.Now().Before(until) && ctx.Err() == nil {
				done := d.send(ctx, p, time.Now())
				if done == nil {
					_ = sleep(ctx, time.Now().Add(refusedPause)) // ctx is looked at above
					continue
				}
				timeout := time.NewTimer(endWithin)
				select {
				case <-done:
				case <-timeout.C:
					p.lost()
				case <-ctx.Done():
				}
				timeout.Stop()
			}
		})
	}
	group.Wait()
}

// refusedPause keeps a client whose order was refused from spinning.
const refusedPause = 100 * time.Millisecond

// open sends orders at a rate, whatever the answers: arrivals are independent
// of each other (a Poisson process), and each order's time counts from the
// moment it was meant to be sent. The returned function waits until the orders
// sent have ended.
func (d *driver) open(ctx context.Context, p *phase, perSecond float64, duration time.Duration) (drain func()) {
	var group sync.WaitGroup
	slots := make(chan struct{}, maxInFlight)
	meant := time.Now()
	halfway, until, looked := meant.Add(duration/2), meant.Add(duration), false
	for {
		meant = meant.Add(time.Duration(rand.ExpFloat64() / perSecond * float64(time.Second)))
		if meant.After(until) || sleep(ctx, meant) != nil {
			break
		}
		if !looked && meant.After(halfway) {
			p.look()
			looked = true
		}
		select {
		case slots <- struct{}{}:
		default:
			p.sentOne()
			p.answered(0, "not sent: the generator has "+strconv.Itoa(maxInFlight)+" calls under way")
			continue
		}
		at := meant
		group.Go(func() {
			defer func() { <-slots }()
			d.send(ctx, p, at)
		})
	}
	p.look()
	return func() {
		group.Wait()
		d.settle(ctx, p)
	}
}

// settle waits until no order is open and counts those that do not end.
func (d *driver) settle(ctx context.Context, p *phase) {
	const look = 20 * time.Millisecond
	for until := time.Now().Add(endWithin); d.watch.open() > 0; {
		if time.Now().After(until) || sleep(ctx, time.Now().Add(look)) != nil {
			for range d.watch.open() {
				p.lost()
			}
			return
		}
	}
}

// sleep returns at the given time, or earlier with ctx's error.
func sleep(ctx context.Context, until time.Time) error {
	wait := time.Until(until)
	if wait <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
