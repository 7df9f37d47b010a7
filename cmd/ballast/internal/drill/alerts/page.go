package alerts

import (
	"context"
	"slices"
	"strings"

	"example.com/ballast/docs/runbooks"
)

// runbooks are the pages of a fault's alerts, each once.
func (r *result) runbooks() []string {
	var names []string
	for _, a := range r.alerts {
		if name := runbooks.For(a); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// check runs a page's look at the cause: its commands must print what this fault
// is known by, and its queries must find something.
func (p *play) check(ctx context.Context, r *result, name string) {
	printed := p.section(ctx, r, name, runbooks.Check)
	for _, word := range r.shows {
		if !strings.Contains(printed, word) {
			r.say("the check of %s does not show %q:\n%s", name, word, tail(printed))
		}
	}
	for _, b := range p.pages[name].Blocks[runbooks.Check] {
		if b.Language != "promql" {
			continue
		}
		switch rows, err := p.watch.returns(ctx, b.Text); {
		case err != nil:
			r.say("%s.md, line %d: %v", name, b.Line, err)
		case rows == 0:
			r.say("%s.md, line %d: the query returns nothing while the alert fires", name, b.Line)
		}
		r.ran++
	}
}

// quiet makes sure that what a page queries to verify returns nothing any more.
func (p *play) quiet(ctx context.Context, r *result, name string) {
	for _, b := range p.pages[name].Blocks[runbooks.Verify] {
		if b.Language != "promql" {
			continue
		}
		if rows, err := p.watch.returns(ctx, b.Text); err != nil || rows > 0 {
			r.say("%s.md, line %d: the query returns %d rows (%v)", name, b.Line, rows, err)
		}
		r.ran++
	}
}

// section runs the commands of a section with the labels of the alert that fired, and
// with what was noted.
func (p *play) section(ctx context.Context, r *result, name, section string) string {
	page, ok := p.pages[name]
	if !ok {
		r.say("there is no runbook %s.md", name)
		return ""
	}
	var from episode
	for _, a := range r.alerts {
		if e, ok := r.fired[a]; ok && runbooks.For(a) == name {
			from = e
		}
	}
	printed, ran, err := p.desk.run(ctx, page, section, from.labels.Merge(p.noted))
	r.ran += ran
	if err != nil {
		r.say("%v", err)
	}
	return printed
}

// verify runs what a page gives to make sure that it is over.
func (p *play) verify(ctx context.Context, r *result, name string) {
	p.section(ctx, r, name, runbooks.Verify)
	p.quiet(ctx, r, name)
}
