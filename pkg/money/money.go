// Package money holds exact amounts: a currency and a count of its smallest
// unit. There are no floats here and no rounding, so sums of lines, postings of
// a ledger and a provider's amounts compare with ==.
package money

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
)

var (
	// ErrOverflow is returned when a result does not fit into an int64.
	ErrOverflow = errors.New("amount out of range")
	// ErrCurrency is returned when two currencies meet in one calculation.
	ErrCurrency = errors.New("different currencies")
)

// Money is an amount. The zero value is no money in no currency: it adds to
// every currency, so that a sum can start from it.
type Money struct {
	// Currency is an ISO 4217 code, upper case.
	Currency string
	// Minor is the amount in the currency's smallest unit (pence for GBP).
	Minor int64
}

// Add returns m + o. It fails with ErrCurrency or ErrOverflow.
func (m Money) Add(o Money) (Money, error) {
	switch {
	case m == Money{}:
		return o, nil
	case o == Money{}:
		return m, nil
	case m.Currency != o.Currency:
		return Money{}, fmt.Errorf("add %s and %s: %w", m, o, ErrCurrency)
	}
	sum := m.Minor + o.Minor
	// The sum has overflowed exactly when both operands have the sign that it lacks.
	if (m.Minor^sum)&(o.Minor^sum) < 0 {
		return Money{}, fmt.Errorf("add %s and %s: %w", m, o, ErrOverflow)
	}
	return Money{Currency: m.Currency, Minor: sum}, nil
}

// Neg returns -m. It fails with ErrOverflow for the smallest int64, which has
// no positive counterpart.
func (m Money) Neg() (Money, error) {
	if m.Minor == math.MinInt64 {
		return Money{}, fmt.Errorf("negate %s: %w", m, ErrOverflow)
	}
	return Money{Currency: m.Currency, Minor: -m.Minor}, nil
}

// Mul returns m times n. It fails with ErrOverflow.
func (m Money) Mul(n int64) (Money, error) {
	negative := (m.Minor < 0) != (n < 0)
	limit := uint64(math.MaxInt64)
	if negative {
		limit++
	}
	high, low := bits.Mul64(magnitude(m.Minor), magnitude(n))
	if high != 0 || low > limit {
		return Money{}, fmt.Errorf("multiply %s by %d: %w", m, n, ErrOverflow)
	}
	product := int64(low) //nolint:gosec // low is at most limit; 1<<63 wraps to the smallest int64, as it should
	if negative {
		product = -product
	}
	return Money{Currency: m.Currency, Minor: product}, nil
}

// magnitude returns |n|; it is right for the smallest int64, too.
func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n) //nolint:gosec // two's complement negation is the point
	}
	return uint64(n)
}

// String returns the currency and the minor units, such as "GBP 1250". It puts
// no decimal point: the exponent belongs to the currency, which is not known
// here.
func (m Money) String() string {
	if m.Currency == "" {
		return fmt.Sprintf("%d", m.Minor)
	}
	return fmt.Sprintf("%s %d", m.Currency, m.Minor)
}
