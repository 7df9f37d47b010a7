package stack

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"text/template"

	"example.com/ballast/deploy/observability"
	"example.com/ballast/deploy/observability/slo"
)

const (
	// oldestPrometheus reads OpenMetrics as services write it.
	oldestPrometheus = 3
	// prometheusBytes bounds what Prometheus keeps. A stack at rest writes about
	// 1 MB in an hour and service: days of them, and never a full disk.
	prometheusBytes = "512MB"
	// keepPercent is the share of ordinary traces that a local stack keeps: all,
	// because whoever places one order wants to see that one. Files rotate.
	keepPercent = "100"
	// decisionWait is long enough for an order that goes well and short enough
	// to wait for in front of a screen; production takes the file's default.
	decisionWait = "3s"
	// spanDelay is how long a service keeps spans before it sends them, in ms.
	spanDelay = "500"
)

// observers describes what looks at the stack: Prometheus, which fetches every
// process's metrics, the collector that is sent its traces, and an exporter of
// the machine's own figures. What is not installed is left out and named: the
// stack is whole without it.
func (u *upper) observers(ctx context.Context) ([]Child, error) {
	var children []Child
	if err := os.MkdirAll(u.Home.Path("prometheus"), 0o755); err != nil {
		return nil, fmt.Errorf("home directory (--home): %w", err)
	}
	u.endpoints.Traces = u.Home.Traces()
	// The collector first: Prometheus is told whom there is to ask.
	collector, err := u.collector(ctx)
	if err != nil {
		return nil, err
	}
	if collector != nil {
		children = append(children, *collector)
	}
	if node := u.nodeExporter(); node != nil {
		children = append(children, *node)
	}
	prometheus, err := u.prometheus(ctx)
	if err != nil {
		return nil, err
	}
	if prometheus != nil {
		children = append(children, *prometheus)
	}
	return children, nil
}

// scrapeConfig has one job for each service, whose instances are its processes.
const scrapeConfig = `global:
  # A drill lasts seconds, and its alerts are scaled to that. Production wants 15s.
  scrape_interval: 1s
  scrape_timeout: 1s
  evaluation_interval: 1s
rule_files: [rules.yml]
scrape_configs:
{{- range .}}
  - job_name: {{.Name}}
    static_configs:
      - targets: [{{range $i, $t := .Targets}}{{if $i}}, {{end}}"{{$t}}"{{end}}]
{{- end}}
`

// job is what Prometheus asks under one name.
type job struct {
	Name    string
	Targets []string
}

// jobs are all processes that serve metrics. The payment provider is not among
// them: it stands for another company, whose metrics nobody gets to see.
func (u *upper) jobs() []job {
	var jobs []job
	for i, name := range services {
		j := job{Name: name}
		for r := range u.Replicas {
			j.Targets = append(j.Targets, local(u.layout.Admin(i, r)))
		}
		jobs = append(jobs, j)
	}
	jobs = append(jobs, job{"prometheus", []string{local(u.layout.Prometheus())}})
	if u.endpoints.Collector != "" {
		jobs = append(jobs, job{"collector", []string{local(u.layout.CollectorMetrics())}})
	}
	if u.endpoints.Node != "" {
		jobs = append(jobs, job{"node", []string{local(u.layout.Node())}})
	}
	return jobs
}

func (u *upper) prometheus(ctx context.Context) (*Child, error) {
	binary, version := findTool(ctx, u.Self, "prometheus")
	if binary == "" || major(version) < oldestPrometheus {
		if binary != "" {
			binary = fmt.Sprintf(" (%s is version %s, and %d is the oldest that will do)", binary, version, oldestPrometheus)
		}
		u.console.Printf("no Prometheus%s: services serve /metrics all the same; `scripts/observability.sh prometheus` builds it, https://prometheus.io/download has it", binary)
		return nil, nil
	}
	var config bytes.Buffer
	if err := template.Must(template.New("prometheus.yml").Parse(scrapeConfig)).Execute(&config, u.jobs()); err != nil {
		return nil, fmt.Errorf("prometheus.yml: %w", err)
	}
	file := u.Home.Path("prometheus", "prometheus.yml")
	if err := writeFile(file, config.Bytes(), 0o644); err != nil {
		return nil, err
	}
	rules, err := slo.Render(cmp.Or(u.AlertScale, 1))
	if err != nil {
		return nil, fmt.Errorf("--alert-scale %g: %w", u.AlertScale, err)
	}
	if err := writeFile(u.Home.Path("prometheus", "rules.yml"), rules, 0o644); err != nil {
		return nil, err
	}
	port := u.layout.Prometheus()
	u.endpoints.Prometheus = localURL(port)
	return &Child{
		Name: "prometheus", About: fmt.Sprintf("%s, %s", version, near(binary)),
		Command: func(context.Context) (*exec.Cmd, error) {
			return exec.Command(binary, "--config.file="+file, "--web.listen-address="+local(port),
				"--storage.tsdb.path="+u.Home.Path("prometheus", "data"), "--storage.tsdb.retention.size="+prometheusBytes,
				"--enable-feature=exemplar-storage", "--web.enable-lifecycle"), nil
		},
		Ready: func(ctx context.Context) error { return answersOK(ctx, localURL(port)+"/-/ready") },
		Ports: []Port{{port, "prometheus"}}, Address: localURL(port), Probe: localURL(port) + "/-/ready",
	}, nil
}

