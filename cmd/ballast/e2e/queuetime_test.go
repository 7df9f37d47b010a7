package e2e_test

import (
	"testing"
	"time"

	"example.com/ballast/cmd/ballast/internal/drill/queuetime"
)

// TestTimeInTheQueueIsWhatTheTopicsSay is the queue-time drill, short.
func TestTimeInTheQueueIsWhatTheTopicsSay(t *testing.T) {
	t.Parallel()
	report, err := queuetime.Run(t.Context(), options(t), queuetime.Config{
		Rate: 30, Steady: 2 * time.Second, Stop: 4 * time.Second, Stall: 2 * time.Second, Ways: []string{"frozen"},
	})
	judge(t, report, err)
}
