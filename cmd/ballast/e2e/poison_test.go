package e2e_test

import (
	"testing"
	"time"

	"example.com/ballast/cmd/ballast/internal/drill/poison"
)

// TestPoisonStaysWhereItIs is the poison drill in small: what nobody can handle
// is in the DLQs as a set, good orders are confirmed, replays mend what panicked.
func TestPoisonStaysWhereItIs(t *testing.T) {
	t.Parallel()
	report, err := poison.Run(t.Context(), options(t), poison.Config{
		// Other stacks run on this machine at the same time, and a calm stretch of
		// 30 orders has no p99: that good orders are not slower is the drill's to judge.
		Count: 10, Rate: 10, Phase: 3 * time.Second, Rounds: 1, Seed: 1,
	})
	judge(t, report, err)
}
