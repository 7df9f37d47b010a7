package poison

import (
	"context"
	"encoding/json"
	"fmt"
	"syscall"
	"time"

	"connectrpc.com/connect"
	"github.com/twmb/franz-go/pkg/kadm"

	"example.com/ballast/cmd/ballast/internal/api"
	"example.com/ballast/cmd/ballast/internal/drill"
	"example.com/ballast/cmd/ballast/internal/stack"
	ordersv1 "example.com/ballast/gen/orders/v1"
	"example.com/ballast/pkg/kafka"
	"example.com/ballast/pkg/stream"
)

const (
	// flagsSeenWithin is how long a running service takes to see a flag.
	flagsSeenWithin = 2 * time.Second
	// drainWithin bounds the wait for consumers to finish what was given to them.
	drainWithin = time.Minute
	// cancelled is how many orders are cancelled whose charge is a dead letter.
	cancelled = 5
)

// settle is what an operator does after the fix: some of the customers have lost
// patience meanwhile and cancelled; the panics are replayed, the rest discarded.
func (p *play) settle(ctx context.Context) error {
	p.reportLetters(ctx)
	lost, err := p.cancel(ctx)
	if err != nil {
		return err
	}
	p.Say("the handlers are mended: replay what they panicked at")
	if out, err := p.Run(ctx, "dlq", "replay", "--reason", stream.ReasonFault, "--yes"); err != nil {
		return fmt.Errorf("dlq replay: %w\n%s", err, out)
	}
	if err := p.idle(ctx); err != nil {
		return err
	}
	p.letters.await(ctx, time.Second, func() bool { return false }) // what came back
	p.reportReplay(ctx)
	if err := p.checkCancelled(ctx, lost); err != nil {
		return err
	}
	if err := p.replayAgain(ctx); err != nil {
		return err
	}
	if err := p.restart(ctx); err != nil {
		return err
	}
	if out, err := p.Run(ctx, "dlq", "discard", "--reason", "poison of a drill", "--yes"); err != nil {
		return fmt.Errorf("dlq discard: %w\n%s", err, out)
	}
	return nil
}

// cancel cancels orders whose ChargePayment lies in the DLQ, and waits until they
// are. One that orders has sent again meanwhile is confirmed, and not among them.
func (p *play) cancel(ctx context.Context) ([]string, error) {
	stranded := p.stranded(ctx)
	var open, ids []string
	err := p.EachOrder(ctx, func(o *ordersv1.Order) {
		if o.GetStatus() == ordersv1.OrderStatus_ORDER_STATUS_RESERVED && len(open) < cancelled && stranded[o.GetOrderId()] {
			open = append(open, o.GetOrderId())
		}
	})
	if err != nil {
		return nil, err
	}
	for _, id := range open {
		_, err := api.Do(ctx, p.Client, p.Orders.CancelOrder, &ordersv1.CancelOrderRequest{OrderId: id, Reason: "lost patience"})
		switch {
		case err == nil:
			ids = append(ids, id)
		case connect.CodeOf(err) != connect.CodeFailedPrecondition:
			return nil, fmt.Errorf("cancel %s: %w", id, err)
		}
	}
	return ids, p.until(ctx, "the orders are cancelled", func() (bool, error) {
		n, err := p.count(ctx, ids, ordersv1.OrderStatus_ORDER_STATUS_CANCELLED)
		return n == len(ids), err
	})
}

// count counts those of the orders that have a status.
func (p *play) count(ctx context.Context, ids []string, status ordersv1.OrderStatus) (int, error) {
	n := 0
	for _, id := range ids {
		res, err := api.Do(ctx, p.Client, p.Orders.GetOrder, &ordersv1.GetOrderRequest{OrderId: id})
		if err != nil {
			return 0, err
		}
		if res.GetOrder().GetStatus() == status {
			n++
		}
	}
	return n, nil
}

// checkCancelled looks into the provider's book for charges of cancelled orders.
func (p *play) checkCancelled(ctx context.Context, ids []string) error {
	charged := 0
	err := p.EachBookLine(ctx, func(line api.BookLine) {
		for _, id := range ids {
			if line.OrderID == id {
				charged++
			}
		}
	})
	if err != nil {
		return err
	}
	still, err := p.count(ctx, ids, ordersv1.OrderStatus_ORDER_STATUS_CANCELLED)
	p.report.Check(len(ids) > 0 && charged == 0 && still == len(ids), "a charge that is replayed after its order was cancelled charges nothing",
		"%d orders cancelled, %d movements in the provider's book", len(ids), charged)
	return err
}

