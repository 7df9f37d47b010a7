package stack

import (
	"errors"
	"testing"

	"example.com/ballast/pkg/flags"
)

func TestFlagsAreEditedAndStay(t *testing.T) {
	t.Parallel()
	home := Home(t.TempDir())
	if err := home.EditFlags(func(map[string]flags.Rule) {}); !errors.Is(err, ErrNoStack) {
		t.Errorf("got %v before there was a stack", err)
	}
	if err := home.makeFlags(); err != nil {
		t.Fatal(err)
	}
	some := 25.0
	err := home.EditFlags(func(rules map[string]flags.Rule) {
		rules["orders.stale-reads"] = flags.Rule{Value: true, Percent: &some}
		rules["provider.outage"] = flags.Rule{Value: "hang"}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := home.EditFlags(func(rules map[string]flags.Rule) { delete(rules, "provider.outage") }); err != nil {
		t.Fatal(err)
	}
	if err := home.makeFlags(); err != nil { // the stack starts again
		t.Fatal(err)
	}
	rules, err := home.Flags()
	if err != nil || len(rules) != 1 || rules["orders.stale-reads"].Value != true || *rules["orders.stale-reads"].Percent != 25 {
		t.Errorf("%v, %v", rules, err)
	}
}
