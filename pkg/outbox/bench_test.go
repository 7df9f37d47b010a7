package outbox

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/testkit"
)

// The relay's throughput with eight writers and 64 messages a transaction.
func BenchmarkRelay(b *testing.B) {
	s := setup(b)
	r := s.relay("one")
	s.run(r)
	msgs := make([]message.Message, 64)
	for i := range msgs {
		msgs[i] = s.msg(key(i), 1)
		msgs[i].Value = make([]byte, 200)
	}
	testkit.Eventually(b, "it leads", func() bool { return r.Stats().Epoch > 0 })
	b.ResetTimer()
	var g errgroup.Group
	g.SetLimit(8)
	for range b.N {
		g.Go(func() error {
			defer r.Signal()
			return s.tryQueue(msgs...)
		})
	}
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
	testkit.Eventually(b, "outbox is empty", s.empty)
	b.ReportMetric(float64(b.N*len(msgs))/b.Elapsed().Seconds(), "messages/s")
}

// From the commit to the broker's acknowledgement of a single message.
func BenchmarkLatency(b *testing.B) {
	s := setup(b)
	r := s.relay("one")
	s.run(r)
	testkit.Eventually(b, "it leads", func() bool { return r.Stats().Epoch > 0 })
	for range b.N {
		before := r.Stats().Published
		s.queue(s.msg("a", 1))
		r.Signal()
		for r.Stats().Published == before {
			time.Sleep(50 * time.Microsecond)
		}
	}
}

// A turn's select while another session's old snapshot keeps dead rows: with
// the hint, as the loop runs it, and from zero, as the scan does.
func BenchmarkSelectBesideAnOldSnapshot(b *testing.B) {
	const dead = 300_000
	s := setup(b)
	old, err := s.pool.Begin(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = old.Rollback(b.Context()) }()
	for _, sql := range []string{
		"set local idle_in_transaction_session_timeout = 0",
		"set transaction isolation level repeatable read",
		"select count(*) from outbox",
	} {
		if _, err := old.Exec(b.Context(), sql); err != nil {
			b.Fatal(err)
		}
	}
	fill := &pgx.Batch{}
	fill.Queue(fmt.Sprintf("insert into outbox (messages) select 'x' from generate_series(1, %d)", dead))
	fill.Queue("delete from outbox")
	if err := s.pool.SendBatch(b.Context(), fill).Close(); err != nil {
		b.Fatal(err)
	}
	s.queue(s.msg("a", 1))
	for name, hint := range map[string]int64{"hint": dead, "zero": 0} {
		b.Run(name, func(b *testing.B) {
			t := newTerm(s.relay("one"), 1)
			for range b.N {
				t.window.hint = hint
				if rows, err := t.fetch(b.Context(), fetchRows); err != nil || len(rows) != 1 {
					b.Fatalf("%d rows, %v; want 1", len(rows), err)
				}
			}
		})
	}
}
