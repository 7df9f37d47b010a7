package outbox

import (
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"

	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/testkit"
)

// faulty is a setup whose broker the test controls.
func faulty(t *testing.T) (*bundle, *kfake.Cluster) {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	url := testkit.PostgresURL(t, migrations)
	return setupOn(t, url, openPool(t, url), c.ListenAddrs()), c
}

// refuse answers a produce request with one error for all of its partitions.
func refuse(req kmsg.Request, code int16) kmsg.Response {
	produce := req.(*kmsg.ProduceRequest)
	resp := produce.ResponseKind().(*kmsg.ProduceResponse)
	for _, topic := range produce.Topics {
		rt := kmsg.NewProduceResponseTopic()
		rt.Topic, rt.TopicID = topic.Topic, topic.TopicID
		for _, p := range topic.Partitions {
			rp := kmsg.NewProduceResponseTopicPartition()
			rp.Partition, rp.ErrorCode = p.Partition, code
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}

func TestRowStaysUntilTheBrokerAcknowledges(t *testing.T) {
	t.Parallel()
	b, c := faulty(t)
	asked, release := make(chan struct{}), make(chan struct{})
	c.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.SleepControl(func() {
			close(asked)
			<-release
		})
		return nil, nil, false
	})
	b.run(b.relay("one"))
	b.queue(b.msg("a", 1))
	<-asked
	var waited float64
	const oldest = `select coalesce(extract(epoch from clock_timestamp() - min(created_at)), 0)::float8 from outbox`
	testkit.Eventually(t, "some flushes pass", func() bool {
		if err := b.pool.QueryRow(t.Context(), oldest).Scan(&waited); err != nil {
			t.Fatal(err)
		}
		if b.count("outbox") != 1 {
			t.Fatal("the row is gone, and the broker has acknowledged nothing")
		}
		return waited > 3*flushEvery.Seconds()
	})
	close(release)
	testkit.Eventually(t, "outbox is empty", b.empty)
	inOrder(t, b.log(b.topic), 1, 1)
}

// The broker refuses batches and drops connections at random, with and without
// having written them; the log must end in order.
func TestOrderHoldsWhenProducingFails(t *testing.T) {
	t.Parallel()
	b, c := faulty(t)
	random, faults := rand.New(rand.NewPCG(1, 2)), 0
	c.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if faults >= 40 {
			return nil, nil, false
		}
		kind := random.IntN(6)
		if faults == 0 {
			kind = random.IntN(3) // Few requests may come, because the relay batches: the first is struck.
		}
		switch kind {
		case 0:
			faults++
			return nil, errors.New("connection dropped"), true
		case 1:
			faults++
			return refuse(req, kerr.NotLeaderForPartition.Code), nil, true
		case 2:
			faults++
			return refuse(req, kerr.MessageTooLarge.Code), nil, true
		}
		return nil, nil, false
	})
	r := b.relay("one")
	b.run(r)
	const keys, versions = 4, 100
	for v := int64(1); v <= versions; v++ {
		var msgs []message.Message
		for k := range keys {
			msgs = append(msgs, b.msg(key(k), v))
		}
		b.queue(msgs...)
		r.Signal()
	}
	testkit.Eventually(t, "outbox is empty", b.empty)
	// What was refused although it was alone is dead. The rest is all there, and
	// what comes last of every key is in order.
	total := 0
	for k, versions := range b.log(b.topic) {
		last := map[int64]int{}
		for i, v := range versions {
			last[v] = i
		}
		total += len(last)
		at := -1
		for v := int64(1); v <= 100; v++ {
			i, there := last[v]
			if there && i < at {
				t.Errorf("key %s: version %d was last seen before an older one: %v", k, v, versions)
			}
			if there {
				at = i
			}
		}
	}
	if dead := int(r.Stats().Dead); total+dead != keys*versions {
		t.Errorf("%d published and %d dead; want %d together", total, dead, keys*versions)
	}
	if faults == 0 {
		t.Error("no fault was injected")
	}
}

// startChild runs a relay in a process of its own.
func (b *bundle) startChild() *exec.Cmd {
	b.t.Helper()
	exe, err := os.Executable()
	if err != nil {
		b.t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childURL+"="+b.url, childBrokers+"="+b.brokers[0])
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		_ = cmd.Process.Kill() // It may have ended already.
		_ = cmd.Wait()
	})
	return cmd
}

