package dashboard

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/heatmap"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/text"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// The ways to draw a panel.
type drawing int

const (
	lines   drawing = iota // over time
	stacked                // over time, adding up to a whole
	number                 // the latest, large, with its course behind
	heat                   // buckets of a histogram over time
	list                   // a table of what is there now
)

// panel answers one question.
type panel struct {
	title string
	// says what to make of it; the descriptions of its metrics follow by themselves.
	says    string
	draw    drawing
	queries []query
	// quiet says why it may be empty while all is well. It is shown in the place of
	// the series, and its expressions are checked by their selectors alone.
	quiet string
	// from are the values from which a colour begins, rising; none means no colours.
	from []threshold
	// unit is Grafana's, where it isn't what the expressions come to.
	unit string
	// wide is the width of 24, else what suits the drawing.
	wide uint32
	// next are the dashboards where a cause may be found.
	next []string
	// labels are the columns of a list; urls lead on from the cells of
	// some of them.
	labels []string
	urls   map[string]string
}

// query is one expression and how its series are called.
type query struct{ expr, legend string }

type threshold struct {
	value float64
	color string
}

// The colours of thresholds.
const (
	good  = "green"
	worry = "orange"
	bad   = "red"
)

// firstPanel is the id after that of the words at the top.
const firstPanel uint32 = 2

func words(content string) dashboard.Panel {
	p, _ := text.NewPanelBuilder().Mode(text.TextModeMarkdown).Content(content).Build() // A text has no way to fail.
	id := firstPanel - 1
	p.Id, p.Title, p.Description = &id, new("What this answers"), new("The questions behind the panels below.")
	p.GridPos = &dashboard.GridPos{W: 24, H: 4}
	return p
}

func (p *panel) build(m *Meanings, id uint32) (dashboard.Panel, error) {
	unit, about, err := p.meaning(m)
	if err != nil {
		return dashboard.Panel{}, err
	}
	made, err := p.drawn().Build()
	if err != nil {
		return dashboard.Panel{}, err
	}
	made.Id, made.Title, made.Description = &id, &p.title, &about
	made.Datasource = source()
	made.GridPos = p.size()
	for i, q := range p.queries {
		target, err := p.target(i, q).Build()
		if err != nil {
			return dashboard.Panel{}, err
		}
		made.Targets = append(made.Targets, target)
	}
	if made.FieldConfig == nil {
		made.FieldConfig = &dashboard.FieldConfigSource{}
	}
	made.FieldConfig.Overrides = p.cells()
	field := &made.FieldConfig.Defaults
	field.Unit = &unit
	field.Links = append(p.links(), field.Links...)
	if p.quiet != "" {
		field.NoValue = &p.quiet
	}
	if len(p.from) > 0 {
		field.Thresholds = p.thresholds()
	}
	return made, nil
}

// meaning returns the unit of all queries and what their metrics are.
func (p *panel) meaning(m *Meanings) (unit, about string, err error) {
	if len(p.queries) == 0 {
		return "", "", errors.New("no query")
	}
	var paragraphs []string
	if p.says != "" {
		paragraphs = append(paragraphs, p.says)
	}
	said := map[string]bool{}
	for _, q := range p.queries {
		u, sentences, err := m.explain(q.expr)
		if err != nil {
			return "", "", err
		}
		if unit != "" && u != unit && p.unit == "" {
			return "", "", fmt.Errorf("%s is in %s, the queries before it in %s", q.expr, u, unit)
		}
		unit = u
		for _, s := range sentences {
			if !said[s] {
				paragraphs = append(paragraphs, s)
			}
			said[s] = true
		}
	}
	if p.unit != "" {
		unit = p.unit
	}
	return unit, strings.Join(paragraphs, "\n\n"), nil
}

