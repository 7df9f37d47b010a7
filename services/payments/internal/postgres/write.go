package postgres

import (
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/ballast/services/payments/internal/payment"
)

// changeRows are changes as parallel arrays, filled by one append.
type changeRows struct {
	orders, statuses, currencies, intents, codes, traces []string
	amounts, versions, chargeVersions, froms             []int64
	captured                                             []bool
	keyNumbers, attempts, setbacks                       []int32
	keyBorn, updated                                     []time.Time
	leases                                               []int64 // milliseconds, below zero keeps it
}

func rowsOf(changes []payment.Change) *changeRows {
	r := &changeRows{}
	slices.SortFunc(changes, func(a, b payment.Change) int { return strings.Compare(a.Payment.OrderID, b.Payment.OrderID) })
	for _, c := range changes {
		p := c.Payment
		r.orders = append(r.orders, p.OrderID)
		r.statuses = append(r.statuses, string(p.Status))
		r.currencies = append(r.currencies, p.Amount.Currency)
		r.intents = append(r.intents, p.IntentID)
		r.codes = append(r.codes, p.DeclineCode)
		r.traces = append(r.traces, p.Trace)
		r.amounts = append(r.amounts, p.Amount.Minor)
		r.versions = append(r.versions, p.Version)
		r.chargeVersions = append(r.chargeVersions, p.ChargeVersion)
		r.froms = append(r.froms, c.From)
		r.captured = append(r.captured, p.Captured)
		r.keyNumbers = append(r.keyNumbers, int32(p.KeyNumber)) //nolint:gosec // a handful
		r.attempts = append(r.attempts, int32(p.Attempts))      //nolint:gosec // one per call, backed off
		r.setbacks = append(r.setbacks, int32(p.Setbacks))      //nolint:gosec // no more than attempts
		r.keyBorn = append(r.keyBorn, p.KeyBorn)
		r.updated = append(r.updated, p.Updated)
		r.leases = append(r.leases, leaseMillis(c.Lease))
	}
	return r
}

func leaseMillis(d time.Duration) int64 {
	if d == payment.KeepLease {
		return -1
	}
	return d.Milliseconds()
}

// sqlInsert adds payments never seen before. A concurrent insert of the same
// order leaves a row less: expect_rows aborts, and the caller decides again.
const sqlInsert = `
	with added as (
		insert into payments (order_id, status, currency, amount, version, charge_version, captured, intent_id,
			key_number, key_born_at, decline_code, attempts, trace, updated_at, lease_until)
		select order_id, status, currency, amount, version, charge_version, false, '',
			key_number, key_born_at, '', 0, trace, updated_at, now() + lease_ms * interval '1 ms'
		from unnest(@orders::uuid[], @statuses::text[], @currencies::text[], @amounts::bigint[], @versions::bigint[],
			@charge_versions::bigint[], @key_numbers::int[], @key_born::timestamptz[], @traces::text[],
			@updated::timestamptz[], @leases::bigint[])
			as new (order_id, status, currency, amount, version, charge_version, key_number, key_born_at, trace,
				updated_at, lease_ms)
		on conflict (order_id) do nothing
		returning 1
	)
	select expect_rows((select count(*) from added), @count)`

func queueInsert(b *pgx.Batch, changes []payment.Change) {
	if len(changes) == 0 {
		return
	}
	r := rowsOf(changes)
	b.Queue(sqlInsert, pgx.StrictNamedArgs{
		"orders": r.orders, "statuses": r.statuses, "currencies": r.currencies, "amounts": r.amounts,
		"versions": r.versions, "charge_versions": r.chargeVersions, "key_numbers": r.keyNumbers,
		"key_born": r.keyBorn, "traces": r.traces, "updated": r.updated, "leases": r.leases, "count": len(changes),
	})
}

// sqlUpdate writes over the version that the caller has seen, and never over
// another intent's id. Key number and birth only rise: a slow executor must not
// bring back a spent key.
const sqlUpdate = `
	with changed as (
		update payments p set
			status = c.status, version = c.version, charge_version = c.charge_version, captured = c.captured,
			intent_id = c.intent_id, key_number = greatest(p.key_number, c.key_number),
			key_born_at = greatest(p.key_born_at, c.key_born_at), decline_code = c.decline_code,
			attempts = greatest(p.attempts, c.attempts), setbacks = c.setbacks, trace = c.trace, updated_at = c.updated_at,
			lease_until = case when c.lease_ms < 0 then p.lease_until else now() + c.lease_ms * interval '1 ms' end
		from unnest(@orders::uuid[], @froms::bigint[], @statuses::text[], @versions::bigint[],
			@charge_versions::bigint[], @captured::boolean[], @intents::text[], @key_numbers::int[],
			@key_born::timestamptz[], @codes::text[], @attempts::int[], @setbacks::int[],
			@traces::text[], @updated::timestamptz[], @leases::bigint[])
			as c (order_id, from_version, status, version, charge_version, captured, intent_id, key_number,
				key_born_at, decline_code, attempts, setbacks, trace, updated_at, lease_ms)
		where p.order_id = c.order_id and p.version = c.from_version
			and (p.intent_id = '' or p.intent_id = c.intent_id)
		returning 1
	)
	select expect_rows((select count(*) from changed), @count)`

func queueUpdate(b *pgx.Batch, changes []payment.Change) {
	if len(changes) == 0 {
		return
	}
	r := rowsOf(changes)
	b.Queue(sqlUpdate, pgx.StrictNamedArgs{
		"orders": r.orders, "froms": r.froms, "statuses": r.statuses, "versions": r.versions,
		"charge_versions": r.chargeVersions, "captured": r.captured, "intents": r.intents,
		"key_numbers": r.keyNumbers, "key_born": r.keyBorn, "codes": r.codes, "attempts": r.attempts, "setbacks": r.setbacks,
		"traces": r.traces, "updated": r.updated, "leases": r.leases, "count": len(changes),
	})
}

// sqlEntries posts. That an order is charged once, and that a posting adds up,
// the table's own constraints see to.
const sqlEntries = `
	insert into ledger_entries (order_id, kind, account, currency, amount, posted_at)
	select *, @now::timestamptz
	from unnest(@orders::uuid[], @kinds::text[], @accounts::text[], @currencies::text[], @amounts::bigint[])`

func queueEntries(b *pgx.Batch, entries []payment.Entry, now time.Time) {
	if len(entries) == 0 {
		return
	}
	var orders, kinds, accounts, currencies []string
	var amounts []int64
	for _, e := range entries {
		orders = append(orders, e.OrderID)
		kinds = append(kinds, e.Kind)
		accounts = append(accounts, e.Account)
		currencies = append(currencies, e.Amount.Currency)
		amounts = append(amounts, e.Amount.Minor)
	}
	b.Queue(sqlEntries, pgx.StrictNamedArgs{
		"orders": orders, "kinds": kinds, "accounts": accounts, "currencies": currencies, "amounts": amounts, "now": now,
	})
}
