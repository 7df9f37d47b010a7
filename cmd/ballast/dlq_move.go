package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"example.com/ballast/cmd/ballast/internal/dlq"
	"example.com/ballast/cmd/ballast/internal/replay"
)

// moving is what replay and discard share.
type moving struct {
	*dlqTool

	opt        dlq.Options
	quarantine bool
	yes        bool
}

// addFlags adds the flags of a run that moves letters.
func (m *moving) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&m.quarantine, "quarantine", false, "take them from quarantine")
	flags.BoolVar(&m.opt.DryRun, "dry-run", false, "only say what would happen")
	flags.IntVar(&m.opt.Limit, "limit", 0, "move no more than this many (default: all)")
	flags.Float64Var(&m.opt.Rate, "rate", 0, "letters a second (default: as fast as it goes)")
	flags.BoolVarP(&m.yes, "yes", "y", false, "don't ask")
}

// run says what would happen, asks, and does it.
func (m *moving) run(cmd *cobra.Command, what string, act func(context.Context, *dlq.Desk, dlq.Options) (*dlq.Report, error)) error {
	if m.opt.Limit < 0 || m.opt.Rate < 0 {
		return errors.New("--limit and --rate must not be negative")
	}
	desk, err := m.open()
	if err != nil {
		return err
	}
	defer desk.Close()
	m.opt.Filter, m.opt.From = m.filter, dlq.Open
	if m.quarantine {
		m.opt.From = dlq.Quarantined
	}
	dry := m.opt
	dry.DryRun = true
	plan, err := act(cmd.Context(), desk, dry)
	if err != nil {
		return err
	}
	if m.opt.DryRun || plan.Moved() == 0 {
		return m.print(cmd.OutOrStdout(), plan)
	}
	if err := printReport(cmd.ErrOrStderr(), plan); err != nil {
		return err
	}
	if err := confirm(cmd, m.yes, fmt.Sprintf("%s %d letter(s)", what, plan.Moved())); err != nil {
		return err
	}
	show := newProgress(cmd.ErrOrStderr(), "letters")
	m.opt.Progress = func(done, total int) { show.update(replay.Progress{Phase: what, Done: done, Total: total}) }
	report, err := act(cmd.Context(), desk, m.opt)
	show.done()
	if report != nil {
		err = errors.Join(err, m.print(cmd.OutOrStdout(), report))
	}
	return err
}

func (m *moving) print(out io.Writer, r *dlq.Report) error {
	return finish(out, m.asJSON, r, func(out io.Writer) error { return printReport(out, r) }, true)
}

func printReport(out io.Writer, r *dlq.Report) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if len(r.Rows) > 0 {
		printRows(w, r.Rows, true)
	}
	would := ""
	if r.DryRun {
		would = "would be "
	}
	for _, line := range []struct {
		fate dlq.Fate
		text string
	}{
		{dlq.Replays, would + "replayed into the retry topics of their groups"},
		{dlq.Quarantine, would + "put into quarantine: replayed too often already"},
		{dlq.Discards, would + "discarded for good"},
	} {
		if n := r.Counts[line.fate]; n > 0 {
			row(w, strconv.Itoa(n), line.text)
		}
	}
	if r.Moved() == 0 {
		row(w, "0", "letters to move")
	}
	if r.DryRun && r.Counts[dlq.Stays] > 0 {
		row(w, strconv.Itoa(r.Counts[dlq.Stays]), "stay where they are")
	}
	return w.Flush()
}

// confirm asks on a terminal, and refuses without one.
func confirm(cmd *cobra.Command, yes bool, what string) error {
	if yes {
		return nil
	}
	in, ok := cmd.InOrStdin().(*os.File)
	if !ok || !isTerminal(in) {
		return fmt.Errorf("to %s without being asked, add --yes", what)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s? [y/N] ", strings.ToUpper(what[:1])+what[1:])
	answer, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the answer: %w", err)
	}
	if a := strings.ToLower(strings.TrimSpace(answer)); a != "y" && a != "yes" {
		return errors.New("nothing was changed (--yes does it without being asked)")
	}
	return nil
}

func (t *dlqTool) replay() *cobra.Command {
	m := &moving{dlqTool: t}
	var maxReplays int
	cmd := &cobra.Command{
		Use: "replay", Short: "Send letters back to the groups that gave them up", Args: cobra.NoArgs,
		Long: `Mend the cause first. Letters go into the retry topic of their own group, never
into the topic that they came from, where every other group would read them too.
Key, value and headers stay as they are; the count of replays goes up. A letter
that comes back is listed again, and after --max-replays it goes to quarantine.

A run ends where the DLQ ended when it began. Interrupted, even by kill -9, it has
moved each letter once or not at all; the same command goes on with what is left.
Two operators can't double anything: the later one takes over, the earlier is told.`,
		Example: `  ballast dlq replay --dry-run
  ballast dlq replay --group payments --type ChargePayment --rate 50
  ballast dlq replay --order 0199f0a2-6a0e-7c1b-9a5e-2f6d1c3b4a59 --yes
  ballast dlq replay --quarantine --group inventory`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return m.run(cmd, "replay", func(ctx context.Context, desk *dlq.Desk, o dlq.Options) (*dlq.Report, error) {
				return desk.Replay(ctx, o, maxReplays)
			})
		},
	}
	t.addFilter(cmd.Flags(), "reason")
	m.addFlags(cmd)
	cmd.Flags().IntVar(&maxReplays, "max-replays", dlq.DefaultMaxReplays, "a letter that was replayed this often goes to quarantine")
	return cmd
}

func (t *dlqTool) discard() *cobra.Command {
	m := &moving{dlqTool: t}
	var reason, by string
	cmd := &cobra.Command{
		Use: "discard --reason TEXT", Short: "Give letters up for good, and keep why", Args: cobra.NoArgs,
		Long: `Moves letters into <topic>.<group>.discarded, byte for byte, with the reason, who
and when beside them: "dlq list --discarded" shows them. What a discarded command
would have done does not happen; if its order waits for it, its deadline ends it.`,
		Example: `  ballast dlq discard --reason "test message" --id payments.commands/0/1234
  ballast dlq discard --reason "bytes of another program" --where-reason malformed --group payments --by ada`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if reason == "" {
				return errors.New("--reason is missing: why they may be given up; it is kept with each letter")
			}
			return m.run(cmd, "discard", func(ctx context.Context, desk *dlq.Desk, o dlq.Options) (*dlq.Report, error) {
				return desk.Discard(ctx, o, reason, by)
			})
		},
	}
	t.addFilter(cmd.Flags(), "where-reason")
	m.addFlags(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why they may be given up: kept with each letter (required)")
	cmd.Flags().StringVar(&by, "by", operator(), "who gives them up")
	return cmd
}

// operator is who uses this tool, as far as the system knows.
func operator() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return ""
}
