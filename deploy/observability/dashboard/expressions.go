package dashboard

// Expression is one that a dashboard asks Prometheus for.
type Expression struct {
	Dashboard, Panel string
	// Expr has its variables filled in.
	Expr string
	// Quiet says why it may return nothing while all is well.
	Quiet string
}

// Expressions are those of all panels.
func Expressions(m *Meanings) []Expression {
	var all []Expression
	for _, b := range boards(m) {
		all = append(all, Expression{b.name, "Process started", restarted, "No process is young."})
		for _, r := range b.rows {
			for _, p := range r.panels {
				for _, q := range p.queries {
					all = append(all, Expression{b.name, p.title, Fill(q.expr), p.quiet})
				}
			}
		}
	}
	return all
}
