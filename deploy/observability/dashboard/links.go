package dashboard

import (
	"net/url"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
)

// tag is what all have in common; the menu at the top lists by it.
const tag = "ballast"

// The variables of dashboards.
const (
	datasource = "datasource"
	service    = "service"
	replica    = "replica"
)

// source is the Prometheus that the reader has chosen.
func source() *common.DataSourceRef {
	return &common.DataSourceRef{Type: new("prometheus"), Uid: new("${" + datasource + "}")}
}

func (b *board) variables() []cog.Builder[dashboard.VariableModel] {
	all := []cog.Builder[dashboard.VariableModel]{
		dashboard.NewDatasourceVariableBuilder(datasource).Label("Prometheus").Type("prometheus"),
	}
	for _, name := range b.chosen {
		values, label := "label_values(build_info, job)", "Service"
		if name == replica {
			values, label = `label_values(build_info{job="`+b.name+`"}, instance)`, "Replica"
		}
		all = append(all, dashboard.NewQueryVariableBuilder(name).Label(label).
			Datasource(*source()).
			Query(dashboard.StringOrMap{String: &values}).
			Refresh(dashboard.VariableRefreshOnTimeRangeChanged).
			Sort(dashboard.VariableSortAlphabeticalAsc).
			Multi(true).IncludeAll(true).AllValue(".+"))
	}
	return all
}

// restarts draws a line where a process began.
func restarts() cog.Builder[dashboard.AnnotationQuery] {
	return dashboard.NewAnnotationQueryBuilder().Name("Process started").Enable(true).
		IconColor("blue").Datasource(*source()).
		Target(prometheus.NewDataqueryBuilder().RefId("Anno").Expr(restarted).LegendFormat("{{job}} {{instance}}").Range())
}

// restarted is 1 while a process is young.
const restarted = `time() - process_start_time_seconds{job=~"orders|inventory|payments"} < 30`

// links of a panel: to the traces of this time, and to the
// dashboards where its cause may be found.
func (p *panel) links() []dashboard.DashboardLink {
	var links []dashboard.DashboardLink
	if p.draw != heat && p.latency() {
		links = append(links, linked("Slow traces of this time", traces()))
	}
	for _, name := range p.next {
		links = append(links, linked("Dashboard: "+name, toDashboard(name)))
	}
	return links
}

// toDashboard keeps the time and what was chosen.
func toDashboard(name string) string { return "/d/" + name + "?${__url_time_range}&${__all_variables}" }

func linked(title, url string) dashboard.DashboardLink {
	return dashboard.DashboardLink{Title: title, Url: &url, Tags: []string{}, Type: dashboard.DashboardLinkTypeLink, TargetBlank: true}
}

// traces is a link to Explore, with the slow traces of the time that the dashboard
// shows. The time is filled in by Grafana, so it is left out of the escaping.
func traces() string {
	const panes = `{"traces":{"datasource":"tempo","queries":[{"refId":"A","queryType":"traceql","query":"{duration>100ms}"}],` +
		`"range":{"from":"FROM","to":"UNTIL"}}}`
	return "/explore?schemaVersion=1&panes=" + strings.NewReplacer("FROM", "${__from}", "UNTIL", "${__to}").Replace(url.QueryEscape(panes))
}
