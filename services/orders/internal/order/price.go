package order

import (
	"cmp"
	"fmt"
	"slices"

	"example.com/ballast/pkg/money"
)

// MaxTotalMinor is the largest charge, in minor units: the provider takes at
// most eight digits (source: Stripe, "amount" of a PaymentIntent).
const MaxTotalMinor = 99_999_999

// minimumMinor is the smallest charge by currency, in minor units. Source:
// Stripe, "Minimum and maximum charge amounts". A currency that is not here is
// not sold in.
var minimumMinor = map[string]int64{"GBP": 30, "EUR": 50, "USD": 50}

// Wanted is a line as the customer asked for it.
type Wanted struct {
	SKU      string
	Quantity int32
}

// Product is what orders knows of a product: its own copy.
type Product struct {
	SKU     string
	Price   money.Money
	Version int64
	Deleted bool
}

// Refusal says which field of a request breaks which rule.
type Refusal struct {
	Field  string // as in the request, such as lines[2].sku
	Reason string // a constant for machines, such as UNKNOWN_SKU
	Detail string // a sentence for people
}

func (r *Refusal) Error() string { return r.Field + ": " + r.Detail }

// FoldLines adds up repeated SKUs; the first mention decides the place. Sums beyond
// the limit are refused, like a single quantity beyond it.
func FoldLines(wanted []Wanted, maxQuantity int32) ([]Wanted, *Refusal) {
	at := make(map[string]int, len(wanted))
	folded := make([]Wanted, 0, len(wanted))
	for i, w := range wanted {
		j, known := at[w.SKU]
		if !known {
			at[w.SKU] = len(folded)
			folded = append(folded, w)
			continue
		}
		sum := int64(folded[j].Quantity) + int64(w.Quantity)
		if sum > int64(maxQuantity) {
			return nil, &Refusal{fmt.Sprintf("lines[%d].quantity", i), "QUANTITY_TOO_LARGE",
				fmt.Sprintf("%s adds up to %d units; an order takes at most %d", w.SKU, sum, maxQuantity)}
		}
		folded[j].Quantity = int32(sum)
	}
	return folded, nil
}

// Price turns wanted lines into lines at today's prices and their sum. The
// first line that can't be sold is the refusal.
func Price(wanted []Wanted, products map[string]Product) ([]Line, money.Money, *Refusal) {
	var total money.Money
	lines := make([]Line, len(wanted))
	for i, w := range wanted {
		p, known := products[w.SKU]
		if !known || p.Deleted {
			return nil, total, &Refusal{fmt.Sprintf("lines[%d].sku", i), "UNKNOWN_SKU",
				fmt.Sprintf("%q is not a product that can be ordered", w.SKU)}
		}
		if i == 0 {
			total.Currency = p.Price.Currency
		}
		sum, err := p.Price.Mul(int64(w.Quantity))
		if err == nil {
			total, err = total.Add(sum)
		}
		if err != nil {
			return nil, total, &Refusal{fmt.Sprintf("lines[%d]", i), "TOTAL_INVALID", err.Error()}
		}
		lines[i] = Line{SKU: w.SKU, Quantity: w.Quantity, Price: p.Price}
	}
	minimum, sold := minimumMinor[total.Currency]
	switch {
	case !sold:
		return nil, total, &Refusal{"lines", "CURRENCY_NOT_SOLD", fmt.Sprintf("prices in %s can't be charged", total.Currency)}
	case total.Minor < minimum:
		return nil, total, &Refusal{"lines", "AMOUNT_TOO_SMALL",
			fmt.Sprintf("the total of %d %s minor units is below the provider's minimum of %d", total.Minor, total.Currency, minimum)}
	case total.Minor > MaxTotalMinor:
		return nil, total, &Refusal{"lines", "AMOUNT_TOO_LARGE",
			fmt.Sprintf("the total of %d %s minor units is above the provider's maximum of %d", total.Minor, total.Currency, int64(MaxTotalMinor))}
	}
	return lines, total, nil
}

// Newest folds several versions of a product into the highest, sorted by SKU.
func Newest(products []Product) []Product {
	sorted := slices.SortedFunc(slices.Values(products), func(a, b Product) int {
		return cmp.Or(cmp.Compare(a.SKU, b.SKU), cmp.Compare(b.Version, a.Version))
	})
	return slices.CompactFunc(sorted, func(a, b Product) bool { return a.SKU == b.SKU })
}
