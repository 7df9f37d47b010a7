package postgres

import (
	"encoding/json"
	"strconv"
	"strings"

	"example.com/ballast/services/inventory/internal/stock"
)

// Rows that hold arrays cannot travel as unnest of arrays of arrays, which must be
// rectangular. So each row's array travels as its text literal, and the statement
// casts it.

// literals returns the lines as the literals of a text[] and of an integer[].
func literals(lines []stock.Line) (skus, quantities string) {
	var s, q strings.Builder
	s.WriteByte('{')
	q.WriteByte('{')
	for i, l := range lines {
		if i > 0 {
			s.WriteByte(',')
			q.WriteByte(',')
		}
		quote(&s, l.SKU)
		q.WriteString(strconv.Itoa(int(l.Quantity)))
	}
	s.WriteByte('}')
	q.WriteByte('}')
	return s.String(), q.String()
}

// quote writes an element of an array literal; only the quote and the backslash
// mean something inside the quotes.
func quote(b *strings.Builder, element string) {
	b.WriteByte('"')
	for i := range len(element) {
		if c := element[i]; c == '"' || c == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(element[i])
	}
	b.WriteByte('"')
}

// lines joins the two columns of lines again.
func lines(skus []string, quantities []int32) []stock.Line {
	if len(skus) == 0 {
		return nil
	}
	joined := make([]stock.Line, len(skus))
	for i, sku := range skus {
		joined[i] = stock.Line{SKU: sku, Quantity: quantities[i]}
	}
	return joined
}

// columns splits lines into the two columns.
func columns(lines []stock.Line) (skus []string, quantities []int32) {
	skus, quantities = make([]string, len(lines)), make([]int32, len(lines))
	for i, l := range lines {
		skus[i], quantities[i] = l.SKU, l.Quantity
	}
	return skus, quantities
}

// encodeShortages returns JSON, or nothing where there are none: NULL.
func encodeShortages(shortages []stock.Shortage) (*string, error) {
	if len(shortages) == 0 {
		return nil, nil
	}
	encoded, err := json.Marshal(shortages)
	text := string(encoded)
	return &text, err
}
