package alerts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/common/model"
)

// superuser returns the superuser's session in a database. Its transactions have no
// timeouts.
func (p *play) superuser(ctx context.Context, database string) (*pgx.Conn, error) {
	if known := p.admin[database]; known != nil && !known.IsClosed() {
		return known, nil
	}
	at, err := p.Home.PostgresURL(database)
	if err != nil {
		return nil, err
	}
	p.admin[database], err = pgx.Connect(ctx, at)
	return p.admin[database], err
}

// disconnect ends the sessions.
func (p *play) disconnect(ctx context.Context) {
	for _, conn := range p.admin {
		if conn != nil {
			_ = conn.Close(ctx) // the stack ends anyhow
		}
	}
}

// exec runs statements as the superuser.
func (p *play) exec(ctx context.Context, database string, statements ...string) error {
	conn, err := p.superuser(ctx, database)
	if err != nil {
		return err
	}
	for _, sql := range statements {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}

// shutOut takes all connections from a role, as a limit does that somebody has set
// too low.
func shutOut(ctx context.Context, p *play) (func(context.Context) error, error) {
	end := func(ctx context.Context) error {
		return p.exec(ctx, "inventory", `ALTER ROLE inventory_app CONNECTION LIMIT -1`)
	}
	return end, p.exec(ctx, "inventory", `ALTER ROLE inventory_app CONNECTION LIMIT 0`,
		`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'inventory_app'`)
}

// forget begins a transaction and leaves it at that.
func forget(ctx context.Context, p *play) (func(context.Context) error, error) {
	end := func(ctx context.Context) error {
		conn := p.admin["orders"]
		delete(p.admin, "orders")
		_ = conn.Close(ctx) // the runbook may have ended it already
		return nil
	}
	return end, p.exec(ctx, "orders", `BEGIN`, `SELECT count(*) FROM orders`)
}

// slot is the replication slot that nobody reads, and segments how much of its log
// Postgres has to keep for it.
const (
	slot     = "drill_nobody_reads"
	segments = 80 // of 16 MiB
)

// retain makes a slot and moves the log on. A segment that is switched away from is
// written whole, so that this takes as much disk as it would in earnest.
func retain(ctx context.Context, p *play) (func(context.Context) error, error) {
	end := func(ctx context.Context) error {
		return p.exec(ctx, "orders", `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '`+slot+`'`)
	}
	err := p.exec(ctx, "orders", `SELECT pg_create_physical_replication_slot('`+slot+`', true)`)
	for range segments {
		if err == nil {
			err = p.exec(ctx, "orders", `SELECT pg_logical_emit_message(false, 'drill', 'x')`, `SELECT pg_switch_wal()`)
		}
	}
	return end, err
}

// usurper is a process that does not exist.
const usurper = "drill/0"

// usurp gives the lease to nobody who runs, for an hour.
func usurp(ctx context.Context, p *play) (func(context.Context) error, error) {
	end := func(ctx context.Context) error {
		return p.exec(ctx, "orders", `UPDATE lease SET expires_at = clock_timestamp() WHERE holder = '`+usurper+`'`)
	}
	return end, p.exec(ctx, "orders", `UPDATE lease SET holder = '`+usurper+`', epoch = epoch + 1,
		expires_at = clock_timestamp() + interval '1 hour' WHERE name = 'outbox'`)
}

// unbalance takes one entry of a charge away, for which the guards of the ledger
// have to be switched off.
func unbalance(ctx context.Context, p *play) (func(context.Context) error, error) {
	order, err := p.shop.confirmed(ctx)
	if err != nil {
		return nil, err
	}
	p.noted = model.LabelSet{"id": model.LabelValue(order.GetOrderId()), "kind": "charge"}
	// What the runbook puts back is looked at by the drill's reconciliation.
	return asIs, p.exec(ctx, "payments",
		`ALTER TABLE ledger_entries DISABLE TRIGGER ledger_append_only`,
		`DELETE FROM ledger_entries WHERE account = 'customer_payments' AND order_id = '`+order.GetOrderId()+`'`,
		`ALTER TABLE ledger_entries ENABLE TRIGGER ledger_append_only`)
}

// chargeAgain takes the money for a confirmed order once more, past payments, as
// somebody may who works in the provider's own pages.
func chargeAgain(ctx context.Context, p *play) (func(context.Context) error, error) {
	order, err := p.shop.confirmed(ctx)
	if err != nil {
		return nil, err
	}
	p.twice = order.GetOrderId()
	key := fmt.Sprint("drill-", time.Now().UnixNano())
	answer, err := p.provider(ctx, "payment_intents", key, url.Values{
		"amount": {fmt.Sprint(order.GetTotal().GetMinorUnits())}, "currency": {strings.ToLower(order.GetTotal().GetCurrency())},
		"payment_method": {"pm_card_visa"}, "metadata[order_id]": {order.GetOrderId()},
	})
	if err != nil {
		return nil, err
	}
	_, id, _ := strings.Cut(answer, `"id":"`)
	id, _, _ = strings.Cut(id, `"`)
	p.noted = model.LabelSet{"id": model.LabelValue(p.twice), "intent": model.LabelValue(id)}
	_, err = p.provider(ctx, "payment_intents/"+id+"/confirm", key+"-confirm", url.Values{})
	return asIs, err
}

// provider calls the payment provider's API.
func (p *play) provider(ctx context.Context, path, key string, form url.Values) (string, error) {
	state, err := p.State()
	if err != nil {
		return "", err
	}
	secret, err := p.Home.Secret("provider_api_key")
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, state.Endpoints.Provider+"/v1/"+path, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", "Bearer "+secret)
	req.Header.Set("Idempotency-Key", key)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = errors.New(res.Status + ": " + string(body))
	}
	return string(body), err
}
