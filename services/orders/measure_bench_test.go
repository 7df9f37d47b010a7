package main

import (
	"testing"
	"time"

	"example.com/ballast/pkg/ids"
	"example.com/ballast/pkg/testkit"
	"example.com/ballast/services/orders/internal/order"
)

// BenchmarkSagas is the cost of measuring one order from its placing to its
// confirmation: four changes of one event.
func BenchmarkSagas(b *testing.B) {
	sagas := newSagas(b.Context(), testkit.NewMetrics().Meter("bench"))
	at := time.Now()
	events := []order.Event{
		order.WasPlaced{ID: ids.New()}, order.StepDone{Step: order.Reserve}, order.StepDone{Step: order.Charge}, order.StepDone{Step: order.Ship},
	}
	var changes [][]order.Change
	var state order.State
	for i, e := range events {
		r := order.Recorded{Order: state.ID, Version: int64(i + 1), At: at, Event: e}
		after := order.Evolve(state, r)
		changes = append(changes, []order.Change{{Before: state, After: after, Events: []order.Recorded{r}}})
		state = after
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, c := range changes {
			sagas.committed(b.Context(), c)
		}
	}
}
