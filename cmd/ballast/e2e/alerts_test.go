//go:build observability

package e2e_test

import (
	"testing"

	"example.com/ballast/cmd/ballast/internal/drill/alerts"
)

// TestAlertsFireAndTheirRunbooksClearThem is the drill of that name for four causes:
// a dependency, a consumer, a leader and an order.
func TestAlertsFireAndTheirRunbooksClearThem(t *testing.T) {
	t.Parallel()
	report, err := alerts.Run(t.Context(), options(t), alerts.Config{
		Only: []string{"BreakerOpen", "ConsumerPaused", "NobodyLeads", "OrderNeedsOperator"}, Rate: 10, Faster: 60,
	})
	judge(t, report, err)
}
