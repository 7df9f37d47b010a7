package dependency

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"example.com/ballast/cmd/ballast/internal/drill"
)

// services are what is looked at.
var services = []string{"orders", "inventory", "payments"}

// lookEvery is how often gauges are read, which show only the moment.
const lookEvery = 300 * time.Millisecond

// observation is what the services' metrics and logs say about one fault.
type observation struct {
	mu     sync.Mutex
	paused map[string]bool // groups that paused, with the reason
	quiet  bool            // nothing is paused, no breaker is open, at the latest look

	opened      map[string]int64 // how often breakers opened, by service and name
	attempts    float64          // calls that reached for the dependency
	retries     float64          // those of them that were retries
	failures    float64          // those that failed, and calls refused by an open breaker
	stale       float64          // answers from a cache that may be old, and said so
	deadLetters float64
	setAside    float64
}

func newObservation() *observation {
	return &observation{paused: map[string]bool{}, opened: map[string]int64{}}
}

// calm tells whether all is as usual again.
func (o *observation) calm() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.quiet
}

// snapshot is the metrics of every service, and how long their logs are.
type snapshot struct {
	metrics map[string]drill.Metrics
	logs    map[string]int64
}

func (p *play) scrape(ctx context.Context) (*snapshot, error) {
	s := &snapshot{map[string]drill.Metrics{}, map[string]int64{}}
	for _, service := range services {
		m, err := p.Scrape(ctx, service)
		if err != nil {
			return nil, err
		}
		s.metrics[service] = m
		if info, err := os.Stat(p.Home.Log(service)); err == nil {
			s.logs[service] = info.Size()
		}
	}
	return s, nil
}

// watch reads the gauges until ctx ends, and the logs from where they were.
func (p *play) watch(ctx context.Context, o *observation) {
	from := map[string]int64{}
	for _, service := range services {
		if info, err := os.Stat(p.Home.Log(service)); err == nil {
			from[service] = info.Size()
		}
	}
	for drill.Sleep(ctx, lookEvery) == nil {
		if now, err := p.scrape(ctx); err == nil {
			o.look(now)
		}
	}
	for _, service := range services {
		opened, err := breakersOpened(p.Home.Log(service), from[service])
		if err != nil {
			p.Say("log of %s: %v", service, err)
		}
		for name, n := range opened {
			o.opened[service+"/"+name] += n
		}
	}
}

// look takes in one moment.
func (o *observation) look(now *snapshot) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.quiet = true
	for _, m := range now.metrics {
		for group := range m.Values("stream_paused", "group") {
			for reason := range m.Values("stream_paused", "reason") {
				if m.Sum("stream_paused", "group="+group, "reason="+reason) > 0 {
					o.paused[group+" ("+reason+")"], o.quiet = true, false
				}
			}
		}
		o.quiet = o.quiet && m.Sum("dependency_breaker_state") == 0
	}
}

// compare takes in what the counters have gained.
func (o *observation) compare(dependency string, before, after *snapshot) {
	kind, only, _ := strings.Cut(dependency, "-")
	gained := func(service, name string, labels ...string) float64 {
		return after.metrics[service].Sum(name, labels...) - before.metrics[service].Sum(name, labels...)
	}
	for _, service := range services {
		o.deadLetters += gained(service, "stream_dead_letters_total")
		o.setAside += gained(service, "stream_set_aside_total")
		o.stale += gained(service, "cache_requests_total", "result=stale") + gained(service, "cache_requests_total", "result=degraded")
		if only != "" && only != service {
			continue
		}
		const attempts = "dependency_attempt_duration_seconds"
		for name := range after.metrics[service].Values(attempts, "dependency") {
			if !strings.HasPrefix(name, kind) {
				continue
			}
			refused := gained(service, attempts, "dependency="+name, "outcome=open")
			o.attempts += gained(service, attempts, "dependency="+name) - refused
			o.retries += gained(service, "dependency_retries_total", "dependency="+name)
			o.failures += refused + gained(service, attempts, "dependency="+name, "outcome=failure") +
				gained(service, attempts, "dependency="+name, "outcome=canceled")
		}
	}
}

// amplification is how many attempts reached for the dependency for each call
// that wanted it.
func (o *observation) amplification() float64 {
	if first := o.attempts - o.retries; first > 0 {
		return o.attempts / first
	}
	return 1
}

// bit tells whether anything noticed the fault.
func (o *observation) bit() bool { return o.failures > 0 || len(o.paused) > 0 || len(o.opened) > 0 }

// pauses lists the groups that paused.
func (o *observation) pauses() string {
	if len(o.paused) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(o.paused)), ", ")
}

// breakersOpened reads from a log, from an offset on, how often which breakers
// opened. A log that was begun anew meanwhile is read from its beginning.
func breakersOpened(file string, from int64) (map[string]int64, error) {
	log, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	if info, err := log.Stat(); err == nil && info.Size() < from {
		from = 0
	}
	if _, err := log.Seek(from, io.SeekStart); err != nil {
		return nil, fmt.Errorf("seek: %w", err)
	}
	opened := map[string]int64{}
	for reader := bufio.NewReader(log); ; {
		line, err := reader.ReadBytes('\n')
		var entry struct{ Msg, Dependency, To string }
		if json.Unmarshal(line, &entry) == nil && entry.Msg == "circuit breaker changed" && entry.To == "open" {
			opened[entry.Dependency]++
		}
		if errors.Is(err, io.EOF) {
			return opened, nil
		}
		if err != nil {
			return opened, err
		}
	}
}
