package outbox

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"example.com/ballast/pkg/lease"
	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/testkit"
)

func TestPublishesEachMessageOnceAndInOrder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.relay("one")
	b.run(r)
	const keys, versions = 5, 40
	for v := int64(1); v <= versions; v++ {
		var msgs []message.Message
		for k := range keys {
			msgs = append(msgs, b.msg(key(k), v))
		}
		b.queue(msgs...)
		r.Signal()
	}
	testkit.Eventually(t, "outbox is empty", b.empty)
	if repeated := inOrder(t, b.log(b.topic), keys, versions); repeated != 0 {
		t.Errorf("%d messages were published again, though nothing failed", repeated)
	}
	testkit.Eventually(t, "depth and age return to zero", func() bool {
		s := r.Stats()
		return s.Published == keys*versions && s.Depth == 0 && s.Age == 0
	})
}

// In particular no NOTIFY: all commits with one wait for each other.
func TestQueueAddsOneStatement(t *testing.T) {
	t.Parallel()
	var b pgx.Batch
	Queue(t.Context(), &b, nil)
	if b.Len() != 0 {
		t.Errorf("%d statements for no messages; want none", b.Len())
	}
	Queue(t.Context(), &b, make([]message.Message, 3))
	if b.Len() != 1 {
		t.Errorf("%d statements for three messages; want one", b.Len())
	}
}

func TestRolledBackMessagesAreNotPublished(t *testing.T) {
	t.Parallel()
	b := setup(t)
	tx, err := b.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	batch := &pgx.Batch{}
	Queue(t.Context(), batch, []message.Message{b.msg("rolled back", 1)})
	if err := tx.SendBatch(t.Context(), batch).Close(); err != nil {
		t.Fatal(err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.queue(b.msg("committed", 1))
	b.run(b.relay("one"))
	testkit.Eventually(t, "outbox is empty", b.empty)
	inOrder(t, b.log(b.topic), 1, 1)
}

// A row that commits after a row with a greater id was published is published
// too: at once while its gap is young, by the scan when it is not.
func TestRowThatCommitsLateIsNotSkipped(t *testing.T) {
	t.Parallel()
	for name, hold := range map[string]time.Duration{"gap": 0, "scan": gapAge + 200*time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			r := b.relay("one")
			b.run(r)
			b.queue(b.msg("first", 1)) // Or there is no hint.
			testkit.Eventually(t, "the first is published", b.empty)

			late, err := b.pool.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = late.Rollback(context.WithoutCancel(t.Context())) }() // After a failure.
			batch := &pgx.Batch{}
			Queue(t.Context(), batch, []message.Message{b.msg("late", 1)})
			if err := late.SendBatch(t.Context(), batch).Close(); err != nil {
				t.Fatal(err)
			}
			b.queue(b.msg("early", 1)) // Takes the next id and commits first.
			testkit.Eventually(t, "the early one is published", b.empty)
			if _, err := late.Exec(t.Context(), "select pg_sleep($1)", hold.Seconds()); err != nil {
				t.Fatal(err)
			}
			if err := late.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			r.Signal()
			testkit.Eventually(t, "the late one is published", b.empty)
			inOrder(t, b.log(b.topic), 3, 1)
		})
	}
}