// leads says whether some child holds the lease, beyond the given epoch.
func (b *bundle) leads(beyond int64) (epoch int64, ok bool) {
	b.t.Helper()
	const query = `select coalesce(max(epoch) filter (where holder = 'child' and expires_at > now()), 0) from lease`
	if err := b.pool.QueryRow(b.t.Context(), query).Scan(&epoch); err != nil {
		b.t.Fatal(err)
	}
	return epoch, epoch > beyond
}

// front is the id of the oldest row, which rises as rows are deleted, however
// many are written meanwhile.
func (b *bundle) front() (id int64) {
	b.t.Helper()
	if err := b.pool.QueryRow(b.t.Context(), "select coalesce(min(id), 0) from outbox").Scan(&id); err != nil {
		b.t.Fatal(err)
	}
	return id
}

// Whenever the relay is killed, every message arrives, in order.
func TestKilledRelayLosesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const keys, kills, most = 3, 3, 20_000 // as many as the survivor surely drains in time
	stop, versions := make(chan struct{}), int64(0)
	var writer errgroup.Group
	writer.Go(func() error {
		for versions < most {
			select {
			case <-stop:
				return nil
			default:
			}
			versions++
			if err := b.tryQueue(b.msg(key(0), versions), b.msg(key(1), versions), b.msg(key(2), versions)); err != nil {
				return err
			}
		}
		return nil
	})
	var epoch int64
	for range kills {
		cmd := b.startChild()
		testkit.Eventually(t, "the next child leads", func() (ok bool) {
			var e int64
			if e, ok = b.leads(epoch); ok {
				epoch = e
			}
			return ok
		})
		before := b.front()
		testkit.Eventually(t, "it deletes rows", func() bool { return b.front() > before || b.empty() })
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // It was killed: an error is expected.
	}
	close(stop)
	if err := writer.Wait(); err != nil {
		t.Fatal(err)
	}
	b.run(b.relay("survivor"))
	testkit.Eventually(t, "outbox is empty", b.empty)
	repeated := inOrder(t, b.log(b.topic), keys, versions)
	t.Logf("%d messages, %d repeated by %d kills", keys*versions, repeated, kills)
}

// A relay that was paused beyond its lease, and goes on after another one took
// over, repeats messages at worst.
func TestPausedRelayDoesNoHarm(t *testing.T) {
	t.Parallel()
	b := setup(t)
	cmd := b.startChild()
	testkit.Eventually(t, "the child leads", func() bool { _, ok := b.leads(0); return ok })
	const keys, versions = 2, 300
	next := int64(0)
	write := func() {
		next++
		b.queue(b.msg(key(0), next), b.msg(key(1), next))
	}
	for range versions / 3 {
		write()
	}
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for range versions / 3 {
		write()
	}
	r := b.relay("successor")
	b.run(r)
	testkit.Eventually(t, "the successor has published everything", b.empty)
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	for range versions / 3 {
		write()
		r.Signal()
	}
	testkit.Eventually(t, "outbox is empty", b.empty)
	if epoch := r.Stats().Epoch; epoch != 2 {
		t.Errorf("the successor has epoch %d; want 2", epoch)
	}
	repeated := inOrder(t, b.log(b.topic), keys, versions)
	t.Logf("%d repeated by the paused relay", repeated)
}

// While the database is away the relay waits; it needs no restart.
func TestRelaySurvivesLostConnections(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.relay("one")
	b.run(r)
	b.queue(b.msg("a", 1))
	testkit.Eventually(t, "outbox is empty", b.empty)
	const terminate = `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`
	for v := int64(2); v <= 6; v++ {
		// The pool may hand out a connection that was just terminated: each of
		// these is tried until it succeeds.
		testkit.Eventually(t, "the connections are terminated", func() bool {
			_, err := b.pool.Exec(t.Context(), terminate)
			return err == nil
		})
		testkit.Eventually(t, "a write succeeds", func() bool {
			return b.tryQueue(b.msg("a", v)) == nil
		})
	}
	testkit.Eventually(t, "outbox is empty", func() bool {
		var n int
		err := b.pool.QueryRow(t.Context(), "select count(*) from outbox").Scan(&n)
		return err == nil && n == 0
	})
	inOrder(t, b.log(b.topic), 1, 6)
}
