package inbox_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/ballast/pkg/inbox"
	"example.com/ballast/pkg/testkit"
)

// TestCounter is not parallel: the meter provider is the process's.
func TestCounter(t *testing.T) {
	metrics := testkit.GlobalMetrics(t)
	counter := inbox.NewCounter()
	counter.Add(t.Context(), inbox.Claims{Fresh: []bool{true, false, true, false, false, true}, Outside: 1})
	counter.Add(t.Context(), inbox.Claims{}) // a transaction that failed
	got, err := metrics.Values(t)
	want := map[string]float64{
		"inbox.messages{outcome=new}": 2, "inbox.messages{outcome=outside}": 1, "inbox.messages{outcome=duplicate}": 3,
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
}
