package retail

import (
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSampleIsSortedIntoItsHeaps(t *testing.T) {
	t.Parallel()
	h, err := Open("testdata/sample.csv")
	if err != nil {
		t.Fatal(err)
	}
	h.Digest = ""
	want := &History{
		Lines: 22,
		Invoices: []Invoice{
			{Number: "900001", Customer: "17850", Country: "GB", Time: time.Date(2010, 12, 1, 8, 26, 0, 0, time.UTC), Lines: []Line{
				{SKU: "85123A", Description: "WHITE LANTERN", Quantity: 6, Price: 255},
				{SKU: "85123A", Quantity: 2, Price: 255},
				{SKU: "71053", Description: `METAL "HEART", SMALL`, Quantity: 6, Price: 339},
			}},
			{Number: "900002", Customer: "guest-900002", Guest: true, Country: "IE", Time: time.Date(2010, 12, 1, 9, 0, 0, 0, time.UTC), Lines: []Line{
				{SKU: "85123A", Description: "WHITE LANTERN", Quantity: 64, Price: 210},
			}},
			{Number: "900006", Customer: "12345", Country: "FR", Time: time.Date(2010, 12, 2, 8, 0, 0, 0, time.UTC), Lines: []Line{
				{SKU: "22139", Description: "RETROSPOT TEA SET", Quantity: 10, Price: 13},
			}},
			{Number: "900009", Customer: "54321", Country: "DE", Lines: []Line{
				{SKU: "DCGS0076", Description: "SUNJAR LED NIGHT LIGHT", Quantity: 3, Price: 1613},
			}},
		},
		Refused: map[Reason]int{
			ReasonNotProduct: 2, ReasonNoQuantity: 2, ReasonBadQuantity: 1, ReasonAbsurd: 1, ReasonNoPrice: 1, ReasonBadPrice: 1,
			ReasonNoSKU: 1, ReasonCountry: 1, ReasonOtherCustomer: 1, ReasonInvoice: 1, ReasonMalformed: 2,
		},
		EmptyInvoices:  2,
		ReturnInvoices: 1, ReturnLines: 2,
		RoundedPrices: 1,
	}
	if diff := cmp.Diff(want, h); diff != "" {
		t.Error(diff)
	}
	assertAddsUp(t, h)
	catalogue := h.Catalogue()
	if diff := cmp.Diff([]Product{
		{SKU: "22139", Description: "RETROSPOT TEA SET", Price: 13, Wanted: 10},
		{SKU: "71053", Description: `METAL "HEART", SMALL`, Price: 339, Wanted: 6},
		{SKU: "85123A", Description: "WHITE LANTERN", Price: 255, Wanted: 72},
		{SKU: "DCGS0076", Description: "SUNJAR LED NIGHT LIGHT", Price: 1613, Wanted: 3},
	}, catalogue); diff != "" {
		t.Error(diff)
	}
	if got := h.Repriced(catalogue); got != 1 {
		t.Errorf("repriced = %d, want 1", got)
	}
}

// TestRealFile reads the month that the shop really sold. BALLAST_RETAIL_CSV
// names it; without it the copy beside the repository is taken, and where
// neither is there the sample above has to do, and the test says so.
func TestRealFile(t *testing.T) {
	t.Parallel()
	path := os.Getenv("BALLAST_RETAIL_CSV")
	if path == "" {
		path = filepath.FromSlash("../../../../../shared/data/online-retail-2010-12.csv.gz")
	}
	h, err := Open(path)
	if errors.Is(err, os.ErrNotExist) {
		t.Logf("BALLAST_RETAIL_CSV is not set and there is no %s: only the sample was read", path)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	assertAddsUp(t, h)
	if h.Lines == 0 || len(h.Invoices) == 0 {
		t.Errorf("%d lines and %d invoices", h.Lines, len(h.Invoices))
	}
	t.Logf("%s: %d lines, %d invoices (%d guests), %d lines to place, refused %v, %d empty invoices, %d returns with %d lines, %d products",
		path, h.Lines, len(h.Invoices), h.Guests(), h.PlaceableLines(), h.Refused, h.EmptyInvoices, h.ReturnInvoices, h.ReturnLines, len(h.Catalogue()))
}

func assertAddsUp(t *testing.T, h *History) {
	t.Helper()
	refused := 0
	for _, n := range h.Refused {
		refused += n
	}
	if sum := h.PlaceableLines() + refused + h.ReturnLines; sum != h.Lines {
		t.Errorf("placeable %d + refused %d + returned %d = %d, but the file has %d lines", h.PlaceableLines(), refused, h.ReturnLines, sum, h.Lines)
	}
}

func TestCompressedContentHasTheSameDigest(t *testing.T) {
	t.Parallel()
	plain, err := os.ReadFile("testdata/sample.csv")
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "renamed")
	if err := os.WriteFile(path, packed.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := Open("testdata/sample.csv")
	if err != nil {
		t.Fatal(err)
	}
	b, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(a, b); diff != "" || a.Digest == "" {
		t.Errorf("digest %q: %s", a.Digest, diff)
	}
}

func TestHeaderMustNameTheColumns(t *testing.T) {
	t.Parallel()
	if _, err := Read(strings.NewReader("a,b,c\n1,2,3\n")); err == nil || !strings.Contains(err.Error(), "no column") {
		t.Errorf("error = %v", err)
	}
	if _, err := Read(strings.NewReader("")); err == nil {
		t.Error("an empty file was read")
	}
	h, err := Read(strings.NewReader("\ufeffInvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n1,22139,caf\xe9,1,12/1/2010 8:26,1,2,France\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []Invoice{{Number: "1", Customer: "2", Country: "FR", Time: time.Date(2010, 12, 1, 8, 26, 0, 0, time.UTC), Lines: []Line{{SKU: "22139", Description: "café", Quantity: 1, Price: 100}}}}
	if diff := cmp.Diff(want, h.Invoices); diff != "" {
		t.Error(diff)
	}
}

func TestParsePrice(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		minor   int64
		rounded bool
		err     error
	}{
		"2.55":                 {minor: 255},
		"2.5":                  {minor: 250},
		"7":                    {minor: 700},
		"7.":                   {minor: 700},
		".07":                  {minor: 7},
		"0":                    {},
		"-11062.06":            {minor: -1106206},
		"0.290":                {minor: 29},
		"0.001":                {minor: 0, rounded: true},
		"0.005":                {minor: 1, rounded: true},
		"0.1249":               {minor: 12, rounded: true},
		"0.125":                {minor: 13, rounded: true},
		"9.999":                {minor: 1000, rounded: true},
		"1.15":                 {minor: 115}, // 1.15*100 is 114.99999999999999 as a float
		"":                     {err: ErrPriceSyntax},
		".":                    {err: ErrPriceSyntax},
		"-":                    {err: ErrPriceSyntax},
		"--1":                  {err: ErrPriceSyntax},
		"+1":                   {err: ErrPriceSyntax},
		"1e3":                  {err: ErrPriceSyntax},
		"1.2.3":                {err: ErrPriceSyntax},
		"1.23x":                {err: ErrPriceSyntax},
		"2,55":                 {err: ErrPriceSyntax},
		"NaN":                  {err: ErrPriceSyntax},
		"100000000":            {minor: maxMinor},
		"100000000.01":         {err: ErrPriceRange},
		"99999999.999":         {minor: maxMinor, rounded: true},
		"100000000.005":        {err: ErrPriceRange},
		"92233720368547758070": {err: ErrPriceRange},
	}
	for text, want := range tests {
		minor, rounded, err := ParsePrice(text)
		if minor != want.minor || rounded != want.rounded || !errors.Is(err, want.err) {
			t.Errorf("ParsePrice(%q) = %d, %v, %v; want %d, %v, %v", text, minor, rounded, err, want.minor, want.rounded, want.err)
		}
	}
}

// FuzzParsePrice holds the parser to two facts: printing the amount and parsing
// it again gives the same amount, and nothing below zero comes out of text
// without a minus.
func FuzzParsePrice(f *testing.F) {
	for _, seed := range []string{"2.55", "-0.005", "1e9", ".", "0.1249", "99999999.999"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		minor, _, err := ParsePrice(text)
		if err != nil {
			return
		}
		if minor < 0 != (strings.HasPrefix(text, "-") && minor != 0) {
			t.Fatalf("%q = %d", text, minor)
		}
		sign, abs := "", minor
		if minor < 0 {
			sign, abs = "-", -minor
		}
		cents := strconv.FormatInt(abs%100, 10)
		if len(cents) == 1 {
			cents = "0" + cents
		}
		printed := sign + strconv.FormatInt(abs/100, 10) + "." + cents
		if again, rounded, err := ParsePrice(printed); again != minor || rounded || err != nil {
			t.Fatalf("%q = %d, printed %q = %d, %v, %v", text, minor, printed, again, rounded, err)
		}
	})
}

// FuzzRead holds the reader to its account: whatever the text, every line is in
// exactly one heap, and what is placeable is within the public API's limits.
func FuzzRead(f *testing.F) {
	sample, err := os.ReadFile("testdata/sample.csv")
	if err != nil {
		f.Fatal(err)
	}
	header, rest, _ := strings.Cut(string(sample), "\n")
	f.Add(rest)
	f.Add("1,22139,\"open,1,2010-12-01,1,1,FR\n2,22139,x,1,2010-12-01,1,1,FR\n")
	f.Fuzz(func(t *testing.T, body string) {
		h, err := Read(strings.NewReader(header + "\n" + body))
		if err != nil {
			t.Fatal(err)
		}
		assertAddsUp(t, h)
		for _, invoice := range h.Invoices {
			if len(invoice.Lines) == 0 || len(invoice.Lines) > maxLines || invoice.Customer == "" || len(invoice.Country) != 2 {
				t.Fatalf("invoice %+v", invoice)
			}
			for _, line := range invoice.Lines {
				if line.SKU == "" || line.Quantity < 1 || line.Quantity > maxQuantity || line.Price < 1 {
					t.Fatalf("line %+v", line)
				}
			}
		}
	})
}
