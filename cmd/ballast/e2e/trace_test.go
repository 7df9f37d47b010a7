package e2e_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/ballast/cmd/ballast/internal/traceview"
	ordersv1 "example.com/ballast/gen/orders/v1"
)

// What every message leads to: it is created below what caused it, sent by the
// relay, and processed by those who read it, both below the creation.
func hop(cause, topic, typ string, readers ...string) []string {
	create := "create " + typ
	edges := []string{cause + " -> " + create, create + " -> send " + topic}
	for _, reader := range readers {
		edges = append(edges, create+" -> "+reader+" processes "+typ)
	}
	return edges
}

// checkout are the edges up to the charge, which payments answers with the type.
func checkout(answer string) []string {
	const place = "PlaceOrder"
	return slices.Concat(
		hop(place, "orders.events", "OrderPlaced"),
		hop(place, "inventory.commands", "ReserveStock", "inventory"),
		hop("inventory processes ReserveStock", "inventory.events", "StockReserved", "orders"),
		hop("orders processes StockReserved", "orders.events", "OrderReserved"),
		hop("orders processes StockReserved", "payments.commands", "ChargePayment", "payments"),
		[]string{
			place + " -> flush intake",
			"payments processes ChargePayment -> provider create", "payments processes ChargePayment -> provider confirm",
			"payments processes ChargePayment -> flush results", "payments processes ChargePayment -> webhook",
		},
		hop("payments processes ChargePayment", "payments.events", answer, "orders"),
	)
}

// confirmed are the edges of an order that goes well.
func confirmed() []string {
	return slices.Concat(checkout("PaymentCharged"),
		hop("orders processes PaymentCharged", "orders.events", "OrderCharged"),
		hop("orders processes PaymentCharged", "inventory.commands", "ScheduleShipment", "inventory"),
		hop("inventory processes ScheduleShipment", "inventory.events", "ShipmentScheduled", "orders"),
		hop("orders processes ShipmentScheduled", "orders.events", "OrderConfirmed"),
		[]string{"create OrderConfirmed -> deliver WatchOrder"},
	)
}

// undone are the edges of an order whose charge is declined: the stock is released.
func undone() []string {
	return slices.Concat(checkout("PaymentDeclined"),
		hop("orders processes PaymentDeclined", "orders.events", "OrderCancellationStarted"),
		hop("orders processes PaymentDeclined", "inventory.commands", "ReleaseStock", "inventory"),
		hop("inventory processes ReleaseStock", "inventory.events", "StockReleased", "orders"),
		hop("orders processes StockReleased", "orders.events", "OrderStepUndone"),
		hop("orders processes StockReleased", "orders.events", "OrderCancelled"),
		[]string{"create OrderCancelled -> deliver WatchOrder"},
	)
}

// TestATraceHasEveryHop follows orders through every queue: each has one trace with
// one root, in which every span's parent is there, with all the edges that its way
// has and no others.
func TestATraceHasEveryHop(t *testing.T) {
	t.Parallel()
	p := start(t, "OTEL_TRACES_SAMPLER=always_on", "OTEL_BSP_SCHEDULE_DELAY=100", "RETRY_DELAYS=4s")
	p.stock(t.Context(), 100, "TRACED")

	p.followed("well", confirmed())

	p.faults(map[string]any{"decline_rate": 1})
	p.followed("declined", undone())
	p.faults(map[string]any{})

	// The second attempt comes out of the retry topic and succeeds.
	const retry, dlq = "create ChargePayment -> send payments.commands.payments.retry", "create ChargePayment -> send payments.commands.payments.dlq"
	p.panics(true)
	o := p.place("retried")
	o.sees(retry)
	p.panics(false)
	o.ends(append(confirmed(), retry))

	// It is given up, and an operator sends it again: it goes on where it was.
	p.panics(true)
	o = p.place("dead")
	o.sees(dlq)
	p.panics(false)
	p.must("dlq", "replay", "--order", o.order, "--yes")
	o.ends(append(confirmed(), retry, dlq))
	var attempts []string
	for _, s := range p.traceOf(o.order) {
		if s.Name == "process payments.commands" {
			attempts = append(attempts, fmt.Sprintf("%s %s %s %t", s.Attributes["stream.attempt"], s.Attributes["stream.outcome"], s.Attributes["stream.replays"], s.Error != ""))
		}
	}
	if diff := cmp.Diff([]string{"1 fault  true", "2 fault  true", "1 done 1 false"}, attempts); diff != "" {
		t.Errorf("attempts at the dead letter, their outcomes, replays and errors: %s", diff)
	}
	if page := p.must("trace", "--order", o.order); !strings.Contains(page, "ERROR: panic: a fault that was asked for") {
		t.Errorf("the tree shows no error:\n%s", page)
	}
}

// followed places an order, watches it to its end and compares its trace.
func (p *platform) followed(key string, want []string) {
	p.t.Helper()
	p.place(key).ends(want)
}