func (u *upper) collector(ctx context.Context) (*Child, error) {
	binary, version := findTool(ctx, u.Self, "otelcol", "otelcol-contrib")
	if binary == "" {
		u.console.Printf("no OpenTelemetry collector: services write their traces to %s; `scripts/observability.sh otelcol` builds it, "+
			"https://github.com/open-telemetry/opentelemetry-collector-releases has otelcol-contrib", near(u.Home.Traces()))
		return nil, nil
	}
	config, err := observability.Files.ReadFile("collector.yaml")
	if err != nil {
		return nil, err
	}
	file := u.Home.Path("traces", "collector.yaml")
	if err := writeFile(file, config, 0o644); err != nil {
		return nil, err
	}
	port, metrics := u.layout.Collector(), u.layout.CollectorMetrics()
	u.endpoints.Collector = localURL(port)
	env := map[string]string{
		"OTLP_ADDR": local(port), "METRICS_HOST": "127.0.0.1", "METRICS_PORT": strconv.Itoa(metrics),
		"TRACES_DIR": u.Home.Traces(),
	}
	unless(env, "KEEP_PERCENT", keepPercent)
	unless(env, "DECISION_WAIT", decisionWait)
	probe := localURL(metrics) + "/metrics"
	return &Child{
		Name: "collector", About: fmt.Sprintf("%s, %s", version, near(binary)),
		Command: func(context.Context) (*exec.Cmd, error) {
			cmd := exec.Command(binary, "--config="+file)
			cmd.Env = environment(os.Environ(), env)
			return cmd, nil
		},
		Ready:   func(ctx context.Context) error { return answersOK(ctx, probe) },
		Ports:   []Port{{port, "collector of traces"}, {metrics, "metrics of the collector"}},
		Address: localURL(port), Probe: probe,
	}, nil
}

func (u *upper) nodeExporter() *Child {
	binary := lookPath(u.Self, "node_exporter", "prometheus-node-exporter")
	if binary == "" {
		u.console.Printf("no node_exporter: nothing tells how full the disks are; Debian has it as prometheus-node-exporter")
		return nil
	}
	port := u.layout.Node()
	u.endpoints.Node = localURL(port)
	probe := localURL(port) + "/metrics"
	return &Child{
		Name: "node-exporter", About: binary,
		Command: func(context.Context) (*exec.Cmd, error) {
			return exec.Command(binary, "--web.listen-address="+local(port)), nil
		},
		Ready: func(ctx context.Context) error { return answersOK(ctx, probe) },
		Ports: []Port{{port, "node_exporter"}}, Address: localURL(port), Probe: probe,
	}
}

// tracing is what services must know to be traced: where their spans go, and that
// whoever calls them may have a trace recorded, since it is their own stack.
// Metrics and logs stay out of it: Prometheus fetches the ones, the others are files.
func (u *upper) tracing(child string) map[string]string {
	env := map[string]string{}
	unless(env, "TRUST_TRACEPARENT", "true")
	unless(env, "OTEL_BSP_SCHEDULE_DELAY", spanDelay)
	if u.Observability {
		env["OTEL_METRICS_EXPORTER"], env["OTEL_LOGS_EXPORTER"] = "none", "none"
		// The collector can keep only what it is sent: it decides, not the services.
		unless(env, "OTEL_TRACES_SAMPLER", "parentbased_always_on")
	}
	if u.endpoints.Collector != "" {
		env["OTEL_EXPORTER_OTLP_ENDPOINT"] = u.endpoints.Collector
		unless(env, "OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
		unless(env, "OTEL_TRACES_EXPORTER", "otlp")
		return env
	}
	if os.Getenv("OTEL_TRACES_EXPORTER") == "" && os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "" {
		unless(env, "TRACES_FILE", u.Home.Path("traces", child+".jsonl"))
	}
	return env
}

// unless sets a variable that the user has not set.
func unless(env map[string]string, name, value string) {
	if os.Getenv(name) == "" {
		env[name] = value
	}
}
