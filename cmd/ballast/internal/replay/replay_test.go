package replay

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/ballast/cmd/ballast/internal/retail"
	"example.com/ballast/cmd/ballast/internal/shoptest"
)

// history has five orders: two of them want more of 22139 than a stock of ten
// has, and one goes where the shop does not ship.
const history = `InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
1,85123A,LANTERN,6,2010-12-01 08:00:00,2.55,17850,United Kingdom
1,22139,TEA SET,4,2010-12-01 08:00:00,4.25,17850,United Kingdom
1,POST,POSTAGE,1,2010-12-01 08:00:00,18,17850,United Kingdom
2,22139,TEA SET,20,2010-12-01 08:01:00,4.25,,France
3,22139,TEA SET,20,2010-12-01 08:02:00,3.95,12346,France
4,85123A,LANTERN,1,2010-12-01 08:03:00,2.55,12347,Bahrain
5,85123A,LANTERN,3,2010-12-01 08:04:00,2.55,12347,France
C6,85123A,LANTERN,-1,2010-12-01 08:05:00,2.55,12347,France
7,85123A,LANTERN,-2,2010-12-01 08:05:00,2.55,12347,France
`

func config(t *testing.T) *Config {
	t.Helper()
	h, err := retail.Read(strings.NewReader(history))
	if err != nil {
		t.Fatal(err)
	}
	return &Config{History: h, Currency: "GBP", Concurrency: 3, Wait: 3 * time.Second, Stock: 10}
}

func replay(t *testing.T, shop *shoptest.Shop, cfg *Config) *Report {
	t.Helper()
	report, err := Run(t.Context(), shop.Start(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestReplayAccountsForEveryLineAndASecondRunPlacesNothing(t *testing.T) {
	t.Parallel()
	shop := &shoptest.Shop{Busy: 3, Lag: 6}
	client := shop.Start(t)
	cfg := config(t)
	var seen []string
	cfg.Progress = func(p Progress) {
		if len(seen) == 0 || seen[len(seen)-1] != p.Phase {
			seen = append(seen, p.Phase)
		}
	}
	first, err := Run(t.Context(), client, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if !first.OK() || first.UnaccountedLines != 0 {
		t.Errorf("not OK: %+v, differences %v", first, first.Reconciliation.Differences)
	}
	if diff := cmp.Diff(Tally{Orders: 5, Lines: 6}, first.Placed); diff != "" {
		t.Error(diff)
	}
	if first.Lines != 9 || first.ReturnLines != 1 || first.ReturnInvoices != 1 || first.EmptyInvoices != 1 || first.Guests != 1 || first.Repriced != 1 {
		t.Errorf("account of the file: %+v", first)
	}
	if diff := cmp.Diff(map[string]int{"out_of_stock": 2, "shipment_refused": 1}, first.Cancelled); diff != "" || first.Confirmed != 2 {
		t.Errorf("confirmed %d, cancelled %s", first.Confirmed, diff)
	}
	if first.PlaceOrder.N != 5 || first.EndToEnd.N != 5 || first.Retries["unavailable"] != 3 {
		t.Errorf("measured %d and %d, retries %v", first.PlaceOrder.N, first.EndToEnd.N, first.Retries)
	}
	if diff := cmp.Diff([]string{PhaseCatalogue, PhasePlacing, PhaseWaiting}, seen); diff != "" {
		t.Error(diff)
	}

	second, err := Run(t.Context(), client, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if !second.OK() || second.Placed.Orders != 0 || second.AlreadyThere != (Tally{Orders: 5, Lines: 6}) || second.Confirmed != 2 {
		t.Errorf("second run: %+v", second)
	}
	var text bytes.Buffer
	if err := second.Print(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"already there", "cancelled: out_of_stock", "refused: stock code is not a product", "differences: 0\n"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the table does not say %q:\n%s", want, text.String())
		}
	}
}

func TestLostOrderIsADifference(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	cfg.Wait = 50 * time.Millisecond
	report := replay(t, &shoptest.Shop{Lose: 5}, cfg)
	if report.OK() || len(report.Reconciliation.Differences) != 1 || !strings.Contains(report.Reconciliation.Differences[0].Problem, "acknowledged") {
		t.Errorf("differences %v", report.Reconciliation.Differences)
	}
}

func TestSkimmedCaptureIsADifference(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	cfg.Wait = 50 * time.Millisecond
	report := replay(t, &shoptest.Shop{Skim: 1}, cfg)
	if report.OK() {
		t.Error("a penny less in the provider's book went unnoticed")
	}
}

func TestCatalogueThatNeverArrivesEndsTheRun(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	cfg.Wait = 300 * time.Millisecond
	shop := &shoptest.Shop{Lag: 1 << 30}
	_, err := Run(t.Context(), shop.Start(t), cfg)
	if err == nil || !strings.Contains(err.Error(), "does not have the catalogue") {
		t.Errorf("error = %v", err)
	}
}

func TestOrdersThatStayUnansweredFailTheRun(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	report := newReport(cfg)
	report.Unanswered.add("gave up: unavailable", 2)
	if report.OK() {
		t.Error("an order without an answer is no success")
	}
}

func TestPacerKeepsTheInvoicesTimes(t *testing.T) {
	t.Parallel()
	h := config(t).History
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(60, h.Invoices) // a minute in a second
		started := time.Now()
		for i := range h.Invoices {
			if err := p.wait(context.Background(), h.Invoices[i].Time); err != nil {
				t.Fatal(err)
			}
			if got, want := time.Since(started), time.Duration(i)*time.Second; got != want {
				t.Errorf("invoice %d was placed after %v, want %v", i, got, want)
			}
		}
	})
}
