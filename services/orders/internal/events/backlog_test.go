package events

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/ballast/pkg/kafka"
	"example.com/ballast/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// TestBacklog moves a group through a topic of two records, ten seconds apart.
func TestBacklog(t *testing.T) {
	t.Parallel()
	client, err := kgo.NewClient(kafka.Options(testkit.Kafka(t), "test")...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	topic, group, ctx := testkit.Unique(t, "topic"), testkit.Unique(t, "group"), t.Context()
	if err := kafka.EnsureTopics(ctx, client, []kafka.Topic{{Name: topic}}); err != nil {
		t.Fatal(err)
	}
	backlog := Backlog{Admin: kadm.NewClient(client), Group: group}
	behind := func(before time.Time, want bool, when string) {
		t.Helper()
		got, err := backlog.behind(ctx, group, topic, before)
		if err != nil || got != want {
			t.Errorf("%s: behind is %t, want %t (%v)", when, got, want, err)
		}
	}
	commit := func(offset int64) {
		t.Helper()
		offsets := kadm.Offsets{}
		offsets.AddOffset(topic, 0, offset, -1)
		if err := backlog.Admin.CommitAllOffsets(ctx, group, offsets); err != nil {
			t.Fatal(err)
		}
	}
	first := time.Now().Add(-20 * time.Second)
	testkit.Eventually(t, "the new topic is known", func() bool {
		_, err := backlog.behind(ctx, group, topic, first)
		return err == nil
	})
	behind(first, false, "an empty topic, a group that never committed")
	for _, at := range []time.Time{first, first.Add(10 * time.Second)} {
		if err := client.ProduceSync(ctx, &kgo.Record{Topic: topic, Timestamp: at, Value: []byte("v")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	caughtUp := CaughtUp(backlog.Admin, group, topic)
	between := first.Add(5 * time.Second)
	behind(between, true, "nothing is read")
	if caughtUp(ctx) == nil {
		t.Error("caught up with nothing read")
	}
	commit(1)
	behind(between, false, "the first record is read")
	behind(first.Add(15*time.Second), true, "the second is not")
	commit(2)
	behind(time.Now(), false, "all is read")
	if err := caughtUp(ctx); err != nil {
		t.Errorf("all is read: %v", err)
	}
}

// What presses is what groups have not read of the topics that they are asked
// about.
func TestUnread(t *testing.T) {
	t.Parallel()
	client, err := kgo.NewClient(kafka.Options(testkit.Kafka(t), "test")...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	ctx, admin := t.Context(), kadm.NewClient(client)
	commands, answers := testkit.Unique(t, "commands"), testkit.Unique(t, "answers")
	group, participant := testkit.Unique(t, "orders"), testkit.Unique(t, "participant")
	retry := kafka.RetryTopic(answers, group)
	if err := kafka.EnsureTopics(ctx, client, []kafka.Topic{{Name: commands}, {Name: answers}, {Name: retry}}); err != nil {
		t.Fatal(err)
	}
	for of, topics := range map[string][]string{group: {answers, retry}, participant: {commands}} {
		offsets := kadm.Offsets{}
		for _, topic := range topics {
			offsets.AddOffset(topic, 0, 1, -1)
			for range 3 {
				if err := client.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte("v")}).FirstErr(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := admin.CommitAllOffsets(ctx, of, offsets); err != nil {
			t.Fatal(err)
		}
	}
	asked := map[string][]string{group: {answers}, participant: {commands}, testkit.Unique(t, "nobody"): {commands}}
	if n, err := unread(ctx, admin, asked); n != 4 || err != nil {
		t.Errorf("%d records wait, want 4 (%v)", n, err)
	}
}
