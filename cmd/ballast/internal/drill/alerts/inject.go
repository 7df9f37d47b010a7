package alerts

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/proto"

	"example.com/ballast/cmd/ballast/internal/drill"
	paymentsv1 "example.com/ballast/gen/payments/v1"
	"example.com/ballast/pkg/kafka"
	"example.com/ballast/pkg/message"
)

type injector = func(context.Context, *play) (func(context.Context) error, error)

// flag is a fault that a feature flag switches on.
func flag(name, value string) injector {
	return func(ctx context.Context, p *play) (func(context.Context) error, error) {
		if out, err := p.Run(ctx, "flag", "set", name, value); err != nil {
			return nil, fmt.Errorf("%w: %s", err, out)
		}
		return func(ctx context.Context) error {
			_, err := p.Run(ctx, "flag", "unset", name)
			return err
		}, nil
	}
}

// hang stops a process without ending it: it keeps its port and answers nobody.
func hang(child string) injector {
	return func(_ context.Context, p *play) (func(context.Context) error, error) {
		state, err := p.State()
		if err != nil {
			return nil, err
		}
		// Who works the runbook off ends this one; what is there by then is another.
		hung := state.Named(child)
		end := func(context.Context) error {
			for _, c := range hung {
				if c.Alive() {
					return syscall.Kill(c.PID, syscall.SIGCONT)
				}
			}
			return nil
		}
		return end, p.Signal(child, syscall.SIGSTOP)
	}
}

// produce writes records as any producer may.
func (p *play) produce(ctx context.Context, records ...*kgo.Record) error {
	state, err := p.State()
	if err != nil {
		return err
	}
	client, err := kgo.NewClient(kafka.Options(state.Endpoints.Kafka, "drill")...)
	if err != nil {
		return fmt.Errorf("connect to the broker: %w", err)
	}
	defer client.Close()
	return client.ProduceSync(ctx, records...).FirstErr()
}

// poison writes what is no message at all.
func poison(ctx context.Context, p *play) (func(context.Context) error, error) {
	var records []*kgo.Record
	for n := range 5 {
		records = append(records, &kgo.Record{Topic: "payments.commands", Key: fmt.Append(nil, "poison-", n), Value: []byte("{}")})
	}
	return asIs, p.produce(ctx, records...)
}

// contradict says of a confirmed order what can't be true.
func contradict(ctx context.Context, p *play) (func(context.Context) error, error) {
	order, err := p.shop.confirmed(ctx)
	if err != nil {
		return nil, err
	}
	const version = 1000 // newer than any that payments has said
	value, err := proto.Marshal(&paymentsv1.PaymentRefunded{OrderId: order.GetOrderId(), Version: version, Amount: order.GetTotal()})
	if err != nil {
		return nil, err
	}
	m := message.New("payments.events", "payments.v1.PaymentRefunded", "/drill", order.GetOrderId(), version, value, time.Now())
	return asIs, p.produce(ctx, m.Record())
}

// What another program puts into the Redis of orders: more than its 32 MB hold within
// seconds, and then on and on.
const (
	crowdKey    = "drill:crowd:"
	crowdBytes  = 64 << 10
	crowdTick   = 100 * time.Millisecond
	crowdAtOnce = 10 // keys a tick
	crowdFirst  = 600
)

// crowd writes keys that nobody asks for into a service's cache.
func crowd(ctx context.Context, p *play) (func(context.Context) error, error) {
	state, err := p.State()
	if err != nil {
		return nil, err
	}
	options, err := redis.ParseURL(state.Endpoints.Redis["orders"])
	if err != nil {
		return nil, err
	}
	client := redis.NewClient(options)
	value := make([]byte, crowdBytes)
	written := 0
	write := func(ctx context.Context, keys int) error {
		_, err := client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for range keys {
				pipe.Set(ctx, fmt.Sprint(crowdKey, written), value, 0)
				written++
			}
			return nil
		})
		return err
	}
	if err := write(ctx, crowdFirst); err != nil {
		return nil, errors.Join(err, client.Close())
	}
	writing, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for drill.Sleep(writing, crowdTick) == nil {
			_ = write(writing, crowdAtOnce) // that it bites is seen by the alert
		}
	}()
	return func(ctx context.Context) error {
		stop()
		<-ended
		defer client.Close()
		keys := client.Scan(ctx, 0, crowdKey+"*", 1000).Iterator()
		for keys.Next(ctx) {
			if err := client.Unlink(ctx, keys.Val()).Err(); err != nil {
				return err
			}
		}
		return errors.Join(keys.Err(), client.ConfigSet(ctx, "maxmemory", "32mb").Err())
	}, nil
}

// fill mounts a small file system and fills it, which needs root.
func fill(_ context.Context, p *play) (func(context.Context) error, error) {
	const size, fullBytes = 32 << 20, 31 << 20
	dir := filepath.Join(string(p.Home), "full")
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // node_exporter may be another user
		return nil, err
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprint("size=", size)); err != nil {
		return nil, fmt.Errorf("mount a file system to fill (needs root): %w", err)
	}
	end := func(context.Context) error { return errors.Join(syscall.Unmount(dir, 0), os.Remove(dir)) }
	return end, os.WriteFile(filepath.Join(dir, "forgotten.dump"), make([]byte, fullBytes), 0o644) //nolint:gosec // as above
}
