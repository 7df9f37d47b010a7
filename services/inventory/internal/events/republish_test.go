package events

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/ballast/pkg/kafka"
	"example.com/ballast/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func TestRepublisherKeepsItsSchedule(t *testing.T) {
	t.Parallel()
	const minute, second = time.Minute, time.Second
	tests := map[string]struct {
		empty           bool
		noAnswer, fails int // tries that go wrong first
		want            []time.Duration
	}{
		"a filled topic":          {false, 0, 0, []time.Duration{10 * minute, 20 * minute, 30 * minute}},
		"an empty topic":          {true, 0, 0, []time.Duration{0, 10 * minute, 20 * minute, 30 * minute}},
		"a topic not yet known":   {true, 2, 0, []time.Duration{2 * second, 10*minute + 2*second, 20*minute + 2*second, 30*minute + 2*second}},
		"a database that is away": {false, 0, 1, []time.Duration{10 * minute, 10*minute + second, 20*minute + second, 30*minute + second}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began, away := time.Now(), errors.New("away")
				var rounds []time.Duration
				r := &Republisher{
					Every:  10 * minute,
					Logger: slog.New(slog.DiscardHandler),
					Empty: func(context.Context) (bool, error) {
						if tt.noAnswer--; tt.noAnswer >= 0 {
							return true, away
						}
						return tt.empty, nil
					},
					Republish: func(context.Context) (int, error) {
						rounds = append(rounds, time.Since(began))
						if tt.fails--; tt.fails >= 0 {
							return 0, away
						}
						return 1, nil
					},
				}
				ctx, cancel := context.WithTimeout(t.Context(), 35*minute)
				defer cancel()
				if err := r.Lead(ctx, 1); err != nil {
					t.Error(err)
				}
				if diff := cmp.Diff(tt.want, rounds); diff != "" {
					t.Errorf("rounds (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestTopicEmpty(t *testing.T) {
	t.Parallel()
	client, err := kgo.NewClient(kafka.Options(testkit.Kafka(t), "test")...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	topic := testkit.Unique(t, "products")
	if err := kafka.EnsureTopics(t.Context(), client, []kafka.Topic{{Name: topic, Partitions: 2}}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []bool{true, false} {
		testkit.Eventually(t, fmt.Sprintf("the topic's being empty is %v", want), func() bool {
			got, err := TopicEmpty(t.Context(), kadm.NewClient(client), topic)
			return err == nil && got == want
		})
		if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte("x")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := TopicEmpty(t.Context(), kadm.NewClient(client), topic+"x"); err == nil {
		t.Error("a topic that does not exist is called empty")
	}
}