// follower watches one order.
type follower struct {
	*platform
	order string
	ended <-chan error
}

// place places an order and watches it. Payments stands still until the watch is
// there, so that the order's end comes to it as a message and not out of the store.
func (p *platform) place(key string) *follower {
	p.t.Helper()
	pid, _ := p.child("payments")
	signal := func(s syscall.Signal) {
		if err := syscall.Kill(pid, s); err != nil {
			p.t.Fatalf("%v to payments (%d): %v", s, pid, err)
		}
	}
	signal(syscall.SIGSTOP)
	defer signal(syscall.SIGCONT)
	o, err := p.Place(p.t.Context(), "traced", key, request("TRACED"))
	if err != nil {
		p.t.Fatal(err)
	}
	there, ended := make(chan struct{}), make(chan error, 1)
	var once sync.Once
	go func() {
		ended <- p.Watch(p.t.Context(), o.GetOrderId(), 0, func(*ordersv1.OrderEvent) error {
			once.Do(func() { close(there) })
			return nil
		})
	}()
	select {
	case <-there:
	case err := <-ended:
		p.t.Fatalf("watch order %s: %v", o.GetOrderId(), err)
	}
	return &follower{platform: p, order: o.GetOrderId(), ended: ended}
}

// ends awaits the order's end and compares its trace once it is whole.
func (f *follower) ends(want []string) {
	f.t.Helper()
	if err := <-f.ended; err != nil {
		f.t.Fatal(err)
	}
	last := want[len(want)-1]
	for _, edge := range want {
		if strings.HasSuffix(edge, "deliver WatchOrder") {
			last = edge
		}
	}
	f.sees(last)
	f.eventually("the trace is whole", func() bool { return len(missing(want, edges(f.t, f.traceOf(f.order)))) == 0 || f.t.Failed() })
	slices.Sort(want)
	got := edges(f.t, f.traceOf(f.order))
	if diff := cmp.Diff(slices.Compact(want), got); diff != "" {
		f.t.Errorf("edges of order %s: %s", f.order, diff)
	}
}

// sees waits until the order's trace has an edge.
func (f *follower) sees(edge string) {
	f.t.Helper()
	f.eventually(edge, func() bool { return slices.Contains(edges(f.t, f.traceOf(f.order)), edge) })
}

func missing(want, got []string) []string {
	return slices.DeleteFunc(slices.Clone(want), func(e string) bool { return slices.Contains(got, e) })
}

// traceOf is the trace that begins with the placing of the order.
func (p *platform) traceOf(order string) []traceview.Span {
	p.t.Helper()
	ids, err := traceview.TracesOf(p.home.Traces(), order)
	if err != nil {
		p.t.Fatal(err)
	}
	var found []traceview.Span
	for _, id := range ids {
		spans, err := traceview.Trace(p.home.Traces(), id)
		if err != nil {
			p.t.Fatal(err)
		}
		if slices.ContainsFunc(spans, func(s traceview.Span) bool { return strings.HasSuffix(s.Name, "/PlaceOrder") }) {
			if found != nil {
				p.t.Errorf("order %s has two traces of its placing", order)
			}
			found = spans
		}
	}
	return found
}

// edges are the pairs of parent and child of a trace, each once, without the
// statements of databases and without the deliveries before the last: those may
// have been read from the store.
func edges(t *testing.T, spans []traceview.Span) []string {
	t.Helper()
	byID := map[string]traceview.Span{}
	for _, s := range spans {
		byID[s.SpanID] = s
	}
	set := map[string]bool{}
	roots := 0
	for _, s := range spans {
		parent, there := byID[s.Parent]
		switch {
		case s.Parent == "":
			roots++
		case !there:
			roots += 2 // Its parent is not written yet, or is an orphan's.
		case s.Attributes["db.system.name"]+s.Attributes["db.system"] != "":
		case s.Name == "deliver WatchOrder" && !ended(parent):
		default:
			set[short(parent)+" -> "+short(s)] = true
		}
	}
	if len(spans) > 0 && roots != 1 {
		return nil
	}
	return slices.Sorted(maps.Keys(set))
}

func ended(s traceview.Span) bool {
	typ := s.Attributes["cloudevents.event_type"]
	return strings.HasSuffix(typ, ".OrderConfirmed") || strings.HasSuffix(typ, ".OrderCancelled")
}

// short names a span by what tells it from the others of its trace.
func short(s traceview.Span) string {
	typ := s.Attributes["cloudevents.event_type"]
	typ = typ[strings.LastIndex(typ, ".")+1:]
	switch s.Kind {
	case "producer":
		if s.Attributes["messaging.operation.name"] == "create" {
			return "create " + typ
		}
	case "consumer":
		if typ != "" {
			return s.Service + " processes " + typ
		}
	case "server":
		return s.Name[strings.LastIndex(s.Name, "/")+1:]
	}
	return s.Name
}