// replayAgain sends every panic once more, as an operator does who forgot that
// it was done.
func (p *play) replayAgain(ctx context.Context) error {
	before, err := p.state(ctx)
	if err != nil {
		return err
	}
	n := 0
	for _, f := range feeds {
		for _, letter := range p.letters.byDLQ[f.dlq()] {
			o, _ := stream.ReadOrigin(letter)
			if o.Reason != stream.ReasonFault {
				continue
			}
			if err := p.client.ProduceSync(ctx, stream.ReplayRecord(letter, o)).FirstErr(); err != nil {
				return fmt.Errorf("replay to %s: %w", f.retry(), err)
			}
			n++
		}
	}
	if err := p.idle(ctx); err != nil {
		return err
	}
	after, err := p.state(ctx)
	p.report.Check(n > 0 && before == after, "a second replay changes nothing", "%d messages; before %s, after %s", n, before, after)
	return err
}

// state sums up what a replay could change.
func (p *play) state(ctx context.Context) (string, error) {
	var versions, entries, lines int64
	if err := p.EachOrder(ctx, func(o *ordersv1.Order) { versions += o.GetVersion() }); err != nil {
		return "", err
	}
	books, err := p.Reconcile(ctx, p.shop.placed())
	if err != nil {
		return "", err
	}
	entries, lines = int64(books.LedgerEntries), int64(books.BookLines)
	return fmt.Sprintf("%d versions of orders, %d ledger entries, %d lines of the provider's book", versions, entries, lines), nil
}

// restart kills orders, poisons the catalogue while it is away, and waits until
// it serves again.
func (p *play) restart(ctx context.Context) error {
	p.Say("kill orders, and poison the catalogue that it reads at its start")
	state, err := p.State()
	if err != nil {
		return err
	}
	catalogue := feeds[len(feeds)-1]
	if err := p.Signal("orders", syscall.SIGKILL); err != nil {
		return err
	}
	began := time.Now()
	const n = 20
	letters := len(p.letters.byDLQ[catalogue.dlq()])
	for i := range n {
		r := p.make(ctx, catalogue, []kind{notAMessage, badBytes, unknownType, invalid}[i%4], nil)
		if err := p.client.ProduceSync(ctx, r).FirstErr(); err != nil {
			return fmt.Errorf("poison the catalogue: %w", err)
		}
	}
	if err := stack.AwaitSuccessor(ctx, p.Home, state.Named("orders")[0]); err != nil {
		return err
	}
	if err := p.until(ctx, "an order is taken", func() (bool, error) { _, err := p.place(ctx, -1); return err == nil, nil }); err != nil {
		return err
	}
	took := time.Since(began)
	if err := p.idle(ctx); err != nil {
		return err
	}
	dead := func() int { return len(p.letters.byDLQ[catalogue.dlq()]) - letters }
	p.letters.await(ctx, 5*time.Second, func() bool { return dead() >= n })
	p.report.Check(dead() == n, "orders comes up behind a poisoned catalogue", "it took an order %s after its end; %d of %d bad messages dead-lettered",
		drill.Millis(took), dead(), n)
	return nil
}

// idle waits until every group has finished all that it was given.
func (p *play) idle(ctx context.Context) error {
	admin := kadm.NewClient(p.client)
	return p.until(ctx, "the consumers are done", func() (bool, error) {
		for _, f := range feeds {
			lag, err := kafka.Lag(ctx, admin, f.group)
			if err != nil {
				return false, err
			}
			for _, topic := range []string{f.topic, f.retry()} {
				for _, n := range lag[topic] {
					if n > 0 {
						return false, nil
					}
				}
			}
		}
		return true, nil
	})
}

// left is how many dead letters nobody has decided about, as operators see it.
func (p *play) left(ctx context.Context) (int, error) {
	out, err := p.Run(ctx, "dlq", "list", "--json", "--limit", "1")
	if err != nil {
		return 0, fmt.Errorf("dlq list: %w\n%s", err, out)
	}
	var list struct {
		Total int `json:"total"`
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return 0, fmt.Errorf("dlq list: %w\n%s", err, out)
	}
	return list.Total, nil
}

func (p *play) until(ctx context.Context, what string, ok func() (bool, error)) error {
	for deadline := time.Now().Add(drainWithin); ; {
		done, err := ok()
		if done || err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not within %s: %s", drainWithin, what)
		}
		if err := drill.Sleep(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
}
