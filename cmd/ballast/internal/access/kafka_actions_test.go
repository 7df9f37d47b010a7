//go:build apachekafka

package access

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"example.com/ballast/pkg/kafka"
)

// actionTimeout is more than a busy broker takes for anything here.
const actionTimeout = 20 * time.Second

// as returns what a user can try. Each returns the first error of the broker's.
func (g *guarded) as(login kafka.Login) actions { return actions{g, login} }

type actions struct {
	g     *guarded
	login kafka.Login
}

func (a actions) do(do func(ctx context.Context, client *kgo.Client, adm *kadm.Client) error, opts ...kgo.Opt) func() error {
	return func() error {
		ctx, cancel := context.WithTimeout(a.g.t.Context(), actionTimeout)
		defer cancel()
		client := a.g.client(a.login, opts...)
		defer client.Close()
		return do(ctx, client, kadm.NewClient(client))
	}
}

func (a actions) write(topic string) func() error {
	return a.do(func(ctx context.Context, client *kgo.Client, _ *kadm.Client) error {
		return client.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte("v")}).FirstErr()
	})
}

func firstRecord(ctx context.Context, client *kgo.Client) error {
	for {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			return err
		}
		for _, e := range fetches.Errors() {
			return e.Err
		}
		if fetches.NumRecords() > 0 {
			return nil
		}
	}
}

func (a actions) read(topic string) func() error {
	return a.do(func(ctx context.Context, client *kgo.Client, _ *kadm.Client) error { return firstRecord(ctx, client) },
		kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
}

// consume joins the group, reads a record and commits its offset.
func (a actions) consume(group, topic string) func() error {
	return a.do(func(ctx context.Context, client *kgo.Client, _ *kadm.Client) error {
		if err := firstRecord(ctx, client); err != nil {
			return err
		}
		return client.CommitUncommittedOffsets(ctx)
	}, kgo.ConsumeTopics(topic), kgo.ConsumerGroup(group), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit())
}

// lag asks how far the group has come, as services do.
func (a actions) lag(group string) func() error {
	return a.do(func(ctx context.Context, _ *kgo.Client, adm *kadm.Client) error {
		_, err := kafka.Lag(ctx, adm, group)
		return err
	})
}

func (a actions) letters(topic, group string) func() error {
	return a.do(func(ctx context.Context, _ *kgo.Client, adm *kadm.Client) error {
		_, err := kafka.Undecided(ctx, adm, kafka.DLQOperators(group), kafka.DLQTopic(topic, group))
		return err
	})
}

// skip moves the offset of a group past everything.
func (a actions) skip(group, topic string) func() error {
	return a.do(func(ctx context.Context, _ *kgo.Client, adm *kadm.Client) error {
		var at kadm.Offsets
		at.AddOffset(topic, 0, 1, -1)
		return adm.CommitAllOffsets(ctx, group, at)
	})
}

func (a actions) create(topic string) func() error {
	return a.do(func(ctx context.Context, _ *kgo.Client, adm *kadm.Client) error {
		_, err := adm.CreateTopic(ctx, 1, 1, nil, topic)
		return err
	})
}

func (a actions) grow(topic string) func() error {
	return a.do(func(ctx context.Context, _ *kgo.Client, adm *kadm.Client) error {
		res, err := adm.UpdatePartitions(ctx, 2, topic)
		return errors.Join(err, res.Error())
	})
}

func (a actions) deleteTopic(topic string) func() error {
	return a.do(func(ctx context.Context, _ *kgo.Client, adm *kadm.Client) error {
		_, err := adm.DeleteTopic(ctx, topic)
		return err
	})
}

func (a actions) deleteRecords(topic string) func() error {
	return a.do(func(ctx context.Context, _ *kgo.Client, adm *kadm.Client) error {
		var at kadm.Offsets
		at.AddOffset(topic, 0, 1, -1)
		res, err := adm.DeleteRecords(ctx, at)
		return errors.Join(err, res.Error())
	})
}

// expire sets how long the records of a topic are kept.
func (a actions) expire(topic string) func() error {
	return a.do(func(ctx context.Context, _ *kgo.Client, adm *kadm.Client) error {
		one := "1"
		res, err := adm.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.ms", Value: &one}}, topic)
		if err != nil {
			return err
		}
		return res[0].Err
	})
}

// allow gives the user a right, as it might try itself.
func (a actions) allow() func() error {
	return a.do(func(ctx context.Context, client *kgo.Client, _ *kadm.Client) error {
		return add(ctx, client, []Right{{a.login.User, topic, "orders.events", false, kmsg.ACLOperationAll}})
	})
}

func (a actions) listRights() func() error {
	return a.do(func(ctx context.Context, client *kgo.Client, _ *kadm.Client) error {
		_, err := existing(ctx, client)
		return err
	})
}

// password sets that of another user.
func (a actions) password(user string) func() error {
	return a.do(func(ctx context.Context, _ *kgo.Client, adm *kadm.Client) error {
		res, err := adm.AlterUserSCRAMs(ctx, nil, []kadm.UpsertSCRAM{{User: user, Mechanism: kadm.ScramSha512, Iterations: iterations, Password: "taken"}})
		return errors.Join(err, res.Error())
	})
}

// begin takes over the transactions of a transactional id.
func (a actions) begin(id string) func() error {
	return a.do(func(ctx context.Context, client *kgo.Client, _ *kadm.Client) error {
		_, _, err := client.ProducerID(ctx)
		return err
	}, kgo.TransactionalID(id))
}

// enter only logs in.
func (a actions) enter() func() error {
	return a.do(func(ctx context.Context, client *kgo.Client, _ *kadm.Client) error { return client.Ping(ctx) })
}

// sees says which of the topics the user is told of.
func (a actions) sees(want ...string) func() error {
	return a.do(func(ctx context.Context, _ *kgo.Client, adm *kadm.Client) error {
		topics, err := adm.ListTopics(ctx)
		if names := topics.Names(); err == nil && !slices.Equal(names, want) {
			return errors.New("it is told of " + strings.Join(names, " "))
		}
		return err
	})
}
