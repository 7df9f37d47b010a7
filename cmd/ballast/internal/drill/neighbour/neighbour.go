// Package neighbour shows why every service has a Redis of its own. Customers look
// at their orders, which orders has cached, while inventory fills its cache with
// far more than fits. That happens twice: with a Redis for each service, as the
// stack has it, and with one Redis of the same size that all share.
package neighbour

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"example.com/ballast/cmd/ballast/internal/api"
	"example.com/ballast/cmd/ballast/internal/drill"
	ordersv1 "example.com/ballast/gen/orders/v1"
	"example.com/ballast/pkg/cache"
	"example.com/ballast/pkg/ids"
	"example.com/ballast/pkg/servers"
)

const (
	sku = "NEIGHBOUR-1"
	// Of a Redis, as the stack's own have it.
	memory, policy = "32mb", "allkeys-lfu"
	placers        = 16
)

// Config says how much of it.
type Config struct {
	// Orders that customers look at.
	Orders int
	// Rate of looking, calls a second.
	Rate float64
	// Phase is how long each of before, during and after takes.
	Phase time.Duration
}

// Run runs the drill.
func Run(ctx context.Context, o drill.Options, cfg Config) (*drill.Report, error) {
	// One operator looks at everything, faster than a customer may.
	o.Env = append(o.Env, "RATE_LIMIT=100000", "RATE_BURST=100000")
	own, err := play(ctx, o, cfg)
	if err != nil {
		return nil, fmt.Errorf("a Redis for each service: %w", err)
	}
	shared, err := playShared(ctx, o, cfg)
	if err != nil {
		return nil, fmt.Errorf("one Redis for all: %w", err)
	}
	return report(cfg, own, shared), nil
}

// playShared is play with one Redis for all services.
func playShared(ctx context.Context, o drill.Options, cfg Config) (*outcome, error) {
	p, err := servers.Redis{Name: "the shared Redis", Dir: os.TempDir(), MaxMemory: memory, Policy: policy}.Process()
	if err != nil {
		return nil, err
	}
	server, err := servers.Start(ctx, p, io.Discard)
	if err != nil {
		return nil, err
	}
	defer server.Kill()
	o.Env = append(o.Env, "REDIS_URL="+p.URL)
	return play(ctx, o, cfg)
}

// phase is what the victim saw in a stretch of time.
type phase struct {
	name    string
	calls   drill.Calls
	took    time.Duration
	hits    int64 // answered by the cache
	loads   int64 // answered by the database
	evicted int64 // by the victim's Redis, of all its keys
	kept    int64 // entries of the victim that are there at the end
}

// outcome is one play.
type outcome struct {
	phases      []phase
	overflowed  int64 // keys that the neighbour's Redis evicted
	orders      int
	differences int // between the books
}

// scene is one play under way.
type scene struct {
	*drill.Stack

	cfg               Config
	victim, neighbour *cache.Redis
	ids               []string
	keys              []string // the victim's in Redis
	traffic           *drill.Traffic
}

func play(ctx context.Context, o drill.Options, cfg Config) (_ *outcome, err error) {
	stack, err := drill.Start(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stack.Close(ctx)) }()
	s := &scene{Stack: stack, cfg: cfg}
	if err := s.connect(); err != nil {
		return nil, err
	}
	defer s.victim.Close()
	defer s.neighbour.Close()
	if err := s.prepare(ctx); err != nil {
		return nil, err
	}
	s.traffic = drill.Drive(ctx, cfg.Rate, func(ctx context.Context, _ int) (string, error) {
		return "look", s.look(ctx, s.ids[rand.IntN(len(s.ids))])
	})
	defer s.traffic.Stop()
	return s.phases(ctx)
}

// prepare places the orders, waits for their ends and lets each be looked at.
func (s *scene) prepare(ctx context.Context) error {
	s.Say("placing %d orders", s.cfg.Orders)
	if err := s.Stock(ctx, 1_000_000, sku); err != nil {
		return err
	}
	var mu sync.Mutex
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(placers)
	for i := range s.cfg.Orders {
		group.Go(func() error {
			placed, err := s.Place(within, "customer-"+strconv.Itoa(i), ids.New().String(), &ordersv1.PlaceOrderRequest{
				Lines: []*ordersv1.LineRequest{{Sku: sku, Quantity: 1}}, ShipTo: &ordersv1.Address{Country: "GB"},
			})
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			s.ids, s.keys = append(s.ids, placed.GetOrderId()), append(s.keys, "order:"+placed.GetOrderId())
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("place the orders: %w", err)
	}
	if _, err := s.Reconcile(ctx, s.ids); err != nil {
		return fmt.Errorf("wait for the orders: %w", err)
	}
	for _, id := range s.ids {
		if err := s.look(ctx, id); err != nil {
			return fmt.Errorf("look at an order: %w", err)
		}
	}
	return nil
}

// look is what a customer does who wants to know how his order stands.
func (s *scene) look(ctx context.Context, id string) error {
	_, err := api.Do(ctx, s.Client, s.Orders.GetOrder, &ordersv1.GetOrderRequest{OrderId: id})
	return err
}

// phases measures before, during and after the neighbour's churn.
func (s *scene) phases(ctx context.Context) (*outcome, error) {
	out := &outcome{orders: len(s.ids)}
	for _, name := range []string{"before", "churn", "after"} {
		s.Say("%s, for %s", name, s.cfg.Phase)
		churning, stop := context.WithCancel(ctx)
		var churn errgroup.Group
		var p phase
		var err error
		if name == "churn" {
			churn.Go(func() error { return s.churn(churning) })
			err = s.overflow(ctx)
		}
		if err == nil {
			p, err = s.measure(ctx, name)
		}
		stop()
		if err = errors.Join(err, churn.Wait()); err != nil {
			return nil, err
		}
		out.phases = append(out.phases, p)
	}
	s.traffic.Stop()
	info, err := s.neighbour.Info(ctx)
	if err != nil {
		return nil, err
	}
	out.overflowed = info.Evicted
	books, err := s.Reconcile(ctx, s.ids)
	if err != nil {
		return nil, err
	}
	out.differences = len(books.Differences)
	return out, nil
}
