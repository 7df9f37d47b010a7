package e2e_test

import (
	"testing"
	"time"

	"example.com/ballast/cmd/ballast/internal/drill/dependency"
)

// TestAnOutageStaysWhereItIs is two cells of the dependency drill: with Kafka and
// with the database of another service in a black hole, orders are taken, nothing
// is dead-lettered, and all of it ends well.
func TestAnOutageStaysWhereItIs(t *testing.T) {
	t.Parallel()
	report, err := dependency.Run(t.Context(), options(t), dependency.Config{
		Only: []string{"kafka", "postgres-inventory"}, Faults: []string{"black-hole"},
		Rate: 20, Lasts: 3 * time.Second, Calm: 2 * time.Second,
		// Long: other stacks run on this machine at the same time.
		Deadline: 5 * time.Second,
	})
	judge(t, report, err)
}