func TestOneOfTwoRelaysPublishes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	relays := []*Relay{b.relay("one"), b.relay("two")}
	stops := []func(){b.run(relays[0]), b.run(relays[1])}
	const keys, versions = 8, 60
	leader := func() int {
		for i, r := range relays {
			if r.Stats().Epoch > 0 {
				return i
			}
		}
		return -1
	}
	testkit.Eventually(t, "one leads", func() bool { return leader() >= 0 })
	write := func(from, to int64) {
		var g errgroup.Group
		for k := range keys {
			g.Go(func() error {
				for v := from; v <= to; v++ {
					if err := b.tryQueue(b.msg(key(k), v)); err != nil {
						return err
					}
					relays[k%2].Signal()
				}
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	write(1, versions/2)
	testkit.Eventually(t, "outbox is empty", b.empty)
	first := leader()
	stops[first]()
	write(versions/2+1, versions)
	testkit.Eventually(t, "the other takes over", b.empty)
	if repeated := inOrder(t, b.log(b.topic), keys, versions); repeated != 0 {
		t.Errorf("%d messages were published twice, though leadership was handed over", repeated)
	}
	if s := relays[1-first].Stats(); s.Epoch != 2 {
		t.Errorf("the second leader has epoch %d; want 2", s.Epoch)
	}
}

// The leader hears of another process's commit at once, not by polling.
func TestSignalReachesTheLeaderInAnotherProcess(t *testing.T) {
	t.Parallel()
	b := setup(t)
	leader, other := b.relay("leader"), b.relay("other")
	leader.Poll = time.Hour
	b.run(leader)
	testkit.Eventually(t, "it leads", func() bool { return leader.Stats().Epoch > 0 })
	b.run(other)
	for i := range 3 {
		b.queue(b.msg(key(i), 1))
		other.Signal()
		testkit.Eventually(t, "it is published", func() bool { return leader.Stats().Published == int64(i+1) })
		// The turn that deletes looks for more, too: after it the leader rests.
		testkit.Eventually(t, "its row is deleted", b.empty)
	}
}

// Rows stay until the broker has acknowledged, and a leader that comes back
// after its successor began changes nothing but repetitions.
func TestStaleLeaderBuriesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.relay("paused")
	const takeover = `insert into lease (name, holder, epoch, expires_at) values ('outbox', 'successor', 2, now() + interval '1 hour')`
	if _, err := b.pool.Exec(t.Context(), takeover); err != nil {
		t.Fatal(err)
	}
	big := b.msg("big", 1)
	big.Value = make([]byte, 2<<20)
	b.queue(big)
	if _, err := newTerm(r, 1).turn(t.Context()); !lease.Stale(err) {
		t.Errorf("a leader of an old epoch: %v; want it refused", err)
	}
	if rows, dead := b.count("outbox"), b.count("outbox_dead"); rows != 1 || dead != 0 {
		t.Errorf("%d rows and %d dead; want 1 and 0", rows, dead)
	}
	if _, err := newTerm(r, 2).turn(t.Context()); err != nil {
		t.Errorf("the leader of this epoch: %v", err)
	}
	if rows, dead := b.count("outbox"), b.count("outbox_dead"); rows != 0 || dead != 1 {
		t.Errorf("%d rows and %d dead; want 0 and 1", rows, dead)
	}
}

// What can never be published does not hold up its neighbours, not even those
// of its own transaction, and is kept with the reason.
func TestDeadMessagesBlockNobody(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.relay("one")
	r.TopicPatience = 200 * time.Millisecond
	b.run(r)

	tooBig, homeless := b.msg("a", 99), b.msg("a", 98)
	tooBig.Value = make([]byte, 2<<20)
	homeless.Topic = testkit.Unique(t, "nowhere")
	b.queue(b.msg("a", 1), tooBig, homeless, b.msg("b", 1))
	if _, err := b.pool.Exec(t.Context(), `insert into outbox (messages) values ('garbage')`); err != nil {
		t.Fatal(err)
	}
	b.queue(b.msg("a", 2), b.msg("b", 2))
	r.Signal()
	testkit.Eventually(t, "outbox is empty", b.empty)
	inOrder(t, b.log(b.topic), 2, 2)

	rows, err := b.pool.Query(t.Context(), `select messages, reason from outbox_dead order by reason`)
	if err != nil {
		t.Fatal(err)
	}
	type dead struct {
		Messages []byte
		Reason   string
	}
	got, err := pgx.CollectRows(rows, pgx.RowToStructByPos[dead])
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 || r.Stats().Dead != 3 {
		t.Fatalf("%d dead rows, %d counted; want 3", len(got), r.Stats().Dead)
	}
	for i, reason := range []string{"not readable", "too large", "topic " + homeless.Topic} {
		if !strings.HasPrefix(got[i].Reason, reason) {
			t.Errorf("reason %q; want %q", got[i].Reason, reason)
		}
	}
	if msgs, err := message.Unpack(got[2].Messages); err != nil || len(msgs) != 1 || msgs[0].ID != homeless.ID {
		t.Errorf("the dead message is %+v, %v; want the one that was queued", msgs, err)
	}

	// The runbook's statement sends it again once its topic is there.
	b.createTopic(homeless.Topic)
	const again = `with again as (delete from outbox_dead where reason like 'topic %' returning id, messages)
		insert into outbox (messages) select messages from again order by id`
	if _, err := b.pool.Exec(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	r.Signal()
	testkit.Eventually(t, "the dead message is published", func() bool {
		return b.empty() && len(b.log(homeless.Topic)["a"]) == 1
	})
}

func TestUnfitClientIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for want, opts := range map[string][]kgo.Opt{
		"idempotent":       {kgo.DisableIdempotentWrite()},
		"for all replicas": {kgo.DisableIdempotentWrite(), kgo.RequiredAcks(kgo.LeaderAck())},
	} {
		r := NewRelay(Config{Pool: b.pool, Client: b.newClient(opts...), Lease: lease.New(b.pool, "x", "x", time.Second)})
		if err := r.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "kafka client must") {
			t.Errorf("%s: %v", want, err)
		}
	}
}
