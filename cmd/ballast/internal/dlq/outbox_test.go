package dlq

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/ballast/pkg/lease"
	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/outbox"
	"example.com/ballast/pkg/testkit"
)

// TestOutbox: the operator's side of a service's dead rows, over more than a page
// and more than one call.
func TestOutbox(t *testing.T) {
	t.Parallel()
	pool := testkit.Postgres(t, fstest.MapFS{"00001_outbox.sql": {Data: []byte("-- +goose Up\n" + lease.Schema + outbox.Schema + outbox.DeadSchema)}})
	client, err := kgo.NewClient(outbox.ProducerOptions()...) // It is never used: the relay does not run.
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	mux := http.NewServeMux()
	outbox.NewRelay(outbox.Config{Pool: pool, Client: client, Lease: lease.New(pool, "outbox", "test", time.Second)}).Mount(mux)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	desk := Outbox{URL: server.URL}

	const rows = 1500
	packed := message.AppendPacked(nil, []message.Message{message.New("orders.events", "orders.v1.OrderPlaced", "/orders", "o-1", 3, []byte("v"), time.Now())})
	const insert = `insert into outbox_dead (outbox_id, messages, reason) select 1500 - n, $1, 'too large' from generate_series(1, $2) n`
	if _, err := pool.Exec(t.Context(), insert, packed, rows); err != nil {
		t.Fatal(err)
	}
	dead, err := desk.Rows(t.Context(), false)
	if err != nil || len(dead) != rows || dead[0].Messages[0].Key != "o-1" {
		t.Fatalf("%d rows, %v", len(dead), err)
	}
	if one, err := desk.Row(t.Context(), dead[7].ID); err != nil || string(one.Messages[0].Value) != "v" {
		t.Errorf("%+v, %v", one, err)
	}
	if _, err := desk.Row(t.Context(), 1<<40); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("a row that is not there: %v", err)
	}
	var ids []int64
	for _, d := range dead[1:] {
		ids = append(ids, d.ID)
	}
	for again := range 2 {
		done, err := desk.Decide(t.Context(), outbox.Replayed, outbox.Verdict{IDs: ids, By: "ada"})
		if want := []int{rows - 1, 0}[again]; err != nil || len(done) != want {
			t.Errorf("call %d replayed %d, %v; want %d", again, len(done), err, want)
		}
	}
	if _, err := desk.Decide(t.Context(), outbox.Discarded, outbox.Verdict{IDs: []int64{dead[0].ID}, By: "ada"}); err == nil || !strings.Contains(err.Error(), "why") {
		t.Errorf("discarded without a reason: %v", err)
	}
	if done, err := desk.Decide(t.Context(), outbox.Discarded, outbox.Verdict{IDs: []int64{dead[0].ID}, By: "ada", Why: "a test"}); err != nil || !slices.Equal(done, []int64{dead[0].ID}) {
		t.Errorf("discarded %v, %v", done, err)
	}
	if open, err := desk.Rows(t.Context(), false); err != nil || len(open) != 0 {
		t.Errorf("%d open, %v", len(open), err)
	}
	if all, err := desk.Rows(t.Context(), true); err != nil || len(all) != rows || all[0].Decision != outbox.Discarded || all[1].By != "ada" {
		t.Errorf("%d on record, %v", len(all), err)
	}
}
