package retail

import (
	"errors"
	"strings"
)

// Errors of ParsePrice.
var (
	ErrPriceSyntax = errors.New("price is not a decimal number")
	ErrPriceRange  = errors.New("price is too large")
)

// maxMinor bounds a price, by judgement: a price times the largest quantity of
// the largest invoice still fits into 64 bits.
const maxMinor = 10_000_000_000

// minorDigits is the number of decimals of the currencies that the reader takes.
const minorDigits = 2

// ParsePrice reads a decimal number such as 2.55 or -11062.06 into minor units
// (pence), exactly and without floats. A fraction of a minor unit is rounded
// half up (away from zero below zero), and rounded tells that it was.
func ParsePrice(text string) (minor int64, rounded bool, err error) {
	digits, negative := strings.CutPrefix(text, "-")
	whole, fraction, point := strings.Cut(digits, ".")
	if whole == "" && fraction == "" || point && fraction == "" && whole == "" {
		return 0, false, ErrPriceSyntax
	}
	kept, rest := fraction, ""
	if len(fraction) > minorDigits {
		kept, rest = fraction[:minorDigits], fraction[minorDigits:]
	}
	for _, part := range []string{whole, kept, strings.Repeat("0", minorDigits-len(kept))} {
		for _, c := range []byte(part) {
			if c < '0' || c > '9' {
				return 0, false, ErrPriceSyntax
			}
			if minor = minor*10 + int64(c-'0'); minor > maxMinor {
				return 0, false, ErrPriceRange
			}
		}
	}
	for _, c := range []byte(rest) {
		if c < '0' || c > '9' {
			return 0, false, ErrPriceSyntax
		}
		rounded = rounded || c != '0'
	}
	if rest != "" && rest[0] >= '5' {
		minor++
	}
	if minor > maxMinor {
		return 0, false, ErrPriceRange
	}
	if negative {
		minor = -minor
	}
	return minor, rounded, nil
}
