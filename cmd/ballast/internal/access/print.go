package access

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// line is what one user may do to one thing.
type line struct {
	user, resource, name string
	operations           []string
}

// lines puts what is allowed to the same thing together.
func lines(all []Right) []line {
	var found []line
	for _, r := range all {
		name := r.Name
		if r.Prefixed {
			name += "*"
		}
		l := line{r.User, strings.ToLower(r.Resource.String()), name, []string{r.Operation.String()}}
		if n := len(found) - 1; n >= 0 && found[n].user == l.user && found[n].resource == l.resource && found[n].name == l.name {
			found[n].operations = append(found[n].operations, l.operations[0])
			continue
		}
		found = append(found, l)
	}
	return found
}

// printRights prints the rights that everybody has, with what is new and what was
// taken away.
func printRights(out io.Writer, want, missing []Right, extra []acl, dryRun bool) error {
	added, removed := "added", "removed"
	if dryRun {
		added, removed = "to be added", "to be removed"
	}
	rows := [][]string{{"USER", "RESOURCE", "NAME", "MAY", ""}}
	for _, l := range lines(want) {
		change := ""
		if slices.ContainsFunc(missing, func(r Right) bool {
			m := lines([]Right{r})[0]
			return m.user == l.user && m.resource == l.resource && m.name == l.name
		}) {
			change = added
		}
		rows = append(rows, []string{l.user, l.resource, l.name, strings.Join(l.operations, " "), change})
	}
	for _, a := range extra {
		name := a.Name
		if a.Pattern == kmsg.ACLResourcePatternTypePrefixed {
			name += "*"
		}
		rows = append(rows, []string{
			strings.TrimPrefix(a.Principal, "User:"), strings.ToLower(a.Resource.String()), name, a.Operation.String(), removed,
		})
	}
	if err := table(out, rows); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "%d rights: %d %s, %d %s\n", len(want), len(missing), added, len(extra), removed)
	return err
}

// List prints what every user may do at every server, as tables in Markdown.
func List(out io.Writer) error {
	services := Services()
	rows := [][]string{{"user", "resource", "name", "may"}}
	for _, l := range lines(Rights(services)) {
		rows = append(rows, []string{l.user, l.resource, "`" + l.name + "`", strings.Join(l.operations, ", ")})
	}
	if err := markdown(out, rows); err != nil {
		return err
	}
	rows = [][]string{{"Redis of", "user", "keys", "commands"}}
	for _, s := range services {
		keys, commands := []string{}, ""
		for _, prefix := range s.RedisKeys {
			keys = append(keys, "`"+prefix+"*`")
		}
		if len(keys) > 0 {
			commands = strings.Join(redisCommands[:], ", ")
		}
		rows = append(rows, []string{s.Name, s.Name, strings.Join(keys, ", "), commands}, []string{s.Name, "health", "", "ping"})
	}
	if _, err := fmt.Fprintln(out); err != nil {
		return err
	}
	return markdown(out, rows)
}

// markdown prints rows as a table whose first row is the heading.
func markdown(out io.Writer, rows [][]string) error {
	rows = slices.Insert(slices.Clone(rows), 1, slices.Repeat([]string{"---"}, len(rows[0])))
	for _, r := range rows {
		if _, err := fmt.Fprintln(out, "| "+strings.Join(r, " | ")+" |"); err != nil {
			return err
		}
	}
	return nil
}
