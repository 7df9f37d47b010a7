package money_test

import (
	"errors"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"example.com/ballast/pkg/money"
)

func gbp(minor int64) money.Money { return money.Money{Currency: "GBP", Minor: minor} }

func TestAdd(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		a, b, want money.Money
		err        error
	}{
		"sum":           {gbp(2), gbp(3), gbp(5), nil},
		"zero value":    {money.Money{}, gbp(3), gbp(3), nil},
		"to zero value": {gbp(3), money.Money{}, gbp(3), nil},
		"currencies":    {gbp(1), money.Money{Currency: "EUR", Minor: 1}, money.Money{}, money.ErrCurrency},
		"over":          {gbp(math.MaxInt64), gbp(1), money.Money{}, money.ErrOverflow},
		"under":         {gbp(math.MinInt64), gbp(-1), money.Money{}, money.ErrOverflow},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := tc.a.Add(tc.b)
			if got != tc.want || !errors.Is(err, tc.err) {
				t.Errorf("got %v, %v, want %v, %v", got, err, tc.want, tc.err)
			}
		})
	}
}

// Every result is the exact one or ErrOverflow, measured against math/big.
func TestArithmeticIsExact(t *testing.T) {
	t.Parallel()
	extremes := rapid.OneOf(rapid.Int64(), rapid.SampledFrom([]int64{math.MinInt64, math.MinInt64 + 1, -1, 0, 1, math.MaxInt64}))
	rapid.Check(t, func(t *rapid.T) {
		a, b := extremes.Draw(t, "a"), extremes.Draw(t, "b")
		for name, tc := range map[string]struct {
			got   func() (money.Money, error)
			exact *big.Int
		}{
			"add": {func() (money.Money, error) { return gbp(a).Add(gbp(b)) }, new(big.Int).Add(big.NewInt(a), big.NewInt(b))},
			"mul": {func() (money.Money, error) { return gbp(a).Mul(b) }, new(big.Int).Mul(big.NewInt(a), big.NewInt(b))},
			"neg": {gbp(a).Neg, new(big.Int).Neg(big.NewInt(a))},
		} {
			got, err := tc.got()
			if tc.exact.IsInt64() && (err != nil || got != gbp(tc.exact.Int64())) {
				t.Fatalf("%s(%d, %d): got %v, %v, want %v", name, a, b, got, err, tc.exact)
			}
			if !tc.exact.IsInt64() && !errors.Is(err, money.ErrOverflow) {
				t.Fatalf("%s(%d, %d): got %v, %v, want overflow", name, a, b, got, err)
			}
		}
	})
}
