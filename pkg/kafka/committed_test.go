package kafka_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"example.com/ballast/pkg/kafka"
)

// TestCommittedAwaitsCoordinator: a broker that has no coordinator for the group yet
// is asked again until it has one, or until the time is over.
func TestCommittedAwaitsCoordinator(t *testing.T) {
	t.Parallel()
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "things"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	adm := kadm.NewClient(client(t, broker.ListenAddrs()))
	var asked, refused atomic.Int64
	refused.Store(2)
	broker.ControlKey(int16(kmsg.FindCoordinator), func(req kmsg.Request) (kmsg.Response, error, bool) {
		broker.KeepControl()
		if asked.Add(1) > refused.Load() {
			return nil, nil, false
		}
		find, _ := req.(*kmsg.FindCoordinatorRequest)
		res, _ := find.ResponseKind().(*kmsg.FindCoordinatorResponse)
		for _, key := range find.CoordinatorKeys {
			res.Coordinators = append(res.Coordinators, kmsg.FindCoordinatorResponseCoordinator{Key: key, ErrorCode: kerr.CoordinatorNotAvailable.Code})
		}
		return res, nil, true
	})
	if got, err := kafka.Committed(t.Context(), adm, "nobody", "things"); err != nil {
		t.Errorf("%v, %v; want what nobody has committed", got, err)
	}
	if n := asked.Load(); n <= 2 {
		t.Errorf("%d requests: the coordinator was not awaited", n)
	}

	refused.Store(1 << 30)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if got, err := kafka.Committed(ctx, adm, "nobody-else", "things"); err == nil {
		t.Errorf("%v without a coordinator", got)
	}
}
