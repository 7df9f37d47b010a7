package alerts

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"example.com/ballast/docs/runbooks"
)

// blockTimeout bounds one block of commands: who is paged does not wait longer.
const blockTimeout = 90 * time.Second

// desk is where a person works a runbook off: a directory in which bin/ballast is,
// and the alert's labels as variables.
type desk struct {
	dir  string
	home string
}

// newDesk makes the directory; bin in it is that of the ballast binary.
func newDesk(self, home string) (*desk, error) {
	dir, err := os.MkdirTemp("", "ballast-runbook-")
	if err != nil {
		return nil, fmt.Errorf("directory for runbooks: %w", err)
	}
	if err := os.Symlink(filepath.Dir(self), filepath.Join(dir, "bin")); err != nil {
		return nil, errors.Join(fmt.Errorf("directory for runbooks: %w", err), os.RemoveAll(dir))
	}
	return &desk{dir: dir, home: home}, nil
}

func (d *desk) close() error { return os.RemoveAll(d.dir) }

// run runs the blocks of one section and returns all that they printed, and how
// many there were. What a look tells by its exit code, such as that a service is
// not ready, is no failure of the look; a command that does not exist is.
func (d *desk) run(ctx context.Context, page runbooks.Page, section string, labels model.LabelSet) (printed string, ran int, err error) {
	var all strings.Builder
	for _, b := range page.Blocks[section] {
		if b.Language != "sh" {
			continue
		}
		out, err := d.shell(ctx, b.Text, section == runbooks.Check, labels)
		all.WriteString(out)
		ran++
		if err != nil {
			return all.String(), ran, fmt.Errorf("%s.md, line %d (%s): %w\n%s", page.Name, b.Line, section, err, tail(out))
		}
	}
	return all.String(), ran, nil
}

func (d *desk) shell(ctx context.Context, text string, looking bool, labels model.LabelSet) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, blockTimeout)
	defer cancel()
	options := "-euo"
	if looking {
		options = "-uo"
	}
	cmd := exec.CommandContext(ctx, "bash", options, "pipefail", "-c", text)
	cmd.Dir = d.dir
	cmd.WaitDelay = time.Second // of what a block left in the background
	cmd.Env = append(os.Environ(), "BALLAST_HOME="+d.home)
	for name, value := range labels {
		cmd.Env = append(cmd.Env, strings.ToUpper(string(name))+"="+string(value))
	}
	out, err := cmd.CombinedOutput()
	if misused(string(out)) {
		return string(out), errors.New("a command that does not exist, or not so")
	}
	if _, exited := errors.AsType[*exec.ExitError](err); exited && looking && ctx.Err() == nil {
		err = nil
	}
	return string(out), err
}

// misused tells from what was printed that a command is not there, or is not used
// as it must be: behind a pipe the exit code does not say so.
func misused(out string) bool {
	for _, sign := range []string{"command not found", "unknown command", "unknown flag", "unbound variable", "syntax error", "accepts 0 arg", "accepts 1 arg"} {
		if strings.Contains(out, sign) {
			return true
		}
	}
	return false
}

// tail is the end of what was printed, for an error.
func tail(out string) string {
	const most = 1500
	return out[max(0, len(out)-most):]
}
