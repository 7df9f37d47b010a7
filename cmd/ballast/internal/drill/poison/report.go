package poison

import (
	"context"
	"fmt"
	"strings"
	"time"

	"example.com/ballast/cmd/ballast/internal/drill"
	ordersv1 "example.com/ballast/gen/orders/v1"
	"example.com/ballast/pkg/stream"
)

// work is what the services have done since they started.
type work struct {
	taken   float64 // records polled from the source topics
	handled float64 // records that handlers were called with
	calls   float64 // calls of the payment provider
}

func (w work) less(o work) work {
	return work{w.taken - o.taken, w.handled - o.handled, w.calls - o.calls}
}

func (p *play) work(ctx context.Context) (work, error) {
	var w work
	for _, service := range services {
		m, err := p.Scrape(ctx, service)
		if err != nil {
			return w, err
		}
		w.taken += m.Sum("stream_broker_wait_seconds")
		w.handled += m.Total("stream_batch")
		w.calls += m.Sum("payments_provider_call_duration_seconds")
	}
	return w, nil
}

// reportLetters says what is in the DLQs: exactly the poison.
func (p *play) reportLetters(ctx context.Context) {
	table := drill.Table{Title: "What was injected, and is a dead letter of its group", Head: []string{"topic", "group"}}
	for _, k := range kinds {
		table.Head = append(table.Head, string(k))
	}
	table.Head = append(table.Head, "written twice", "struck among the good")
	var found int
	var wrong []string
	for _, f := range feeds {
		v := p.examine(ctx, f)
		row := []string{f.topic, f.group}
		for _, k := range kinds {
			row = append(row, fmt.Sprint(v.byKind[k]))
			found += v.byKind[k]
		}
		table.Rows = append(table.Rows, append(row, fmt.Sprint(v.twice), fmt.Sprint(v.natural)))
		wrong = append(append(wrong, v.spoilt...), v.strange...)
	}
	p.report.Tables = append(p.report.Tables, table)
	p.report.Check(found == len(p.injected), "all poison is in the DLQ of its group, byte for byte, with its reason", "%d of %d", found, len(p.injected))
	p.report.Check(len(wrong) == 0, "nothing else is there", "%d others%s", len(wrong), examples(wrong))
}

// reportReplay: what the mended handlers were given again is not back.
func (p *play) reportReplay(ctx context.Context) {
	replayed, back := 0, 0
	for _, f := range feeds {
		for _, r := range p.letters.byDLQ[f.dlq()] {
			switch o, _ := stream.ReadOrigin(r); {
			case o.Replays > 0:
				back++
			case o.Reason == stream.ReasonFault:
				replayed++
			}
		}
	}
	p.report.Check(replayed > 0 && back == 0, "a replay after the fix clears the panics", "%d replayed, %d came back", replayed, back)
}

// judge compares the books and what customers saw.
func (p *play) judge(ctx context.Context) error {
	left, err := p.left(ctx)
	if err != nil {
		return err
	}
	p.report.Check(left == 0, "the rest is discarded, on record", "%d letters left", left)
	books, err := p.Reconcile(ctx, p.shop.placed())
	if err != nil {
		return err
	}
	p.report.Check(len(books.Differences) == 0, "the books agree", "%s; %d differences", drill.Counts(books.Orders), len(books.Differences))
	return p.reportOrders(ctx)
}

// reportOrders compares calm stretches with poisoned ones, by the orders that no
// panic struck.
func (p *play) reportOrders(ctx context.Context) error {
	took := make([][]time.Duration, len(p.stretches))
	paid := make([]float64, len(p.stretches)) // a panic keeps its order from being paid
	var good, struck, unconfirmed int
	err := p.EachOrder(ctx, func(o *ordersv1.Order) {
		hit := p.struckAnywhere(ctx, o.GetOrderId())
		confirmed := o.GetStatus() == ordersv1.OrderStatus_ORDER_STATUS_CONFIRMED
		switch {
		case hit:
			struck++
		case confirmed:
			good++
		default:
			unconfirmed++
		}
		for i, s := range p.stretches {
			at := o.GetCreateTime().AsTime()
			if at.Before(s.from) || !at.Before(s.to) {
				continue
			}
			if !hit || !s.poisoned {
				paid[i]++
			}
			if !hit && confirmed {
				took[i] = append(took[i], o.GetUpdateTime().AsTime().Sub(at))
			}
		}
	})
	if err != nil {
		return err
	}
	table := drill.Table{
		Title: "Good orders, from PlaceOrder to their end",
		Head:  []string{"stretch", "orders", "p50", "p99", "slowest", "records handled per record taken", "provider calls per order"},
	}
	all := map[bool][]time.Duration{}
	calls := map[bool]float64{}
	orders := map[bool]float64{}
	for i, s := range p.stretches {
		name := map[bool]string{false: "calm", true: "poisoned"}[s.poisoned]
		table.Rows = append(table.Rows, []string{
			name, fmt.Sprint(len(took[i])), drill.Millis(drill.Quantile(took[i], .5)), drill.Millis(drill.Quantile(took[i], .99)),
			drill.Millis(drill.Quantile(took[i], 1)), fmt.Sprintf("%.2f", s.work.handled/max(s.work.taken, 1)), fmt.Sprintf("%.2f", s.work.calls/max(paid[i], 1)),
		})
		all[s.poisoned] = append(all[s.poisoned], took[i]...)
		calls[s.poisoned] += s.work.calls
		orders[s.poisoned] += paid[i]
	}
	p.report.Tables = append(p.report.Tables, table)
	p.report.Check(good > 0 && unconfirmed == 0, "every good order is confirmed", "%d of %d; the panics struck %d others", good, good+unconfirmed, struck)
	if p.cfg.Ratio == 0 {
		return nil
	}
	calm, poisoned := drill.Quantile(all[false], .99), drill.Quantile(all[true], .99)
	ratio := float64(poisoned) / float64(max(calm, 1))
	p.report.Check(calm > 0 && ratio < p.cfg.Ratio, fmt.Sprintf("their p99 is less than %.3g times that of calm stretches", p.cfg.Ratio),
		"%s against %s: %.2f times", drill.Millis(poisoned), drill.Millis(calm), ratio)
	amplification := calls[true] / max(orders[true], 1) / (calls[false] / max(orders[false], 1))
	p.report.Check(amplification <= 1.1, "the provider is not asked more often", "%.2f times as often per order", amplification)
	return nil
}

// examples quotes the first few.
func examples(all []string) string {
	if len(all) == 0 {
		return ""
	}
	return ": " + strings.Join(all[:min(len(all), 3)], "; ")
}
