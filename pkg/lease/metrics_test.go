package lease_test

import (
	"testing"
	"time"

	"example.com/ballast/pkg/testkit"
)

// TestTheGaugesFollowTheLease: who stopped leading shows no 1, or the sum over all
// processes would be 2 after a takeover. Not parallel: the meter provider is the
// process's.
func TestTheGaugesFollowTheLease(t *testing.T) {
	metrics := testkit.GlobalMetrics(t)
	pool := testkit.Postgres(t, migrations)
	const leading = "lease.leading{lease=" + name + "}"
	value := func() float64 {
		values, err := metrics.Values(t)
		if err != nil {
			t.Fatal(err)
		}
		return values[leading]
	}
	epochs := make(chan int64, 2)
	stop := run(t, candidate(pool, "a", time.Second), untilCancelled(epochs))
	<-epochs
	if value() != 1 {
		t.Errorf("the leader shows %v", value())
	}
	stop()
	if value() != 0 {
		t.Errorf("who has stopped shows %v", value())
	}
	late := candidate(pool, "late", time.Second)
	run(t, late, untilCancelled(epochs))
	<-epochs
	// Another takes over behind its back: at the latest when it can't renew, it knows.
	if _, err := pool.Exec(t.Context(), "update lease set holder = 'another', epoch = epoch + 1, expires_at = now() + interval '1 minute'"); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "who has lost the lease shows no 1", func() bool { return value() == 0 })
}
