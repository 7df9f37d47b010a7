// Package retail reads the order history of the UCI "Online Retail" data sets:
// a CSV file of invoice lines, real and therefore dirty. It sorts every line
// into one of three heaps, so that nothing is dropped silently:
//
//   - lines of invoices that can be placed as orders,
//   - lines refused, counted by reason,
//   - lines of cancellation invoices (their number starts with C), counted as returns.
//
// The package is pure: it knows neither the services nor the network.
package retail

import (
	"slices"
	"time"
)

// Reason says why a line was refused.
type Reason string

// The reasons of refusal, in the order in which a line is looked at.
const (
	ReasonMalformed     Reason = "malformed row"
	ReasonInvoice       Reason = "bad invoice number"
	ReasonNoSKU         Reason = "empty stock code"
	ReasonNotProduct    Reason = "stock code is not a product"
	ReasonBadQuantity   Reason = "quantity is not a whole number"
	ReasonNoQuantity    Reason = "quantity is zero or negative"
	ReasonAbsurd        Reason = "quantity over 100000"
	ReasonBadPrice      Reason = "price is not a number"
	ReasonNoPrice       Reason = "price is zero or negative"
	ReasonCountry       Reason = "unknown country"
	ReasonOtherCustomer Reason = "another customer on the same invoice"
	ReasonTooLong       Reason = "invoice has more than 2000 lines"
)

// Limits of the public API: a line beyond them would make the whole invoice fail.
const (
	maxQuantity = 100_000
	maxLines    = 2000
)

// Line is one product of an invoice.
type Line struct {
	SKU         string
	Description string
	Quantity    int32
	// Price of one unit in minor units, as charged on that invoice.
	Price int64
}

// Invoice is what one customer bought at once.
type Invoice struct {
	Number string
	// Customer is the customer id, or "guest-<number>" when the file has none.
	Customer string
	Guest    bool
	// Country is an ISO 3166-1 alpha-2 code.
	Country string
	// Time is when the invoice was made, zero when the file's date can't be read.
	Time  time.Time
	Lines []Line
}

// Product is one SKU of the catalogue that the invoices imply.
type Product struct {
	SKU         string
	Description string
	// Price in minor units: the one on most lines, the earlier of two as frequent.
	Price int64
	// Wanted is the number of units on all invoices.
	Wanted int64
}

// History is a file that was read. Lines = PlaceableLines + the sum of Refused + ReturnLines.
type History struct {
	// Digest names the content of the file, whatever its name or compression.
	Digest string
	// Lines is the number of data lines of the file.
	Lines int
	// Invoices in the order of the file, each with at least one line.
	Invoices []Invoice
	// Refused counts the lines left out, by reason.
	Refused map[Reason]int
	// EmptyInvoices is the number of invoices all of whose lines were refused.
	EmptyInvoices int
	// ReturnInvoices and ReturnLines count the cancellations.
	ReturnInvoices, ReturnLines int
	// RoundedPrices counts lines whose price had a fraction of a minor unit.
	RoundedPrices int
}

// PlaceableLines is the number of lines on the invoices.
func (h *History) PlaceableLines() int {
	lines := 0
	for i := range h.Invoices {
		lines += len(h.Invoices[i].Lines)
	}
	return lines
}

// Guests is the number of invoices without a customer id.
func (h *History) Guests() int {
	guests := 0
	for i := range h.Invoices {
		if h.Invoices[i].Guest {
			guests++
		}
	}
	return guests
}

// Catalogue derives the products from the invoices, sorted by SKU. A shop's
// history has one SKU at several prices (list, bulk, manual); the most frequent
// one is the list price.
func (h *History) Catalogue() []Product {
	type tally struct {
		product Product
		prices  map[int64]int
		order   []int64 // distinct prices by first appearance
	}
	bySKU := map[string]*tally{}
	for i := range h.Invoices {
		for _, line := range h.Invoices[i].Lines {
			t := bySKU[line.SKU]
			if t == nil {
				t = &tally{product: Product{SKU: line.SKU}, prices: map[int64]int{}}
				bySKU[line.SKU] = t
			}
			if t.product.Description == "" {
				t.product.Description = line.Description
			}
			if t.prices[line.Price] == 0 {
				t.order = append(t.order, line.Price)
			}
			t.prices[line.Price]++
			t.product.Wanted += int64(line.Quantity)
		}
	}
	products := make([]Product, 0, len(bySKU))
	for _, t := range bySKU {
		best := 0
		for _, price := range t.order {
			if t.prices[price] > best {
				best, t.product.Price = t.prices[price], price
			}
		}
		products = append(products, t.product)
	}
	slices.SortFunc(products, func(a, b Product) int {
		if a.SKU < b.SKU {
			return -1
		}
		return 1
	})
	return products
}

// Repriced counts the lines whose own price differs from the catalogue's: their
// orders are placed at the catalogue's price.
func (h *History) Repriced(catalogue []Product) int {
	price := make(map[string]int64, len(catalogue))
	for _, p := range catalogue {
		price[p.SKU] = p.Price
	}
	repriced := 0
	for i := range h.Invoices {
		for _, line := range h.Invoices[i].Lines {
			if line.Price != price[line.SKU] {
				repriced++
			}
		}
	}
	return repriced
}
