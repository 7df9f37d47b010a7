package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"example.com/ballast/pkg/money"
	"example.com/ballast/pkg/testkit"
	"example.com/ballast/services/orders/internal/events"
	"example.com/ballast/services/orders/internal/order"
	"example.com/ballast/services/orders/internal/postgres"
)

// measured is a store whose commits are measured, and a clock.
type measured struct {
	*postgres.Store
	*testkit.Metrics
	now time.Time
}

func measure(t *testing.T) *measured {
	t.Helper()
	m := &measured{Metrics: testkit.NewMetrics(), now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	m.Store = postgres.New(postgres.Config{
		Pool: testkit.Postgres(t, postgres.Migrations()), Codec: events.Codec{}, Committed: newSagas(t.Context(), m.Meter("test")).committed, Now: func() time.Time { return m.now },
		Policy: order.Policy{ResendAfter: 30 * time.Second, MaxResends: 1, CompensateAfter: 10 * time.Minute},
	})
	product := order.Product{SKU: "A", Price: money.Money{Currency: "GBP", Minor: 255}, Version: 1}
	if err := m.UpsertProducts(t.Context(), []order.Product{product}); err != nil {
		t.Fatal(err)
	}
	return m
}

func placement(key string) order.Placement {
	return order.Placement{Customer: "c", Key: key, RequestHash: []byte("h"), Country: "GB", Wanted: []order.Wanted{{SKU: "A", Quantity: 1}}}
}

// story places an order and tells it the facts, a second apart, each of them twice:
// what a broker delivers again must not be counted again.
func (m *measured) story(t *testing.T, key string, facts ...order.Fact) {
	t.Helper()
	p := placement(key)
	placed := m.Place(t.Context(), []order.Placement{p, p})
	again := m.Place(t.Context(), []order.Placement{p})
	if err := errors.Join(placed[0].Err, placed[1].Err, again[0].Err); err != nil {
		t.Fatal(err)
	}
	for _, f := range facts {
		m.now = m.now.Add(time.Second)
		for range 2 {
			told := []order.Told{{Order: placed[0].Value.ID, Fact: f}, {Order: placed[0].Value.ID, Fact: f}}
			if _, err := m.Tell(t.Context(), told); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestSagasAreCountedOnce through the real store: an order that was confirmed, one
// that was cancelled at once, one that was undone, one that nobody answers.
func TestSagasAreCountedOnce(t *testing.T) {
	t.Parallel()
	m := measure(t)
	yes := func(step order.Step) order.Fact { return order.Answer{Step: step, Outcome: order.Done, Version: 1} }
	no := func(step order.Step) order.Fact { return order.Answer{Step: step, Outcome: order.Rejected, Version: 1} }
	undone := func(step order.Step) order.Fact { return order.Answer{Step: step, Outcome: order.Undone, Version: 2} }
	m.story(t, "confirmed", yes(order.Reserve), yes(order.Charge), yes(order.Ship))
	m.story(t, "out of stock", no(order.Reserve))
	m.story(t, "declined", yes(order.Reserve), no(order.Charge), undone(order.Reserve))
	m.story(t, "changed my mind", yes(order.Reserve), order.Cancel{}, undone(order.Charge), undone(order.Reserve))
	m.story(t, "nobody answers", order.Cancel{})
	m.waitOut(t)

	got := m.sagas(t)
	want := map[string]float64{
		"orders.transitions{status=PLACED}": 5, "orders.transitions{status=RESERVED}": 3, "orders.transitions{status=CHARGED}": 1,
		"orders.transitions{status=CONFIRMED}": 1, "orders.transitions{status=CANCELLING}": 3,
		"orders.transitions{status=CANCELLED}": 3, "orders.transitions{status=NEEDS_OPERATOR}": 1,
		"orders.compensations{step=reserve}": 2, "orders.compensations{step=charge}": 1, "orders.compensations{step=ship}": 0,
		"orders.checkout.duration{outcome=confirmed}": 1, "orders.checkout.duration.sum{outcome=confirmed}": 3,
		"orders.checkout.duration{outcome=cancelled}": 3, "orders.checkout.duration.sum{outcome=cancelled}": 1 + 3 + 4,
		"orders.checkout.duration{outcome=needs_operator}": 1, "orders.checkout.duration.sum{outcome=needs_operator}": 1 + 60 + 3600,
		"orders.ended.in.time":               1, // out of stock
		"orders.step.duration{step=reserve}": 4, "orders.step.duration.sum{step=reserve}": 4,
		"orders.step.duration{step=charge}": 2, "orders.step.duration.sum{step=charge}": 2,
		"orders.step.duration{step=ship}": 1, "orders.step.duration.sum{step=ship}": 1,
		"orders.step.duration{step=undo_reserve}": 2, "orders.step.duration.sum{step=undo_reserve}": 2,
		"orders.step.duration{step=undo_charge}": 1, "orders.step.duration.sum{step=undo_charge}": 1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestCountersBeginWithZero: of what a process counts before its first scrape nobody
// would see that it rose, and an objective would take its good orders for failed.
func TestCountersBeginWithZero(t *testing.T) {
	t.Parallel()
	m := testkit.NewMetrics()
	newSagas(t.Context(), m.Meter("test"))
	got, err := m.Values(t)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"orders.transitions{status=PLACED}", "orders.ended.in.time"} {
		if _, begun := got[name]; !begun {
			t.Errorf("%s has no value at the start: %v", name, got)
		}
	}
}

// waitOut lets the sweeper look at what waits: first it sends the command again,
// then it gives up.
func (m *measured) waitOut(t *testing.T) {
	t.Helper()
	for _, wait := range []time.Duration{time.Minute, time.Hour} {
		m.now = m.now.Add(wait)
		if _, err := m.Sweep(t.Context(), 10, []order.Step{order.Reserve}); err != nil {
			t.Fatal(err)
		}
	}
}

func (m *measured) sagas(t *testing.T) map[string]float64 {
	t.Helper()
	values, err := m.Values(t)
	if err != nil {
		t.Fatal(err)
	}
	for name := range values {
		if !strings.HasPrefix(name, "orders.") {
			delete(values, name)
		}
	}
	return values
}

// TestWhoLosesCountsNothing: of several that tell an order the same at once, one
// commits; the others decide again, and their first decisions never were.
func TestWhoLosesCountsNothing(t *testing.T) {
	t.Parallel()
	m := measure(t)
	const orders, tellers = 20, 4
	for i := range orders {
		placed := m.Place(t.Context(), []order.Placement{placement(fmt.Sprint(i))})
		told := []order.Told{{Order: placed[0].Value.ID, Fact: order.Answer{Step: order.Reserve, Outcome: order.Done, Version: 1}}}
		var group errgroup.Group
		for range tellers {
			group.Go(func() error { _, err := m.Tell(t.Context(), told); return err })
		}
		if err := errors.Join(placed[0].Err, group.Wait()); err != nil {
			t.Fatal(err)
		}
	}
	got := m.sagas(t)
	for _, name := range []string{"orders.transitions{status=PLACED}", "orders.transitions{status=RESERVED}", "orders.step.duration{step=reserve}"} {
		if got[name] != orders {
			t.Errorf("%s is %v, want %d", name, got[name], orders)
		}
	}
}

// TestExemplarsAreTheOrdersOwn: two orders that are told their facts in one batch
// lead to two traces.
func TestExemplarsAreTheOrdersOwn(t *testing.T) {
	t.Parallel()
	m := measure(t)
	const format = "00-%032x-00000000000000ff-01"
	var told []order.Told
	want := map[float64]string{} // by seconds that the order has waited
	for i := range 2 {
		placed := m.Place(t.Context(), []order.Placement{placement(fmt.Sprint(i))})
		if placed[0].Err != nil {
			t.Fatal(placed[0].Err)
		}
		told = append(told, order.Told{
			Order: placed[0].Value.ID, Fact: order.Answer{Step: order.Reserve, Outcome: order.Done, Version: 1}, Trace: fmt.Sprintf(format, i+1),
		})
		want[float64(20-10*i)] = fmt.Sprintf("%032x", i+1)
		m.now = m.now.Add(10 * time.Second)
	}
	if _, err := m.Tell(t.Context(), told); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, m.Exemplars(t, "orders.step.duration")); diff != "" {
		t.Error(diff)
	}
}
