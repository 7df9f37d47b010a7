package postgres

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"example.com/ballast/services/inventory/internal/stock"
)

// BenchmarkApply is the cost of one order: a reservation and a shipment, in
// batches of orders of each size, on a catalogue as large as the real one.
func BenchmarkApply(b *testing.B) {
	const skus = 4000
	for _, shape := range []struct{ batch, lines int }{{1, 3}, {32, 3}, {128, 3}, {256, 3}, {128, 21}} {
		b.Run(fmt.Sprintf("batch=%d/lines=%d", shape.batch, shape.lines), func(b *testing.B) {
			s := setup(b)
			units := make(map[string]int32, skus)
			for i := range skus {
				units[fmt.Sprintf("%05d", i)] = 1 << 30
			}
			s.shelve(units)
			b.ResetTimer()
			next := 0
			for range b.N / shape.batch {
				var reservations, shipments []stock.Command
				for range shape.batch {
					next++
					var lines []stock.Line
					for range shape.lines {
						lines = append(lines, line(fmt.Sprintf("%05d", rand.IntN(skus)), 1))
					}
					lines, _ = stock.Fold(lines)
					reservations = append(reservations, reserve(next, lines...))
					shipments = append(shipments, ship(next))
				}
				s.mustApply(reservations...)
				s.mustApply(shipments...)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "orders/s")
		})
	}
}
