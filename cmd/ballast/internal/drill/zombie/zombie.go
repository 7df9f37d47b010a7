// Package zombie pauses every leader of a stack in the middle of a transaction,
// past the end of its lease, and lets it go on. A paused process is the worst
// case of a leader: it keeps its connections and its belief that it leads. What
// it shows: another takes over, what the old one still writes is refused or
// absorbed as a repetition, and no order's history has a gap.
package zombie

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/ballast/cmd/ballast/internal/drill"
	"example.com/ballast/cmd/ballast/internal/stack"
	ordersv1 "example.com/ballast/gen/orders/v1"
	"example.com/ballast/pkg/lease"
)

const (
	// patience bounds the wait for a takeover and for the old leader's insight.
	patience = 20 * time.Second
	// bound is how long a takeover may take: a lease of 5 s, the transaction that
	// holds its row for 2 s at most, and as much for candidates to ask.
	bound = 10 * time.Second
	// look is how often is looked.
	look = 50 * time.Millisecond

	sku = "ZOMBIE"
)

// Config says how much of it.
type Config struct {
	// Leases to stop the leader of, such as payments/outbox; all without one.
	Leases []string
	// Rate of orders a second.
	Rate float64
	// After is how long a leader stays paused after it was replaced.
	After time.Duration
}

// Run runs the drill.
func Run(ctx context.Context, o drill.Options, cfg Config) (*drill.Report, error) {
	o.Up = append(o.Up, "--replicas", "2")
	s, err := drill.Start(ctx, o)
	if err != nil {
		return nil, err
	}
	p := &play{Stack: s, cfg: cfg}
	report, err := p.run(ctx)
	return report, errors.Join(err, s.Close(ctx))
}

// round is what was seen of one leader.
type round struct {
	lease, child, successor string
	from, to                int64         // epochs
	open                    bool          // a transaction was, after the process had been stopped
	ended                   time.Duration // until the database had ended that
	takeover                time.Duration
	stopped                 time.Duration
	placed                  int // orders meanwhile
	lost, stale             int64
}

type play struct {
	*drill.Stack

	cfg    Config
	rounds []round

	mu       sync.Mutex
	accepted []string
}

func (p *play) run(ctx context.Context) (*drill.Report, error) {
	if err := p.Stock(ctx, 1_000_000, sku); err != nil {
		return nil, err
	}
	traffic := drill.Drive(ctx, p.cfg.Rate, p.place)
	defer traffic.Stop()
	leases := p.cfg.Leases
	if len(leases) == 0 {
		state, err := p.State()
		if err != nil {
			return nil, err
		}
		for _, l := range stack.Leaders(ctx, state) {
			leases = append(leases, l.Lease)
		}
	}
	for _, l := range leases {
		r, err := p.pause(ctx, l)
		if err != nil {
			return nil, fmt.Errorf("leader of %s: %w", l, err)
		}
		p.rounds = append(p.rounds, r)
	}
	traffic.Stop()
	p.Say("comparing the books of %d orders", p.placed())
	books, err := p.Reconcile(ctx, p.accepted)
	if err != nil {
		return nil, err
	}
	messages, err := p.messages(ctx)
	if err != nil {
		return nil, err
	}
	return p.report(traffic.Between(time.Time{}, time.Now()), books, messages), nil
}

func (p *play) place(ctx context.Context, n int) (string, error) {
	o, err := p.Place(ctx, fmt.Sprint("customer-", n%20), fmt.Sprint("order-", n), &ordersv1.PlaceOrderRequest{
		ShipTo: &ordersv1.Address{Country: "GB"}, Lines: []*ordersv1.LineRequest{{Sku: sku, Quantity: 1}},
	})
	if err == nil {
		p.mu.Lock()
		p.accepted = append(p.accepted, o.GetOrderId())
		p.mu.Unlock()
	}
	return "place order", err
}

func (p *play) placed() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.accepted)
}

