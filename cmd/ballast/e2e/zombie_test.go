package e2e_test

import (
	"testing"
	"time"

	"example.com/ballast/cmd/ballast/internal/drill/zombie"
)

// TestAPausedLeaderDoesNoHarm is the zombie drill for one leader.
func TestAPausedLeaderDoesNoHarm(t *testing.T) {
	t.Parallel()
	report, err := zombie.Run(t.Context(), options(t), zombie.Config{Leases: []string{"payments/outbox"}, Rate: 20, After: time.Second})
	judge(t, report, err)
}
