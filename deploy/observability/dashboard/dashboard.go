// Package dashboard makes Grafana's dashboards. Each is a list of panels in Go,
// with the expressions that they show; what a series means and its unit come from
// the registry of metrics and from the rules, so an expression with a name or a
// label that nobody writes is refused when the files are generated.
//
// # Invariants
//
//   - The same input makes the same bytes.
//   - The unit of a panel follows from its expressions (unit.go), and queries of
//     different units don't share a panel.
//   - Every expression returns series on a stack under load, or says why not
//     (panel.quiet); `make test-observability` asks a Prometheus.
//   - From an alert it takes three clicks to a cause: the firing alert on the
//     overview, its dashboard, a panel's link to the next dashboard or to the traces.
package dashboard

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// Directory of the generated files, from the root of the source tree.
const Directory = "deploy/observability/grafana"

// board is one dashboard. Its name is that of its file, and its uid: alerts link to it.
type board struct {
	name, title string
	// answers says which questions it answers, in Markdown, at its top.
	answers string
	// chosen are the variables that its expressions use.
	chosen []string
	rows   []row
}

// row is a heading and what stands below it.
type row struct {
	title  string
	panels []panel
}

// boards are all of them, in the order of the docs.
func boards(m *Meanings) []board {
	return slices.Concat([]board{overview(m), journey()}, services(), []board{queues(), caches(), saga(m), money(), cost()})
}

// Generate returns the files and their page of the docs, by paths from the root of
// the source tree. Its error names the expression that is wrong.
func Generate(m *Meanings) (map[string][]byte, error) {
	files := map[string][]byte{}
	all := boards(m)
	for _, b := range all {
		built, err := b.build(m)
		if err != nil {
			return nil, fmt.Errorf("dashboard %s: %w", b.name, err)
		}
		content, err := json.MarshalIndent(built, "", "  ")
		if err != nil {
			return nil, fmt.Errorf("dashboard %s: %w", b.name, err)
		}
		files[path.Join(Directory, b.name+".json")] = append(content, '\n')
	}
	var err error
	files[Page], err = docs(all)
	return files, err
}

func (b *board) build(m *Meanings) (dashboard.Dashboard, error) {
	d := dashboard.NewDashboardBuilder("Ballast: "+b.title).
		Uid(b.name).
		Tags([]string{tag}).
		Readonly().
		Tooltip(dashboard.DashboardCursorSyncCrosshair).
		Time("now-1h", "now").
		Refresh("30s").
		Variables(b.variables()).
		Annotation(restarts()).
		Link(dashboard.NewDashboardLinkBuilder("Ballast").
			Type(dashboard.DashboardLinkTypeDashboards).Tags([]string{tag}).
			AsDropdown(true).IncludeVars(true).KeepTime(true)).
		WithPanel(built(words(b.answers)))
	id := firstPanel
	for _, r := range b.rows {
		d.WithRow(dashboard.NewRowBuilder(r.title).Id(id))
		id++
		for _, p := range r.panels {
			made, err := p.build(m, id)
			if err != nil {
				return dashboard.Dashboard{}, fmt.Errorf("panel %q: %w", p.title, err)
			}
			d.WithPanel(built(made))
			id++
		}
	}
	return d.Build()
}

// built is a panel that is finished, for those who want a builder.
type built dashboard.Panel

// Build implements cog.Builder.
func (b built) Build() (dashboard.Panel, error) { return dashboard.Panel(b), nil }

var _ cog.Builder[dashboard.Panel] = built{}
