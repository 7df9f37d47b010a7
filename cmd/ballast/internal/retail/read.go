package retail

import (
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// column names one field of the file.
type column int

const (
	colInvoice column = iota
	colSKU
	colDescription
	colQuantity
	colDate
	colPrice
	colCustomer
	colCountry
	columns
)

// headers lists the names that the releases of the data set give the columns,
// lower case and without blanks: "Customer ID" and "CustomerID" are the same.
var headers = map[string]column{
	"invoiceno": colInvoice, "invoice": colInvoice,
	"stockcode":   colSKU,
	"description": colDescription,
	"quantity":    colQuantity,
	"invoicedate": colDate,
	"unitprice":   colPrice, "price": colPrice,
	"customerid": colCustomer,
	"country":    colCountry,
}

// Open reads the file at path, which may be compressed with gzip.
func Open(path string) (*History, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // only read
	buffered := bufio.NewReader(file)
	var source io.Reader = buffered
	// The content decides, not the name: a renamed file still opens.
	if magic, _ := buffered.Peek(2); len(magic) == 2 && magic[0] == 0x1f && magic[1] == 0x8b {
		unzipped, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, fmt.Errorf("unzip %s: %w", path, err)
		}
		source = unzipped
	}
	history, err := Read(source)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return history, nil
}

// Read reads the CSV text. It fails only when the text is unreadable as a whole
// (no header, a broken stream); a bad line is refused and counted.
func Read(source io.Reader) (*History, error) {
	digest := sha256.New()
	rows := csv.NewReader(io.TeeReader(source, digest))
	rows.FieldsPerRecord = -1
	rows.ReuseRecord = true
	header, err := rows.Read()
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	index, err := readHeader(header)
	if err != nil {
		return nil, err
	}
	b := &builder{history: &History{Refused: map[Reason]int{}}, index: index, width: len(header), at: map[string]int{}}
	for {
		row, err := rows.Read()
		var bad *csv.ParseError
		switch {
		case errors.Is(err, io.EOF):
			b.finish()
			b.history.Digest = hex.EncodeToString(digest.Sum(nil)[:8])
			return b.history, nil
		case errors.As(err, &bad):
			// An open quote swallows lines up to the next quote: all of them are refused.
			swallowed := max(1, bad.Line-bad.StartLine+1)
			b.history.Lines += swallowed
			b.history.Refused[ReasonMalformed] += swallowed
		case err != nil:
			return nil, err
		default:
			b.history.Lines++
			b.add(row)
		}
	}
}

// readHeader finds the columns by name. All but the description must be there.
func readHeader(names []string) ([columns]int, error) {
	var index [columns]int
	for c := range index {
		index[c] = -1
	}
	for i, name := range names {
		name = strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, "\ufeff"), " ", ""))
		if c, ok := headers[name]; ok {
			index[c] = i
		}
	}
	for c, label := range map[column]string{
		colInvoice: "InvoiceNo", colSKU: "StockCode", colQuantity: "Quantity", colDate: "InvoiceDate",
		colPrice: "UnitPrice", colCustomer: "CustomerID", colCountry: "Country",
	} {
		if index[c] < 0 {
			return index, fmt.Errorf("the header has no column %s: want the UCI Online Retail format", label)
		}
	}
	return index, nil
}

// builder collects the lines of a file into invoices.
type builder struct {
	history *History
	index   [columns]int
	width   int
	at      map[string]int // invoice number -> index in history.Invoices
}

func (b *builder) field(row []string, c column) string {
	if b.index[c] < 0 {
		return ""
	}
	return strings.TrimSpace(row[b.index[c]])
}

// add sorts one row into its heap.
func (b *builder) add(row []string) {
	if len(row) != b.width {
		b.history.Refused[ReasonMalformed]++
		return
	}
	number := strings.ToUpper(b.field(row, colInvoice))
	if !validNumber(number) {
		b.history.Refused[ReasonInvoice]++
		return
	}
	at, known := b.at[number]
	if number[0] == 'C' {
		if !known {
			b.at[number] = -1
			b.history.ReturnInvoices++
		}
		b.history.ReturnLines++
		return
	}
	if !known {
		at = len(b.history.Invoices)
		b.at[number] = at
		b.history.Invoices = append(b.history.Invoices, Invoice{Number: strings.Clone(number)})
	}
	if reason := b.addLine(row, &b.history.Invoices[at]); reason != "" {
		b.history.Refused[reason]++
	}
}

// addLine adds a row to its invoice, or says why not.
func (b *builder) addLine(row []string, invoice *Invoice) Reason {
	line, rounded, reason := b.line(row)
	if reason != "" {
		return reason
	}
	country, ok := countryCode(b.field(row, colCountry))
	if !ok {
		return ReasonCountry
	}
	// Some releases went through a float column: 17850.0.
	customer := strings.TrimSuffix(b.field(row, colCustomer), ".0")
	guest := customer == ""
	if guest {
		customer = "guest-" + invoice.Number
	}
	switch {
	case len(invoice.Lines) == 0:
		invoice.Customer, invoice.Guest = strings.Clone(customer), guest
		invoice.Country, invoice.Time = strings.Clone(country), parseTime(b.field(row, colDate))
	case customer != invoice.Customer:
		return ReasonOtherCustomer
	case len(invoice.Lines) == maxLines:
		return ReasonTooLong
	}
	if rounded {
		b.history.RoundedPrices++
	}
	invoice.Lines = append(invoice.Lines, line)
	return ""
}

// line checks the product, quantity and price of a row.
func (b *builder) line(row []string) (_ Line, rounded bool, _ Reason) {
	// The shop typed 85123a and 85123A for one product.
	sku := strings.ToUpper(b.field(row, colSKU))
	if sku == "" {
		return Line{}, false, ReasonNoSKU
	}
	if !isProduct(sku) {
		return Line{}, false, ReasonNotProduct
	}
	quantity, err := strconv.ParseInt(b.field(row, colQuantity), 10, 64)
	switch {
	case err != nil:
		return Line{}, false, ReasonBadQuantity
	case quantity <= 0:
		return Line{}, false, ReasonNoQuantity
	case quantity > maxQuantity:
		return Line{}, false, ReasonAbsurd
	}
	price, rounded, err := ParsePrice(b.field(row, colPrice))
	switch {
	case err != nil:
		return Line{}, false, ReasonBadPrice
	case price <= 0:
		return Line{}, false, ReasonNoPrice
	}
	return Line{
		SKU: strings.Clone(sku), Description: toUTF8(b.field(row, colDescription)),
		Quantity: int32(quantity), Price: price,
	}, rounded, ""
}

// finish drops the invoices that have no line left and counts them.
func (b *builder) finish() {
	kept := b.history.Invoices[:0]
	for _, invoice := range b.history.Invoices {
		if len(invoice.Lines) == 0 {
			b.history.EmptyInvoices++
			continue
		}
		kept = append(kept, invoice)
	}
	b.history.Invoices = kept
}
