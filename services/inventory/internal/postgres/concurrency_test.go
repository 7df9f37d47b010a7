package postgres

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/pg"
	"example.com/ballast/pkg/testkit"
	"example.com/ballast/services/inventory/internal/stock"
)

// capture keeps the answers that were announced last.
func capture(answers *[]stock.Answer) Announce {
	return func(a []stock.Answer) ([]message.Message, error) {
		*answers = a
		return announce(a)
	}
}

// Four members, 200 buyers, 50 units: all units are sold, and none twice.
func TestLastUnits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.shelve(map[string]int32{"A": 50, "B": 1000})
	var mu sync.Mutex
	var sold int
	var g errgroup.Group
	for member := range 4 {
		g.Go(func() error {
			for batch := range 5 {
				var commands []stock.Command
				for i := range 10 {
					commands = append(commands, reserve(member*50+batch*10+i, line("A", 1), line("B", 1)))
				}
				answers, err := b.apply(t.Context(), commands...)
				if err != nil {
					return err
				}
				mu.Lock()
				for _, a := range answers {
					if a.Kind == stock.Reserved {
						sold++
					}
				}
				mu.Unlock()
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if onHand, reserved := b.level("A"); sold != 50 || onHand != 50 || reserved != 50 {
		t.Errorf("%d sold, %d on hand, %d reserved, want 50 each", sold, onHand, reserved)
	}
	b.checkBooks()
}

// A writer that decided on an old version must not write, whether the order was
// new to it or not.
func TestStaleVersionIsRefused(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string][]stock.Command{
		"new order":   nil,
		"known order": {reserve(1, line("A", 1))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.shelve(map[string]int32{"A": 5})
			if prepare != nil {
				b.mustApply(prepare...)
			}
			late := []stock.Command{reserve(1, line("A", 1)), ship(1)}
			view, err := b.read(t.Context(), late)
			if err != nil {
				t.Fatal(err)
			}
			b.mustApply(release(1))
			before := len(b.outbox())
			err = b.write(t.Context(), b.pool, b.decider.Decide(view, late), announce)
			if !errors.Is(err, pg.ErrConflict) {
				t.Errorf("the stale write gave %v, want a conflict", err)
			}
			if told := len(b.outbox()) - before; told != 0 {
				t.Errorf("%d messages tell of what was not written", told)
			}
			if onHand, reserved := b.level("A"); onHand != 5 || reserved != 0 {
				t.Errorf("%d on hand, %d reserved, want 5 and 0", onHand, reserved)
			}
			b.checkBooks()
		})
	}
}

// Units move once per order and kind even if the versions were tampered with.
func TestMovementHappensOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.shelve(map[string]int32{"A": 5})
	b.mustApply(reserve(1, line("A", 1)))
	if _, err := b.pool.Exec(t.Context(), "DELETE FROM reservations"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.apply(t.Context(), reserve(1, line("A", 1))); !errors.Is(err, pg.ErrConflict) {
		t.Errorf("a second reserve gave %v, want a conflict", err)
	}
	if _, reserved := b.level("A"); reserved != 1 {
		t.Errorf("%d reserved, want 1", reserved)
	}
}

// Two members are handed overlapping orders and SKUs in opposite orders, as by a
// rebalance in the middle of everything. There is no deadlock, and whoever wins,
// both get the same answers in the end.
func TestOverlappingMembers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	skus := []string{"A", "B", "C", "D", "E", "F"}
	b.shelve(map[string]int32{"A": 400, "B": 400, "C": 400, "D": 400, "E": 400, "F": 400})
	for round := range 15 {
		var commands []stock.Command
		for i := range 20 {
			// Undoings of orders never seen lock no SKU, so that only the order of the
			// order ids keeps the members apart.
			commands = append(commands, release(10_000+round*20+i))
			var lines []stock.Line
			for _, sku := range skus[rand.IntN(3) : 3+rand.IntN(3)] {
				lines = append(lines, line(sku, 1))
			}
			commands = append(commands, reserve(round*20+i, lines...))
		}
		reversed := slices.Clone(commands)
		slices.Reverse(reversed)
		var g errgroup.Group
		for _, batch := range [][]stock.Command{commands, reversed, commands} {
			g.Go(func() error {
				// Not Apply, which would get over a deadlock after a second and hide it.
				for {
					err := b.applyOnce(t.Context(), batch, announce)
					if !errors.Is(err, pg.ErrConflict) {
						return err
					}
				}
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
	}
	b.checkBooks()
}

// Whoever waits for the first SKU holds none of the others, whatever plan the
// UPDATE has and however the rows lie in the table: here the other way round.
func TestSKUsAreLockedInOrder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var lines []stock.Line
	for c := 'z'; c >= 'a'; c-- {
		b.shelve(map[string]int32{string(c): 1})
		lines = append(lines, line(string(c), 1))
	}
	slices.Reverse(lines)
	b.exec(b.pool, "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET enable_nestloop = off', current_database()); END $$")
	b.pool.Reset() // New connections have the setting.

	tx, err := b.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b.exec(tx, "SET LOCAL idle_in_transaction_session_timeout = 0")
	b.exec(tx, "SELECT FROM stock WHERE sku = 'a' FOR UPDATE")
	var g errgroup.Group
	g.Go(func() error {
		_, err := b.apply(t.Context(), reserve(1, lines...))
		return err
	})
	testkit.Eventually(t, "the batch waits for the first SKU", func() bool { return b.waiting() > 0 })
	var free int
	const others = "SELECT count(*) FROM (SELECT FROM stock WHERE sku > 'a' FOR UPDATE SKIP LOCKED) AS free"
	if err := b.pool.QueryRow(t.Context(), others).Scan(&free); err != nil || free != 25 {
		t.Errorf("%d of the 25 other SKUs are free, %v", free, err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Error(err)
	}
	if err := g.Wait(); err != nil && !pg.Transient(err) { // It may have waited too long on a busy machine.
		t.Error(err)
	}
}

// exec runs a statement of the test's own.
func (b *bundle) exec(on interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}, sql string) {
	b.t.Helper()
	if _, err := on.Exec(b.t.Context(), sql); err != nil {
		b.t.Fatal(err)
	}
}

// Random commands by two members on the same few orders and scarce units: the
// books always balance, and no order holds what it did not get.
func TestRandomMembers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	skus := []string{"A", "B", "C"}
	b.shelve(map[string]int32{"A": 30, "B": 60, "C": 90})
	base := 0
	rapid.Check(t, func(rt *rapid.T) {
		base += 10
		command := rapid.Custom(func(rt *rapid.T) stock.Command {
			order := base + rapid.IntRange(0, 5).Draw(rt, "order")
			switch rapid.IntRange(0, 5).Draw(rt, "kind") {
			case 0:
				return ship(order)
			case 1:
				return release(order)
			case 2:
				return cancelShipment(order)
			}
			n := rapid.IntRange(1, len(skus)).Draw(rt, "lines")
			var lines []stock.Line
			for _, sku := range skus[:n] {
				lines = append(lines, line(sku, rapid.Int32Range(1, 3).Draw(rt, "quantity")))
			}
			return reserve(order, lines...)
		})
		batches := rapid.SliceOfN(rapid.SliceOfN(command, 1, 12), 2, 6).Draw(rt, "batches")
		var g errgroup.Group
		for member := range 2 {
			g.Go(func() error {
				for i := member; i < len(batches); i += 2 {
					if _, err := b.apply(t.Context(), batches[i]...); err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			rt.Fatal(err)
		}
		b.checkBooks()
	})
}
