package runbooks_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/ballast/deploy/observability/slo"
	"example.com/ballast/docs/runbooks"
)

// TestEveryPageHasItsSections: somebody woken at night finds the same on each.
func TestEveryPageHasItsSections(t *testing.T) {
	t.Parallel()
	pages, err := runbooks.Load()
	if err != nil {
		t.Fatal(err)
	}
	for name, page := range pages {
		if diff := cmp.Diff(runbooks.Sections(), page.Headings); diff != "" {
			t.Errorf("%s.md (-want +got):\n%s", name, diff)
		}
		for _, section := range []string{runbooks.Check, runbooks.Verify} {
			if len(page.Blocks[section]) == 0 {
				t.Errorf("%s.md: %s says what, not how: it has no block", name, section)
			}
		}
	}
}

// TestPagesMoveMoneyOneOrderAtATime: what gives money back or changes the ledger names
// the one that somebody has looked at. A comparison of the books is read to its end:
// the first page of a long history says nothing about the rest.
func TestPagesMoveMoneyOneOrderAtATime(t *testing.T) {
	t.Parallel()
	pages, err := runbooks.Load()
	if err != nil {
		t.Fatal(err)
	}
	demands := map[string][]string{
		"/v1/refunds":                 {"\"payment_intent=$INTENT\"", "where intent_id = '$INTENT'"},
		"insert into ledger_entries":  {"where order_id = '$ID' and kind = '$KIND'"},
		".PaymentService/Reconcile\"": {"\\\"$NEXT\\\"", ".nextPageToken"},
	}
	met := map[string]bool{}
	for name, page := range pages {
		for _, b := range slices.Concat(slices.Collect(maps.Values(page.Blocks))...) {
			for call, words := range demands {
				if !strings.Contains(b.Text, call) {
					continue
				}
				met[call] = true
				for _, word := range words {
					if !strings.Contains(b.Text, word) {
						t.Errorf("%s.md, line %d: %s without %s", name, b.Line, call, word)
					}
				}
				if call == "/v1/refunds" && (strings.Contains(b.Text, "while ") || strings.Contains(b.Text, "for ")) {
					t.Errorf("%s.md, line %d: refunds in a loop", name, b.Line)
				}
			}
		}
	}
	if len(met) != len(demands) {
		t.Errorf("only %v were found", met)
	}
}

func TestFor(t *testing.T) {
	t.Parallel()
	for alert, want := range map[string]string{
		"PlaceOrderBurnsFast": "PlaceOrderBurns", "PlaceOrderBurnsSlow": "PlaceOrderBurns", "ServiceDown": "ServiceDown",
	} {
		if got := runbooks.For(alert); got != want {
			t.Errorf("%s has the page %s, want %s", alert, got, want)
		}
	}
}

// TestEveryAlertLeadsToAPage, and to each page an alert.
func TestEveryAlertLeadsToAPage(t *testing.T) {
	t.Parallel()
	pages, err := runbooks.Load()
	if err != nil {
		t.Fatal(err)
	}
	groups, err := slo.Rules(1)
	if err != nil {
		t.Fatal(err)
	}
	led := map[string]bool{}
	for _, g := range groups {
		for _, rule := range g.Rules {
			if rule.Alert == "" {
				continue
			}
			page := runbooks.For(rule.Alert)
			led[page] = true
			if _, ok := pages[page]; !ok {
				t.Errorf("%s has no page %s.md", rule.Alert, page)
			}
			if url := rule.Annotations["runbook_url"]; !strings.HasSuffix(url, "/docs/runbooks/"+page+".md") {
				t.Errorf("%s leads to %s", rule.Alert, url)
			}
		}
	}
	for name := range pages {
		if !led[name] {
			t.Errorf("no alert leads to %s.md", name)
		}
	}
}
