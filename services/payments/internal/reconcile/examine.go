package reconcile

import (
	"context"
	"errors"
	"slices"
	"time"

	"example.com/ballast/services/payments/internal/payment"
)

// examine reads each suspect again, and reports what still differs. Our side
// comes first: most suspects are merely open, and need no call.
func (r *run) examine(ctx context.Context) error {
	for s := range r.suspects {
		waits, err := r.wait(ctx, s.OrderID)
		if err != nil {
			return err
		}
		if waits {
			r.undecided = append(r.undecided, s)
			continue
		}
		i, err := r.intent(ctx, s.IntentID)
		if err != nil {
			return err
		}
		if s.OrderID == "" {
			s.OrderID = i.OrderID
		}
		// Read after the provider's side: a result stored in between is no difference.
		if waits, err = r.wait(ctx, s.OrderID); err != nil {
			return err
		}
		if waits {
			r.undecided = append(r.undecided, s)
			continue
		}
		a, err := r.account(ctx, s.OrderID)
		if err != nil {
			return err
		}
		found := r.differ(ctx, s, compare(a, i)...)
		if delete(r.told, s); len(found) == 0 {
			continue
		}
		r.differing = append(r.differing, s)
		if len(r.told) < maxSuspects {
			r.told[s] = found
		}
	}
	return nil
}

// settled are those of the stored suspects that no longer are.
func (r *run) settled(stored []payment.Suspect) []payment.Suspect {
	return slices.DeleteFunc(stored, func(s payment.Suspect) bool {
		return slices.Contains(r.undecided, s) || slices.Contains(r.differing, s)
	})
}

// wait tells a payment that is open, or was settled within the grace.
func (r *run) wait(ctx context.Context, order string) (bool, error) {
	a, err := r.account(ctx, order)
	return a.Payment.Status.Open() || time.Since(a.Payment.Updated) < r.cfg.Grace, err
}

func (r *run) intent(ctx context.Context, id string) (Intent, error) {
	i, err := r.cfg.Provider.Intent(ctx, id)
	if errors.Is(err, ErrMissing) {
		return Intent{}, nil
	}
	if err != nil {
		return Intent{}, err
	}
	for f, err := range r.cfg.Provider.Refunds(ctx, i.Created, time.Time{}) {
		if err != nil {
			return Intent{}, err
		}
		if f.IntentID == id {
			i.Refunded += f.Amount
		}
	}
	return i, nil
}

func (r *run) account(ctx context.Context, order string) (payment.Account, error) {
	if order == "" {
		return payment.Account{}, nil
	}
	known, err := r.cfg.Book.Accounts(ctx, []string{order})
	return known[order], err
}

// differ reports a difference; one that was known is logged no more.
func (r *run) differ(ctx context.Context, s payment.Suspect, problems ...problem) []payment.Difference {
	found := make([]payment.Difference, len(problems))
	for i, p := range problems {
		found[i] = payment.Difference{OrderID: s.OrderID, IntentID: s.IntentID, Kind: p.kind, Problem: p.text}
		if !slices.Contains(r.told[s], found[i]) {
			r.cfg.Logger.ErrorContext(ctx, "the books differ", "order_id", s.OrderID, "payment_intent_id", s.IntentID, "problem", p.text)
		}
	}
	r.report.Differences = append(r.report.Differences, found...)
	return found
}
