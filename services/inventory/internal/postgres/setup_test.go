package postgres

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/money"
	"example.com/ballast/pkg/testkit"
	"example.com/ballast/services/inventory/internal/stock"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// bundle is a store on a database of the test's own.
type bundle struct {
	*Store
	t       testing.TB
	pool    *pgxpool.Pool
	signals *atomic.Int64
}

func setup(t testing.TB) *bundle {
	t.Helper()
	pool := testkit.Postgres(t, Migrations())
	signals := &atomic.Int64{}
	return &bundle{t: t, pool: pool, signals: signals, Store: New(Config{
		Pool:            pool,
		Decider:         stock.NewDecider([]string{"KP"}),
		AnnounceProduct: announceProduct,
		Signal:          func() { signals.Add(1) },
	})}
}

func announceProduct(p stock.Product) (message.Message, error) {
	return message.New("products", "product", "/test", p.SKU, p.Version, []byte(p.Description), time.Unix(0, 0)), nil
}

// announce makes messages that tell the kind of the answer.
func announce(answers []stock.Answer) ([]message.Message, error) {
	msgs := make([]message.Message, len(answers))
	for i, a := range answers {
		msgs[i] = message.New("events", fmt.Sprint(a.Kind), "/test", fmt.Sprintf("%x", a.OrderID[:4]), a.Version, nil, time.Unix(0, 0))
	}
	return msgs, nil
}

// shelve creates the products and puts units on their shelves.
func (b *bundle) shelve(units map[string]int32) {
	b.t.Helper()
	var products []stock.Product
	var lines []stock.Line
	for sku, n := range units {
		products = append(products, stock.Product{SKU: sku, Price: money.Money{Currency: "GBP", Minor: 100}})
		if n > 0 {
			lines = append(lines, stock.Line{SKU: sku, Quantity: n})
		}
	}
	if _, err := b.UpsertProducts(b.t.Context(), products); err != nil {
		b.t.Fatal(err)
	}
	if received, err := b.Receive(b.t.Context(), testkit.Unique(b.t, "receipt"), lines); err != nil || !received {
		b.t.Fatalf("receive: %v, %v", received, err)
	}
}

// apply runs a batch and returns its answers.
func (b *bundle) apply(ctx context.Context, commands ...stock.Command) ([]stock.Answer, error) {
	var got []stock.Answer
	err := b.Apply(ctx, commands, func(answers []stock.Answer) ([]message.Message, error) {
		got = answers
		return announce(answers)
	})
	return got, err
}

func (b *bundle) mustApply(commands ...stock.Command) []stock.Answer {
	b.t.Helper()
	answers, err := b.apply(b.t.Context(), commands...)
	if err != nil {
		b.t.Fatal(err)
	}
	return answers
}

// outbox returns the messages that wait to be sent, in order.
func (b *bundle) outbox() []message.Message {
	b.t.Helper()
	rows, err := b.pool.Query(b.t.Context(), "SELECT messages FROM outbox ORDER BY id")
	if err != nil {
		b.t.Fatal(err)
	}
	packed, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	if err != nil {
		b.t.Fatal(err)
	}
	var all []message.Message
	for _, p := range packed {
		msgs, err := message.Unpack(p)
		if err != nil {
			b.t.Fatal(err)
		}
		all = append(all, msgs...)
	}
	return all
}

// level reads the two columns.
func (b *bundle) level(sku string) (onHand, reserved int64) {
	b.t.Helper()
	err := b.pool.QueryRow(b.t.Context(), "SELECT on_hand, reserved FROM stock WHERE sku = $1", sku).Scan(&onHand, &reserved)
	if err != nil {
		b.t.Fatal(err)
	}
	return onHand, reserved
}

// reckoned is a level as one of three witnesses has it.
type reckoned struct {
	SKU              string
	OnHand, Reserved int64
}

// checkBooks adds up the levels in three ways, which must agree: the columns, the
// journal, and what the reservations say that they hold.
func (b *bundle) checkBooks() {
	b.t.Helper()
	const columns = `SELECT sku, on_hand, reserved FROM stock ORDER BY sku`
	const journal = `
		SELECT sku COLLATE "C", sum(on_hand)::bigint, sum(reserved)::bigint FROM (
			SELECT l.sku, l.q AS on_hand, 0 AS reserved FROM receipts, unnest(skus, quantities) AS l(sku, q)
			UNION ALL
			SELECT l.sku, CASE kind WHEN 'ship' THEN -l.q WHEN 'unship' THEN l.q ELSE 0 END,
			       CASE kind WHEN 'reserve' THEN l.q WHEN 'unship' THEN l.q ELSE -l.q END
			FROM movements, unnest(skus, quantities) AS l(sku, q)) AS rows
		GROUP BY 1 ORDER BY 1`
	const reservations = `
		SELECT sku COLLATE "C", sum(on_hand)::bigint, sum(reserved)::bigint FROM (
			SELECT l.sku, l.q AS on_hand, 0 AS reserved FROM receipts, unnest(skus, quantities) AS l(sku, q)
			UNION ALL
			SELECT l.sku, CASE shipment_status WHEN 'scheduled' THEN -l.q ELSE 0 END,
			       CASE shipment_status WHEN 'scheduled' THEN 0 ELSE l.q END
			FROM reservations, unnest(skus, quantities) AS l(sku, q) WHERE status = 'reserved') AS rows
		GROUP BY 1 ORDER BY 1`
	want := b.reckon(columns)
	if diff := cmp.Diff(want, b.reckon(journal)); diff != "" {
		b.t.Errorf("the journal (-columns +journal):\n%s", diff)
	}
	if diff := cmp.Diff(want, b.reckon(reservations)); diff != "" {
		b.t.Errorf("the reservations (-columns +reservations):\n%s", diff)
	}
}

func (b *bundle) reckon(sql string) []reckoned {
	b.t.Helper()
	rows, err := b.pool.Query(b.t.Context(), sql)
	if err != nil {
		b.t.Fatal(err)
	}
	levels, err := pgx.CollectRows(rows, pgx.RowToStructByPos[reckoned])
	if err != nil {
		b.t.Fatal(err)
	}
	return levels
}

func orderID(n int) stock.OrderID {
	var id stock.OrderID
	binary.BigEndian.PutUint32(id[:], uint32(n))
	return id
}

func reserve(order int, lines ...stock.Line) stock.Command {
	return stock.Command{Kind: stock.Reserve, OrderID: orderID(order), Lines: lines}
}

func ship(order int) stock.Command {
	return stock.Command{Kind: stock.Ship, OrderID: orderID(order), Country: "GB"}
}

func release(order int) stock.Command {
	return stock.Command{Kind: stock.Release, OrderID: orderID(order)}
}

func cancelShipment(order int) stock.Command {
	return stock.Command{Kind: stock.CancelShipment, OrderID: orderID(order)}
}

func line(sku string, quantity int32) stock.Line { return stock.Line{SKU: sku, Quantity: quantity} }

func kinds(answers []stock.Answer) []stock.AnswerKind {
	var all []stock.AnswerKind
	for _, a := range answers {
		all = append(all, a.Kind)
	}
	return all
}
