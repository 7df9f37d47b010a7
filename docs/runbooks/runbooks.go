// Package runbooks reads the pages beside it: what to do when an alert calls.
// They are for people; a drill reads them too, makes each alert fire and runs the
// commands that its page gives.
package runbooks

import (
	"cmp"
	"embed"
	"fmt"
	"regexp"
	"strings"
)

// The sections of every page, in this order.
const (
	Symptom  = "Symptom"
	Feels    = "What the customer feels"
	Check    = "Check"
	Act      = "Act"
	Verify   = "Verify"
	Undo     = "Undo"
	Escalate = "Escalate"
)

// Sections are all of them.
func Sections() []string { return []string{Symptom, Feels, Check, Act, Verify, Undo, Escalate} }

// Page is one runbook.
type Page struct {
	// Name is that of the alert, or of the SLO whose two alerts share it.
	Name string
	// Headings are the sections as they come.
	Headings []string
	// Blocks has the fenced blocks by section.
	Blocks map[string][]Block
}

// Block is one fenced block.
type Block struct {
	// Language is sh, promql, or sql in an example that nobody runs.
	Language string
	Text     string
	// Line of the page on which the text begins.
	Line int
}

//go:embed *.md
var pages embed.FS

// burns are the alerts of an error budget: they differ in how fast it goes.
var burns = regexp.MustCompile(`^(.+Burns)(?:Fast|Slow)$`)

// For names the page of an alert.
func For(alert string) string {
	if m := burns.FindStringSubmatch(alert); m != nil {
		return m[1]
	}
	return alert
}

// Load reads every page but the index, by name.
func Load() (map[string]Page, error) {
	files, err := pages.ReadDir(".")
	if err != nil {
		return nil, err
	}
	all := map[string]Page{}
	for _, f := range files {
		name := strings.TrimSuffix(f.Name(), ".md")
		if name == "README" {
			continue
		}
		text, err := pages.ReadFile(f.Name())
		if err != nil {
			return nil, err
		}
		if all[name], err = parse(name, string(text)); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name(), err)
		}
	}
	return all, nil
}

// parse reads the headings of the second level and the fenced blocks below them.
func parse(name, text string) (Page, error) {
	p := Page{Name: name, Blocks: map[string][]Block{}}
	section := ""
	var open *Block
	for i, line := range strings.Split(text, "\n") {
		fence, fenced := strings.CutPrefix(line, "```")
		switch {
		case fenced && open == nil:
			open = &Block{Language: cmp.Or(fence, "none"), Line: i + 2}
		case fenced:
			p.Blocks[section] = append(p.Blocks[section], *open)
			open = nil
		case open != nil:
			open.Text += line + "\n"
		case strings.HasPrefix(line, "## "):
			section = strings.TrimPrefix(line, "## ")
			p.Headings = append(p.Headings, section)
		}
	}
	if open != nil {
		return p, fmt.Errorf("the block of line %d does not end", open.Line)
	}
	return p, nil
}
