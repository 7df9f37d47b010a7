package main

import (
	"context"
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"example.com/ballast/deploy/observability/registry"
	"example.com/ballast/docs/runbooks"
)

// TestRunbooksAreWhatTheToolUnderstands: each block of commands parses, and each
// call of this tool names a command, flags and arguments that there are. That the
// commands do what the page says is shown by `ballast drill alerts`.
func TestRunbooksAreWhatTheToolUnderstands(t *testing.T) {
	t.Parallel()
	pages, err := runbooks.Load()
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := registry.Load()
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	for _, page := range pages {
		for section, blocks := range page.Blocks {
			for _, b := range blocks {
				switch b.Language {
				case "sh":
					cmd := exec.CommandContext(t.Context(), "bash", "-n")
					cmd.Stdin = strings.NewReader(b.Text)
					if out, err := cmd.CombinedOutput(); err != nil {
						t.Errorf("%s.md, line %d: %s", page.Name, b.Line, out)
					}
					for _, words := range callsOf(b.Text) {
						calls++
						if err := understood(t.Context(), words); err != nil {
							t.Errorf("%s.md, line %d (%s): ballast %s: %v", page.Name, b.Line, section, strings.Join(words, " "), err)
						}
						if words[0] != "query" {
							continue
						}
						if err := metrics.CheckExpression(words[1]); err != nil {
							t.Errorf("%s.md, line %d (%s): %v", page.Name, b.Line, section, err)
						}
					}
				case "promql":
					if err := metrics.CheckExpression(b.Text); err != nil {
						t.Errorf("%s.md, line %d: %v", page.Name, b.Line, err)
					}
				default:
					t.Errorf("%s.md, line %d: a block is sh or promql, not %s", page.Name, b.Line, b.Language)
				}
			}
		}
	}
	if calls < 50 {
		t.Errorf("only %d calls of the tool were found", calls)
	}
}

func TestCallsOf(t *testing.T) {
	t.Parallel()
	got := callsOf("X=$(bin/ballast status --json | jq -r '.a')\nbin/ballast sql \"$JOB\" \"select 'a | b'\n from c\" | tail; bin/ballast dlq list \\\n  --limit 1 > /dev/null || echo no")
	want := [][]string{{"status", "--json"}, {"sql", "$JOB", "select 'a | b'\n from c"}, {"dlq", "list", "--limit", "1"}}
	if !slices.EqualFunc(got, want, func(a, b []string) bool { return slices.Equal(a, b) }) {
		t.Errorf("calls are %q", got)
	}
	for _, wrong := range [][]string{{"statsu"}, {"dlq", "list", "--limits", "1"}, {"sql", "orders"}, {"flag"}} {
		if understood(t.Context(), wrong) == nil {
			t.Errorf("ballast %q is understood", wrong)
		}
	}
}

// callsOf finds the calls of bin/ballast in a script, each as its words. A variable
// is a word as it stands.
func callsOf(script string) (calls [][]string) {
	for {
		_, rest, found := strings.Cut(script, "bin/ballast ")
		if !found {
			return calls
		}
		var words []string
		words, script = wordsOf(rest)
		calls = append(calls, words)
	}
}

// wordsOf reads the words of one command, to where the shell would end it.
func wordsOf(text string) (words []string, rest string) {
	var word strings.Builder
	begun, quote := false, byte(0)
	end := func() {
		if begun {
			words = append(words, word.String())
		}
		word.Reset()
		begun = false
	}
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case c == '\\' && i+1 < len(text) && quote != '\'':
			if i++; text[i] != '\n' {
				word.WriteByte(text[i])
			}
		case quote != 0:
			word.WriteByte(c)
		case c == '"' || c == '\'':
			quote, begun = c, true
		case c == ' ':
			end()
		case strings.IndexByte("|;&)<>\n", c) >= 0:
			end()
			return words, text[i:]
		default:
			begun = true
			word.WriteByte(c)
		}
	}
	end()
	return words, ""
}

// understood says why the tool would refuse a call before it does anything.
func understood(ctx context.Context, words []string) error {
	cmd, args, err := root(ctx).Find(words)
	if err != nil {
		return err
	}
	if !cmd.Runnable() {
		return errors.New("a subcommand is missing")
	}
	if err := cmd.ParseFlags(args); err != nil {
		return err
	}
	return cmd.ValidateArgs(cmd.Flags().Args())
}
