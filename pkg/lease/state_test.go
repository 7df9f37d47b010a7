package lease_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"example.com/ballast/pkg/lease"
	"example.com/ballast/pkg/testkit"
)

func TestStateTellsWhoLeads(t *testing.T) {
	t.Parallel()
	pool := testkit.Postgres(t, migrations)
	epochs := make(chan int64, 1)
	a, b := candidate(pool, "a", time.Second), candidate(pool, "b", time.Second)
	stop := run(t, a, untilCancelled(epochs))
	<-epochs
	mux := http.NewServeMux()
	lease.Mount(mux, func() []*lease.Lease { return []*lease.Lease{a, b} }, func(context.Context) bool { return false })
	ask := func() (states []lease.State) {
		t.Helper()
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/leases", nil))
		if err := json.Unmarshal(w.Body.Bytes(), &states); err != nil || len(states) != 2 {
			t.Fatalf("%s: %v", w.Body, err)
		}
		return states
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/leases/"+name+"/stall?for=1s", nil))
	if w.Code != http.StatusForbidden {
		t.Errorf("a stall that nobody asked for is answered %d", w.Code)
	}
	first := ask()
	if s := first[0]; !s.Leading || s.Epoch != 1 || s.Since.IsZero() || s.Name != name || s.Holder != "a" {
		t.Errorf("the leader says %+v", s)
	}
	if s := first[1]; s.Leading || s.Epoch != 0 {
		t.Errorf("the other says %+v", s)
	}
	testkit.Eventually(t, "the term is prolonged", func() bool { return ask()[0].Expires.After(first[0].Expires) })
	stop()
	if s := ask()[0]; s.Leading || s.Epoch != 1 {
		t.Errorf("the leader that was stopped says %+v", s)
	}
}

// A leader is paused inside a transaction that holds the lease's row. The database
// ends the transaction, another takes over, and what the first one writes then is
// refused.
func TestTakeoverIsNotBlockedByAnOpenTransaction(t *testing.T) {
	t.Parallel()
	pool := testkit.Postgres(t, migrations)
	epochs := make(chan int64, 2)
	a := candidate(pool, "a", time.Second)
	stop := run(t, a, untilCancelled(epochs))
	<-epochs
	if err := candidate(pool, "b", time.Second).Stall(t.Context(), time.Second); err == nil {
		t.Error("who does not lead has nothing to stall")
	}
	stop() // a itself would only renew; it plays dead
	if _, err := pool.Exec(t.Context(), "update lease set expires_at = now() + interval '200 ms'"); err != nil {
		t.Fatal(err)
	}
	if err := a.Stall(t.Context(), 4*time.Second); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	run(t, candidate(pool, "b", time.Second), untilCancelled(epochs))
	if got := <-epochs; got != 2 || time.Since(began) > 3500*time.Millisecond {
		t.Errorf("epoch %d after %v; want 2, once the transaction was ended", got, time.Since(began))
	}
	testkit.Eventually(t, "the stale write is refused", func() bool { return a.State().Stale == 1 })
}