// drawn has what only this drawing has.
func (p *panel) drawn() cog.Builder[dashboard.Panel] {
	switch p.draw {
	case number:
		return stat.NewPanelBuilder().
			GraphMode(common.BigValueGraphModeArea).Orientation(common.VizOrientationAuto).
			ReduceOptions(common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"}))
	case heat:
		return heatmap.NewPanelBuilder().
			YAxis(heatmap.NewYAxisConfigBuilder().Unit("s")).
			HideLegend()
	case list:
		return table.NewPanelBuilder().WithTransformation(p.columns())
	case lines, stacked:
	}
	b := timeseries.NewPanelBuilder().
		FillOpacity(10).
		ShowPoints(common.VisibilityModeNever).
		Tooltip(common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeMulti).Sort(common.SortOrderDescending)).
		Legend(common.NewVizLegendOptionsBuilder().ShowLegend(true).
			DisplayMode(common.LegendDisplayModeTable).Placement(common.LegendPlacementBottom).
			Calcs([]string{"lastNotNull", "max"}))
	if p.draw == stacked {
		b.FillOpacity(60).Stacking(common.NewStackingConfigBuilder().Mode(common.StackingModeNormal))
	}
	if len(p.from) > 0 {
		b.ThresholdsStyle(common.NewGraphThresholdsStyleConfigBuilder().Mode(common.GraphThresholdsStyleModeDashed))
	}
	return b
}

// columns are a list's: some of the labels.
func (p *panel) columns() dashboard.DataTransformerConfig {
	return dashboard.DataTransformerConfig{Id: "filterFieldsByName", Options: map[string]any{
		"include": map[string]any{"names": p.labels},
	}}
}

// cells are the links of a list, from the value in a cell.
func (p *panel) cells() []dashboard.DashboardFieldConfigSourceOverrides {
	overrides := []dashboard.DashboardFieldConfigSourceOverrides{}
	for _, column := range slices.Sorted(maps.Keys(p.urls)) {
		overrides = append(overrides, dashboard.DashboardFieldConfigSourceOverrides{
			Matcher: dashboard.MatcherConfig{Id: "byName", Options: column},
			Properties: []dashboard.DynamicConfigValue{{Id: "links", Value: []dashboard.DashboardLink{
				linked("Open the "+column, p.urls[column]),
			}}},
		})
	}
	return overrides
}

func (p *panel) target(i int, q query) cog.Builder[variants.Dataquery] {
	b := prometheus.NewDataqueryBuilder().
		RefId(string(rune('A' + i))).
		Expr(q.expr).
		LegendFormat(q.legend).
		EditorMode(prometheus.QueryEditorModeCode)
	switch {
	case p.draw == list:
		return b.Instant().Format(prometheus.PromQueryFormatTable)
	case p.draw == heat:
		return b.Range().Exemplar(true).Format(prometheus.PromQueryFormatHeatmap)
	case p.latency():
		return b.Range().Exemplar(true)
	}
	return b.Range()
}

// latency tells whether the points of its series have traces behind them.
func (p *panel) latency() bool {
	return p.draw == heat || strings.Contains(p.queries[0].expr, "_seconds_bucket")
}

func (p *panel) size() *dashboard.GridPos {
	size := map[drawing]dashboard.GridPos{
		lines: {W: 12, H: 8}, stacked: {W: 12, H: 8}, heat: {W: 12, H: 8}, number: {W: 4, H: 4}, list: {W: 24, H: 6},
	}[p.draw]
	if p.wide > 0 {
		size.W = p.wide
	}
	return &size
}

// thresholds begin with green below the first, or with red where less is worse.
func (p *panel) thresholds() *dashboard.ThresholdsConfig {
	below := good
	if p.from[len(p.from)-1].color == good {
		below = bad
	}
	steps := []dashboard.Threshold{{Color: below}}
	for _, t := range p.from {
		steps = append(steps, dashboard.Threshold{Value: &t.value, Color: t.color})
	}
	return &dashboard.ThresholdsConfig{Mode: dashboard.ThresholdsModeAbsolute, Steps: steps}
}
