package retail

import (
	"strings"
	"time"
	"unicode/utf8"
)

// dateLayouts are the ways in which the releases write the invoice's date.
var dateLayouts = []string{"2006-01-02 15:04:05", "2006-01-02T15:04:05Z07:00", "2006-01-02 15:04", "1/2/2006 15:04", "1/2/06 15:04"}

// validNumber keeps invoice numbers fit for an idempotency key.
func validNumber(number string) bool {
	if number == "" || len(number) > 64 {
		return false
	}
	for _, c := range []byte(number) {
		if !isUpper(c) && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// isProduct tells goods from the shop's bookkeeping. All goods have four or
// more digits in a row (85123A, DCGS0076, GIFT_0001_40); postage (POST, DOT,
// C2), discounts (D), manual lines (M), fees and samples have not.
func isProduct(sku string) bool {
	if len(sku) > 64 {
		return false
	}
	product, run := false, 0
	for _, c := range []byte(sku) {
		if c <= ' ' || c > '~' {
			return false
		}
		if c < '0' || c > '9' {
			run = 0
			continue
		}
		run++
		product = product || run >= 4
	}
	return product
}

// toUTF8 reads text that is not UTF-8 as Latin-1, in which older releases are.
func toUTF8(text string) string {
	const maxDescription = 500 // of the public API
	if !utf8.ValidString(text) {
		runes := make([]rune, 0, len(text))
		for _, c := range []byte(text) {
			runes = append(runes, rune(c))
		}
		text = string(runes)
	}
	if utf8.RuneCountInString(text) > maxDescription {
		text = string([]rune(text)[:maxDescription])
	}
	return strings.Clone(text)
}

// parseTime reads the invoice's date, zero when no layout fits.
func parseTime(text string) time.Time {
	for _, layout := range dateLayouts {
		if at, err := time.Parse(layout, text); err == nil {
			return at
		}
	}
	return time.Time{}
}
