package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"example.com/ballast/cmd/ballast/internal/drill"
)

// drillTool is what the drills share.
type drillTool struct {
	opt      drill.Options
	asJSON   bool
	markdown string
}

func drillCommand() *cobra.Command {
	tool := &drillTool{}
	cmd := &cobra.Command{
		Use:   "drill",
		Short: "Break a stack on purpose and show in numbers what that did",
		Long: `Each drill brings up a stack of its own in a temporary directory, keeps load on
it, breaks something, heals it and compares all books. The exit code is not 0 when
something that must hold does not. A stack that runs already is left alone.`,
	}
	flags := cmd.PersistentFlags()
	flags.StringVar(&tool.opt.Broker, "broker", "kfake", "kfake, or apache for a real Apache Kafka")
	flags.BoolVar(&tool.opt.Keep, "keep", false, "leave the stack's data and logs behind")
	flags.BoolVar(&tool.asJSON, "json", false, "print the report as JSON")
	flags.StringVar(&tool.markdown, "markdown", "", "also write the report to this file, as Markdown")
	cmd.AddCommand(tool.rollingRestart(), tool.dependencies(), tool.zombie(), tool.poison(), tool.noisyNeighbour(), tool.overload(), tool.queueTime(), tool.tracingCost(), tool.alerts())
	return cmd
}

// run runs one drill and prints its report. What it tells on its way goes to
// standard error, so that --json can be piped.
func (t *drillTool) run(cmd *cobra.Command, play func(context.Context, drill.Options) (*drill.Report, error)) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the ballast binary: %w", err)
	}
	t.opt.Self, t.opt.Out = self, cmd.ErrOrStderr()
	report, err := play(cmd.Context(), t.opt)
	if err != nil {
		return err
	}
	if err := t.print(cmd.OutOrStdout(), report); err != nil {
		return err
	}
	if !report.OK() {
		return exitCode(1)
	}
	return nil
}

func (t *drillTool) print(out io.Writer, report *drill.Report) error {
	if t.markdown != "" {
		file, err := os.Create(t.markdown)
		if err != nil {
			return fmt.Errorf("--markdown: %w", err)
		}
		defer file.Close()
		if err := report.Markdown(file); err != nil {
			return fmt.Errorf("--markdown: %w", err)
		}
	}
	if t.asJSON {
		return report.JSON(out)
	}
	return report.Print(out)
}
