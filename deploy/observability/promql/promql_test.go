package promql_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/ballast/deploy/observability/promql"
)

func TestSelectors(t *testing.T) {
	t.Parallel()
	got, err := promql.Selectors(`sum by (le, group) (rate(stream_lag{group=~"or.*"}[5m] offset 1m)) / on (group) {__name__="up", job="orders"} > 2`)
	if err != nil {
		t.Fatal(err)
	}
	type selector struct{ Name, Expr, Label string }
	var plain []selector
	for _, s := range got {
		plain = append(plain, selector{s.Name, s.Expr, s.Matchers[0].String()})
	}
	want := []selector{
		{"stream_lag", `stream_lag{group=~"or.*"}`, `group=~"or.*"`},
		{"up", `{__name__="up",job="orders"}`, `job="orders"`},
	}
	if diff := cmp.Diff(want, plain); diff != "" {
		t.Error(diff)
	}
	if _, err := promql.Selectors(`rate(up)`); err == nil {
		t.Error("a rate of no range is taken")
	}
}
