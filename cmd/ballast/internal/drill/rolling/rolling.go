// Package rolling restarts every process of every service under load, and then
// kills one of each without a warning. Two replicas of each service run, and the
// customers' client goes to the other when one is away. What it shows: a restart
// in good order is seen by no customer, and a crash delays orders by no more
// than the session timeout of the dead process.
package rolling

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"example.com/ballast/cmd/ballast/internal/api"
	"example.com/ballast/cmd/ballast/internal/drill"
	"example.com/ballast/cmd/ballast/internal/stack"
	inventoryv1 "example.com/ballast/gen/inventory/v1"
	ordersv1 "example.com/ballast/gen/orders/v1"
	paymentsv1 "example.com/ballast/gen/payments/v1"
)

// How late an order may be for a crash, by service: the session timeout of the
// consumers, 6 s, after which the broker gives their partitions to the other
// replica, and as much again for the lease of an outbox, 5 s. A payment that was
// under way waits for its own lease, 30 s: nobody may charge beside a process
// that may still be alive.
var takeoverBound = map[string]time.Duration{
	"orders-1": 12 * time.Second, "inventory-1": 12 * time.Second, "payments-1": 36 * time.Second,
}

// killedFor is how long a killed replica's window lasts: its partitions have been
// taken over by then.
const killedFor = 12 * time.Second

// Config says how much of it.
type Config struct {
	// Rate of calls a second.
	Rate float64
	// Calm is the length of the stretch before the first restart and after each
	// fault.
	Calm time.Duration
	// Kills adds kill -9 of one replica of each service.
	Kills bool
}

// Run runs the drill.
func Run(ctx context.Context, o drill.Options, cfg Config) (*drill.Report, error) {
	o.Up = append(o.Up, "--replicas", "2")
	s, err := drill.Start(ctx, o)
	if err != nil {
		return nil, err
	}
	p := &play{Stack: s, cfg: cfg, shop: newShop(s.Client)}
	report, err := p.run(ctx)
	return report, errors.Join(err, s.Close(ctx))
}

// window is a stretch of the drill.
type window struct {
	name     string
	from, to time.Time
	retries  map[string]int
	process  string        // what became of the process that was ended
	bound    time.Duration // how late an order may be, 0 when nothing was killed
}

type play struct {
	*drill.Stack

	cfg     Config
	shop    *shop
	traffic *drill.Traffic
	windows []window
}

func (p *play) run(ctx context.Context) (*drill.Report, error) {
	if err := p.Stock(ctx, 1_000_000, sku); err != nil {
		return nil, err
	}
	before, err := p.leaks(ctx)
	if err != nil {
		return nil, err
	}
	p.traffic = drill.Drive(ctx, p.cfg.Rate, p.shop.call)
	defer p.traffic.Stop()
	if err := p.faults(ctx); err != nil {
		return nil, err
	}
	p.traffic.Stop()
	p.Say("comparing the books of %d orders", len(p.shop.placed()))
	books, err := p.Reconcile(ctx, p.shop.placed())
	if err != nil {
		return nil, err
	}
	latencies, err := p.Ends(ctx)
	if err != nil {
		return nil, err
	}
	after, err := p.leaks(ctx)
	if err != nil {
		return nil, err
	}
	return p.report(books, latencies, before, after)
}

// faults restarts and kills, with calm stretches around.
func (p *play) faults(ctx context.Context) error {
	calm := func() error { return drill.Sleep(ctx, p.cfg.Calm) }
	// The first calls open connections and fill caches.
	if err := drill.Sleep(ctx, time.Second); err != nil {
		return err
	}
	if err := p.watch("nothing happens", func() (string, error) { return "", calm() }); err != nil {
		return err
	}
	state, err := p.State()
	if err != nil {
		return err
	}
	for _, service := range []string{"orders", "inventory", "payments"} {
		for _, child := range state.Named(service) {
			if err := p.watch("restart of "+child.Name, func() (string, error) { return p.restart(ctx, child.Name) }); err != nil {
				return err
			}
		}
	}
	if err := p.watch("after the restarts", func() (string, error) { return "", calm() }); err != nil {
		return err
	}
	if !p.cfg.Kills {
		return nil
	}
	for _, child := range []string{"orders-1", "inventory-1", "payments-1"} {
		if err := p.watch("kill -9 of "+child, func() (string, error) { return p.kill(ctx, child) }); err != nil {
			return err
		}
		p.windows[len(p.windows)-1].bound = takeoverBound[child]
	}
	return nil
}

// watch runs one stretch and notes when it was and what was retried meanwhile.
func (p *play) watch(name string, stretch func() (process string, err error)) error {
	p.Say("%s", name)
	began, retries := time.Now(), p.Retries.Counts()
	process, err := stretch()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	since := p.Retries.Counts()
	for code, n := range retries {
		since[code] -= n
	}
	p.windows = append(p.windows, window{name: name, from: began, to: time.Now(), retries: since, process: process})
	return nil
}

func (p *play) restart(ctx context.Context, child string) (string, error) {
	var done stack.Restarted
	err := stack.Restart(ctx, p.Home, []string{child}, true, func(r stack.Restarted) { done = r })
	return fmt.Sprintf("gone after %.2f s, ready after %.2f s", done.Gone.Seconds(), done.Ready.Seconds()), err
}

// kill ends a process at once, and waits until its partitions must have been
// taken over.
func (p *play) kill(ctx context.Context, child string) (string, error) {
	state, err := p.State()
	if err != nil {
		return "", err
	}
	began := time.Now()
	if err := p.Signal(child, syscall.SIGKILL); err != nil {
		return "", err
	}
	if err := stack.AwaitSuccessor(ctx, p.Home, state.Named(child)[0]); err != nil {
		return "", err
	}
	ready := time.Since(began)
	return fmt.Sprintf("successor ready after %.2f s", ready.Seconds()), drill.Sleep(ctx, killedFor-ready)
}

const sku = "ROLLING"

// readAfter is how many calls later an order is read that was placed: most have
// ended by then.
const readAfter = 50

// call makes the n-th call: six in ten place an order, the others read from
// every service.
func (s *shop) call(ctx context.Context, n int) (kind string, err error) {
	switch n % 10 {
	case 1, 6:
		id := s.earlier(readAfter)
		if id == "" {
			break // nothing to read yet
		}
		_, err = api.Do(ctx, s.client, s.client.Orders.GetOrder, &ordersv1.GetOrderRequest{OrderId: id})
		return "read order", err
	case 3:
		_, err = api.Do(ctx, s.client, s.client.Inventory.GetProduct, &inventoryv1.GetProductRequest{Sku: sku})
		return "read product", err
	case 8:
		_, err = api.Do(ctx, s.client, s.client.Payments.ListPayments, &paymentsv1.ListPaymentsRequest{PageSize: 1})
		return "list payments", err
	}
	return placing, s.place(ctx, n)
}
