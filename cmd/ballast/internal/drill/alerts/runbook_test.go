package alerts

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"

	"example.com/ballast/deploy/observability/slo"
	"example.com/ballast/docs/runbooks"
)

// TestTheDeskNoticesWhatDoesNotWork: a page may look at what is broken, and its look
// may say so by an exit code. An act that fails, and a command that there is not,
// also behind a pipe, are findings.
func TestTheDeskNoticesWhatDoesNotWork(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	script := "#!/bin/sh\necho \"home $BALLAST_HOME group $GROUP: $*\"\n[ \"$1\" != fail ]\n"
	if err := os.WriteFile(filepath.Join(bin, "ballast"), []byte(script), 0o755); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	d, err := newDesk(filepath.Join(bin, "ballast"), "/the/home")
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	for _, c := range []struct {
		section, text, prints, fails string
	}{
		{section: runbooks.Act, text: "bin/ballast status", prints: "home /the/home group payments: status"},
		{section: runbooks.Check, text: "bin/ballast fail | cat", prints: "fail"},
		{section: runbooks.Act, text: "bin/ballast fail | cat", prints: "fail", fails: "exit status 1"},
		{section: runbooks.Check, text: "balast status | cat", fails: "does not exist"},
		{section: runbooks.Check, text: "echo $NOT_A_LABEL | cat; true", fails: "NOT_A_LABEL"},
		{section: runbooks.Check, text: "echo ballast: unknown flag: --limits", fails: "does not exist"},
	} {
		page := runbooks.Page{Name: "Page", Blocks: map[string][]runbooks.Block{
			c.section: {{Language: "sh", Text: c.text, Line: 7}, {Language: "promql", Text: "up"}},
		}}
		printed, ran, err := d.run(t.Context(), page, c.section, model.LabelSet{"group": "payments"})
		switch {
		case ran != 1:
			t.Errorf("%s: %d commands ran", c.text, ran)
		case !strings.Contains(printed, c.prints):
			t.Errorf("%s prints %q", c.text, printed)
		case c.fails == "" && err != nil:
			t.Errorf("%s: %v", c.text, err)
		case c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)):
			t.Errorf("%s: error %v, want one with %q", c.text, err, c.fails)
		case err != nil && !strings.Contains(err.Error(), "Page.md, line 7"):
			t.Errorf("%v does not say where", err)
		}
	}
}

// TestTheDrillPlaysEveryAlert of the rules, once.
func TestTheDrillPlaysEveryAlert(t *testing.T) {
	t.Parallel()
	groups, err := slo.Rules(1)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, g := range groups {
		for _, rule := range g.Rules {
			if rule.Alert != "" {
				want = append(want, rule.Alert)
			}
		}
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, Alerts()); diff != "" {
		t.Errorf("alerts (-rules +drill):\n%s", diff)
	}
}
