package dashboard

import (
	"bytes"
	_ "embed"
	"strings"
	"text/template"
)

// Page is the page of the docs that lists them.
const Page = "docs/dashboards.md"

//go:embed dashboards.md.tmpl
var page string

// summary of a dashboard, for the page.
type summary struct {
	Name, Question  string
	Panels, Queries int
}

func docs(all []board) ([]byte, error) {
	var rows []summary
	for _, b := range all {
		// What it answers begins with the question, in bold.
		_, question, _ := strings.Cut(b.answers, "**")
		question, _, _ = strings.Cut(question, "**")
		s := summary{Name: b.name, Question: question}
		for _, r := range b.rows {
			s.Panels += len(r.panels)
			for _, p := range r.panels {
				s.Queries += len(p.queries)
			}
		}
		rows = append(rows, s)
	}
	t, err := template.New(Page).Delims("<<", ">>").Funcs(template.FuncMap{
		"panels":  func(rows []summary) int { return sum(rows, func(s summary) int { return s.Panels }) },
		"queries": func(rows []summary) int { return sum(rows, func(s summary) int { return s.Queries }) },
	}).Parse(page)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = t.Execute(&out, rows)
	return out.Bytes(), err
}

func sum(rows []summary, of func(summary) int) (total int) {
	for _, r := range rows {
		total += of(r)
	}
	return total
}