// pause stops the leader of one lease and lets it go on.
func (p *play) pause(ctx context.Context, name string) (round, error) {
	old, err := p.leader(ctx, name, "")
	if err != nil {
		return round{}, err
	}
	r := round{lease: name, child: old.Child, from: old.Epoch, placed: -p.placed()}
	service, short, _ := strings.Cut(name, "/")
	before, err := p.ask(ctx, r.child, short)
	if err != nil {
		return r, err
	}
	db, err := p.connect(ctx, service)
	if err != nil {
		return r, err
	}
	defer func() { _ = db.Close(context.WithoutCancel(ctx)) }()

	p.Say("%s: %s leads in epoch %d and is stopped inside a transaction", name, r.child, r.from)
	if out, err := p.Run(ctx, "flag", "set", service+".fault-lease-stall", "true"); err != nil {
		return r, fmt.Errorf("allow the stall: %w\n%s", err, out)
	}
	var refused error // until the process has looked at the file, which it does every second
	err = until(ctx, func() (bool, error) {
		refused = p.Admin(ctx, r.child, http.MethodPost, "/leases/"+short+"/stall?for=3s", nil, nil)
		return refused == nil, nil
	})
	if err := errors.Join(err, refused); err != nil {
		return r, err
	}
	if err := p.Signal(r.child, syscall.SIGSTOP); err != nil {
		return r, err
	}
	began := time.Now()
	err = p.away(ctx, db, &r, began)
	if err == nil {
		err = drill.Sleep(ctx, p.cfg.After)
	}
	r.stopped, r.placed = time.Since(began), r.placed+p.placed()
	// Whatever went wrong: a process that stays stopped can't be ended in good order.
	if err := errors.Join(err, p.Signal(r.child, syscall.SIGCONT)); err != nil {
		return r, err
	}
	err = until(ctx, func() (bool, error) {
		now, err := p.ask(ctx, r.child, short)
		r.lost, r.stale = now.Lost-before.Lost, now.Stale-before.Stale
		return r.lost > 0 && r.stale > 0, err
	})
	return r, err
}

// away watches what happens while the leader is stopped.
func (p *play) away(ctx context.Context, db *pgx.Conn, r *round, began time.Time) error {
	var err error
	if r.open, err = transaction(ctx, db); err != nil {
		return err
	}
	if err := until(ctx, func() (bool, error) {
		open, err := transaction(ctx, db)
		return !open, err
	}); err != nil {
		return err
	}
	r.ended = time.Since(began)
	if err := until(ctx, func() (bool, error) {
		l, err := p.leader(ctx, r.lease, r.child)
		r.to, r.successor = l.Epoch, l.Child
		return err == nil && l.Child != "" && l.Epoch > r.from, nil
	}); err != nil {
		return err
	}
	r.takeover = time.Since(began)
	return nil
}

// leader says who leads, without asking one child: it may be stopped.
func (p *play) leader(ctx context.Context, name, without string) (stack.Leader, error) {
	state, err := p.State()
	if err != nil {
		return stack.Leader{}, err
	}
	state.Children = slices.DeleteFunc(state.Children, func(c stack.ChildState) bool { return c.Name == without })
	for _, l := range stack.Leaders(ctx, state) {
		if l.Lease == name && l.Child != "" {
			return l, nil
		}
	}
	return stack.Leader{}, errors.New("nobody leads")
}

// ask asks one process about one lease.
func (p *play) ask(ctx context.Context, child, name string) (lease.State, error) {
	var states []lease.State
	if err := p.Admin(ctx, child, http.MethodGet, "/leases", nil, &states); err != nil {
		return lease.State{}, err
	}
	for _, s := range states {
		if s.Name == name {
			return s, nil
		}
	}
	return lease.State{}, fmt.Errorf("%s knows no lease %s", child, name)
}

func (p *play) connect(ctx context.Context, service string) (*pgx.Conn, error) {
	url, err := p.Home.PostgresURL(service)
	if err != nil {
		return nil, err
	}
	return pgx.Connect(ctx, url)
}

// transaction tells whether one is open that has locked a lease's row and idles.
func transaction(ctx context.Context, db *pgx.Conn) (open bool, err error) {
	const idle = `select exists (select from pg_stat_activity where datname = current_database()
		and state = 'idle in transaction' and query like '%lease_fence%' and pid <> pg_backend_pid())`
	if err := db.QueryRow(ctx, idle).Scan(&open); err != nil {
		return false, fmt.Errorf("look for the leader's transaction: %w", err)
	}
	return open, nil
}

// until looks again and again until it is so. What never comes is for the report
// to tell.
func until(ctx context.Context, so func() (bool, error)) error {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if ok, err := so(); ok || err != nil {
			return err
		}
		if err := drill.Sleep(ctx, look); err != nil {
			return err
		}
	}
	return nil
}
