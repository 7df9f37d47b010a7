package postgres_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/ballast/pkg/ids"
	"example.com/ballast/pkg/message"
	"example.com/ballast/pkg/money"
	"example.com/ballast/pkg/testkit"
	"example.com/ballast/services/payments/internal/payment"
	"example.com/ballast/services/payments/internal/postgres"
)

func TestMain(m *testing.M) { testkit.Main(m) }

var amount = money.Money{Currency: "GBP", Minor: 1250}

type bundle struct {
	*postgres.Store
	pool *pgxpool.Pool
}

func setup(t *testing.T) bundle {
	t.Helper()
	pool := testkit.Postgres(t, postgres.Migrations())
	return bundle{Store: postgres.New(pool, encode, func() {}), pool: pool}
}

func encode(a payment.Answer, _ string, now time.Time) (message.Message, error) {
	return message.New("answers", string(rune('A'+a.Kind)), "/payments", a.OrderID, a.Version, nil, now), nil
}

func charge(order string) payment.Command {
	return payment.Command{OrderID: order, Amount: amount, Trace: "t"}
}
func void(order string) payment.Command { return payment.Command{OrderID: order, Void: true} }

func (b bundle) record(t *testing.T, commands ...payment.Command) []payment.Payment {
	t.Helper()
	opened, err := b.Record(t.Context(), commands, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

func (b bundle) save(t *testing.T, changes ...payment.Change) []bool {
	t.Helper()
	stored, err := b.Save(t.Context(), changes)
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

func (b bundle) get(t *testing.T, order string) payment.Payment {
	t.Helper()
	p, err := b.Get(t.Context(), order)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// answers lists the kinds and versions that wait for the relay, in order.
func (b bundle) answers(t *testing.T) (got []string) {
	t.Helper()
	rows, err := b.pool.Query(t.Context(), "select messages from outbox order by id")
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var packed []byte
		if err := rows.Scan(&packed); err != nil {
			t.Fatal(err)
		}
		ms, err := message.Unpack(packed)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range ms {
			got = append(got, m.Type+string(rune('0'+m.Version)))
		}
	}
	return got
}

func kind(k payment.AnswerKind, version int) string {
	return string(rune('A'+k)) + string(rune('0'+version))
}

func (b bundle) ledger(t *testing.T) (kinds []string, sum int64) {
	t.Helper()
	entries, err := b.Ledger(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		kinds = append(kinds, e.Kind)
		sum += e.Amount.Minor
	}
	return kinds, sum
}

// after is the change by a result of the provider.
func after(p payment.Payment, op payment.Operation, r payment.Result) payment.Change {
	return payment.Change{From: p.Version, Payment: payment.Apply(p, op, r, time.Now()), Lease: payment.KeepLease}
}

func created(p payment.Payment, id string) payment.Change {
	return after(p, payment.Create, payment.Result{Outcome: payment.Done, IntentID: id})
}

func confirmed(p payment.Payment) payment.Change {
	return after(p, payment.Confirm, payment.Result{Outcome: payment.Done, Intent: payment.IntentSucceeded})
}

func TestChargeToRefund(t *testing.T) {
	t.Parallel()
	b := setup(t)
	order := ids.New().String()

	opened := b.record(t, charge(order))
	if len(opened) != 1 || opened[0].Status != payment.Pending {
		t.Fatalf("opened %v", opened)
	}
	withID := created(opened[0], "pi_1")
	if stored := b.save(t, withID); !stored[0] {
		t.Fatal("the intent's id was not stored")
	}
	if stored := b.save(t, confirmed(withID.Payment)); !stored[0] {
		t.Fatal("the charge was not stored")
	}
	if opened := b.record(t, charge(order)); len(opened) != 0 {
		t.Errorf("a repeated charge opened %v", opened)
	}
	voiding := b.record(t, void(order), void(order))
	if len(voiding) != 1 || voiding[0].Status != payment.Voiding || !voiding[0].Captured {
		t.Fatalf("the void opened %v", voiding)
	}
	refund := after(voiding[0], payment.Refund, payment.Result{Outcome: payment.Done})
	if stored := b.save(t, refund); !stored[0] {
		t.Fatal("the refund was not stored")
	}
	b.record(t, void(order))

	want := refund.Payment
	if diff := cmp.Diff(want, b.get(t, order), cmpopts.EquateApproxTime(time.Millisecond)); diff != "" {
		t.Errorf("payment (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{
		kind(payment.AnswerCharged, 2), kind(payment.AnswerCharged, 2), kind(payment.AnswerRefunded, 4), kind(payment.AnswerRefunded, 4),
	}, b.answers(t)); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	kinds, sum := b.ledger(t)
	if diff := cmp.Diff([]string{"charge", "charge", "refund", "refund"}, kinds); diff != "" || sum != 0 {
		t.Errorf("ledger adds up to %d (-want +got):\n%s", sum, diff)
	}
}

func TestVoidBeforeCharge(t *testing.T) {
	t.Parallel()
	b := setup(t)
	order, together := ids.New().String(), ids.New().String()
	if opened := b.record(t, void(order), void(together), charge(together)); len(opened) != 0 {
		t.Errorf("opened %v", opened)
	}
	if opened := b.record(t, charge(order)); len(opened) != 0 {
		t.Errorf("a charge after the void opened %v", opened)
	}
	if diff := cmp.Diff([]string{
		kind(payment.AnswerVoided, 1), kind(payment.AnswerVoided, 1), kind(payment.AnswerCancelled, 1), kind(payment.AnswerCancelled, 1),
	}, b.answers(t)); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
}

func TestFoldedBatch(t *testing.T) {
	t.Parallel()
	b := setup(t)
	order := ids.New().String()
	opened := b.record(t, charge(order), charge(order), void(order))
	if len(opened) != 1 || opened[0].Status != payment.Voiding || opened[0].Version != 2 {
		t.Fatalf("opened %v", opened)
	}
	if got := b.get(t, order); got.Status != payment.Voiding || got.Version != 2 {
		t.Errorf("stored %v", got)
	}
}

func TestRejectedCommandChangesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	known, other := ids.New().String(), ids.New().String()
	b.record(t, charge(known))
	wrong := charge(known)
	wrong.Amount.Minor++
	_, err := b.Record(t.Context(), []payment.Command{charge(other), wrong}, time.Minute)
	var rejected *payment.Rejected
	if !errors.As(err, &rejected) || rejected.Index != 1 || !errors.Is(err, payment.ErrAmountChanged) {
		t.Fatalf("error is %v", err)
	}
	if _, err := b.Get(t.Context(), other); !errors.Is(err, payment.ErrNotFound) {
		t.Errorf("the rest of the batch was stored: %v", err)
	}
}

func TestGuards(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first, second := ids.New().String(), ids.New().String()
	opened := b.record(t, charge(first), charge(second))
	slices.SortFunc(opened, func(a, c payment.Payment) int { return strings.Compare(a.OrderID, c.OrderID) })
	one, two := opened[0], opened[1]

	// Of two executors that have both created an intent, one stores its id.
	winner := created(one, "pi_1")
	if diff := cmp.Diff([]bool{true, true}, b.save(t, created(two, "pi_2"), winner)); diff != "" {
		t.Fatal(diff)
	}
	if diff := cmp.Diff([]bool{false}, b.save(t, created(one, "pi_3"))); diff != "" {
		t.Errorf("a second intent's id was stored: %s", diff)
	}
	// The void comes while the charge is under way: the late result is not stored,
	// and the rest of its batch is.
	b.record(t, void(first))
	late, good := confirmed(winner.Payment), confirmed(created(two, "pi_2").Payment)
	if diff := cmp.Diff([]bool{false, true}, b.save(t, late, good)); diff != "" {
		t.Errorf("stored: %s", diff)
	}
	if diff := cmp.Diff([]bool{false}, b.save(t, good)); diff != "" {
		t.Errorf("a result was stored twice: %s", diff)
	}
	if got := b.get(t, one.OrderID); got.Status != payment.Voiding {
		t.Errorf("the voided payment is %s", got.Status)
	}
	if kinds, _ := b.ledger(t); len(kinds) != 2 {
		t.Errorf("ledger has %v", kinds)
	}
	if diff := cmp.Diff([]string{kind(payment.AnswerCharged, 2)}, b.answers(t)); diff != "" {
		t.Errorf("answers tell of what was not stored: %s", diff)
	}
}

func TestConcurrentRecord(t *testing.T) {
	t.Parallel()
	b := setup(t)
	order := ids.New().String()
	var wg sync.WaitGroup
	opened := make(chan payment.Payment, 100)
	for range 8 {
		wg.Go(func() {
			got, err := b.Record(t.Context(), []payment.Command{charge(order)}, time.Minute)
			if err != nil {
				t.Error(err)
			}
			for _, p := range got {
				opened <- p
			}
		})
	}
	wg.Wait()
	if n := len(opened); n != 1 {
		t.Errorf("%d writers opened the payment", n)
	}
}

func TestClaim(t *testing.T) {
	t.Parallel()
	b := setup(t)
	order, held := ids.New().String(), ids.New().String()
	p := b.record(t, charge(order), charge(held))
	i := slices.IndexFunc(p, func(p payment.Payment) bool { return p.OrderID == order })
	b.save(t, payment.Change{From: 1, Payment: p[i]}) // gives the lease back

	claim := func() []payment.Payment {
		got, err := b.Claim(t.Context(), 10, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	got := claim()
	if len(got) != 1 || got[0].OrderID != order || !got[0].Unsure {
		t.Fatalf("claimed %v", got)
	}
	if again := claim(); len(again) != 0 {
		t.Errorf("claimed twice: %v", again)
	}

	if _, err := b.pool.Exec(t.Context(), "update payments set key_born_at = now() - interval '23 hours', lease_until = now()"); err != nil {
		t.Fatal(err)
	}
	for _, p := range claim() {
		if stored := b.get(t, p.OrderID); p.KeyNumber != 2 || stored.KeyNumber != 2 {
			t.Errorf("the key's number is %d, stored %d, want 2", p.KeyNumber, stored.KeyNumber)
		}
	}
}

func TestClaimsAreShared(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var commands []payment.Command
	for range 40 {
		commands = append(commands, charge(ids.New().String()))
	}
	if _, err := b.Record(t.Context(), commands, 0); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	claimed := make(chan string, 1000)
	for range 4 {
		wg.Go(func() {
			for {
				got, err := b.Claim(t.Context(), 3, time.Minute)
				if err != nil {
					t.Error(err)
				}
				if len(got) == 0 {
					return
				}
				for _, p := range got {
					claimed <- p.OrderID
				}
			}
		})
	}
	wg.Wait()
	if n := len(claimed); n != len(commands) {
		t.Errorf("%d claims of %d payments", n, len(commands))
	}
}

func TestLedgerRefuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	post := `insert into ledger_entries (order_id, kind, account, currency, amount, posted_at) values `
	both := `('01936d5e-8f00-7000-8000-000000000001', 'charge', 'provider_receivable', 'GBP', 5, now()),
		('01936d5e-8f00-7000-8000-000000000001', 'charge', 'customer_payments', 'GBP', -5, now())`
	exec := func(sql string) error {
		_, err := b.pool.Exec(context.WithoutCancel(t.Context()), sql)
		return err
	}
	if err := exec(post + both); err != nil {
		t.Fatal(err)
	}
	for name, sql := range map[string]string{
		"twice":        post + both,
		"one side":     post + `('01936d5e-8f00-7000-8000-000000000002', 'charge', 'provider_receivable', 'GBP', 5, now())`,
		"not equal":    post + strings.ReplaceAll(strings.Replace(both, "5,", "6,", 1), "0001'", "0003'"),
		"wrong side":   post + `('01936d5e-8f00-7000-8000-000000000004', 'charge', 'provider_receivable', 'GBP', -5, now()), ('01936d5e-8f00-7000-8000-000000000004', 'charge', 'customer_payments', 'GBP', 5, now())`,
		"an update":    `update ledger_entries set amount = amount * 2`,
		"a deletion":   `delete from ledger_entries`,
		"a truncation": `truncate ledger_entries`,
	} {
		if exec(sql) == nil {
			t.Errorf("the ledger took %s", name)
		}
	}
}
