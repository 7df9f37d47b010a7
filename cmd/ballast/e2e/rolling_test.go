package e2e_test

import (
	"path/filepath"
	"testing"
	"time"

	"example.com/ballast/cmd/ballast/internal/drill"
	"example.com/ballast/cmd/ballast/internal/drill/rolling"
)

// TestARollingRestartIsSeenByNoCustomer is the drill of that name without its
// kills: every process of two replicas of every service is restarted under load.
func TestARollingRestartIsSeenByNoCustomer(t *testing.T) {
	t.Parallel()
	report, err := rolling.Run(t.Context(), options(t), rolling.Config{Rate: 50, Calm: time.Second})
	judge(t, report, err)
}

// options make a drill use the binaries of the tests.
func options(t *testing.T) drill.Options {
	t.Helper()
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	return drill.Options{Self: filepath.Join(bin, "ballast"), Broker: broker, Out: t.Output()}
}

// judge fails the test for every check of a drill that fails.
func judge(t *testing.T, report *drill.Report, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if err := report.Print(t.Output()); err != nil {
		t.Error(err)
	}
	for _, c := range report.Checks {
		if !c.OK {
			t.Errorf("%s: %s", c.Name, c.Seen)
		}
	}
}
