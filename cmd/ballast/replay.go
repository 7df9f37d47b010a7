package main

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"example.com/ballast/cmd/ballast/internal/replay"
	"example.com/ballast/cmd/ballast/internal/retail"
	"example.com/ballast/cmd/ballast/internal/stack"
)

// currencies that the data set's two decimals fit.
var twoDecimals = regexp.MustCompile(`^(AUD|CAD|CHF|CZK|DKK|EUR|GBP|HKD|MXN|NOK|NZD|PLN|SEK|SGD|USD|ZAR)$`)

func replayCommand(home func() stack.Home) *cobra.Command {
	to := target{home: home}
	cfg := replay.Config{}
	var path string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "replay --csv FILE[.gz]",
		Short: "Place a real shop's order history and check that every penny adds up",
		Long: `Reads invoices in the UCI "Online Retail" format, loads their catalogue, places
every invoice as an order of its customer through the public API and then
compares all books from outside. A line that can't be ordered is refused with
its reason and counted; an invoice whose number starts with C is a return.
Running the same file again places nothing twice. The exit code is 1 when an
order had no answer or the books differ.`,
		Example: "  ballast replay --csv online-retail.csv.gz\n  ballast replay --csv online-retail.csv.gz --stock 50 --speedup 100000",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkReplay(path, &cfg); err != nil {
				return err
			}
			history, err := retail.Open(path)
			if err != nil {
				return err
			}
			client, err := to.client(false)
			if err != nil {
				return err
			}
			show := newProgress(cmd.ErrOrStderr(), "orders")
			cfg.History, cfg.Wait, cfg.Progress = history, to.wait, show.update
			report, err := replay.Run(cmd.Context(), client, &cfg)
			show.done()
			if err != nil {
				return err
			}
			return finish(cmd.OutOrStdout(), asJSON, report, report.Print, report.OK())
		},
	}
	to.addFlags(cmd.Flags())
	flags := cmd.Flags()
	flags.StringVar(&path, "csv", "", "the file, plain or compressed with gzip")
	flags.Int32Var(&cfg.Stock, "stock", 0, "units to receive of each product (default: as many as the file wants)")
	flags.Float64Var(&cfg.Speedup, "speedup", 0, "keep the invoices' times, this many times faster (default: full speed)")
	flags.IntVar(&cfg.Concurrency, "concurrency", 32, "orders being placed at once")
	flags.StringVar(&cfg.Currency, "currency", "GBP", "currency of the prices")
	flags.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func checkReplay(path string, cfg *replay.Config) error {
	var errs []error
	if path == "" {
		errs = append(errs, errors.New("--csv FILE is missing: a file in the UCI Online Retail format, plain or .gz"))
	}
	if cfg.Stock < 0 {
		errs = append(errs, errors.New("--stock must not be negative"))
	}
	if cfg.Speedup < 0 {
		errs = append(errs, errors.New("--speedup must not be negative"))
	}
	if cfg.Concurrency < 1 || cfg.Concurrency > 4096 {
		errs = append(errs, errors.New("--concurrency must be from 1 to 4096"))
	}
	if !twoDecimals.MatchString(cfg.Currency) {
		errs = append(errs, fmt.Errorf("--currency %q: want a code with two decimals, such as GBP", cfg.Currency))
	}
	return errors.Join(errs...)
}

// lineEvery is the pause between two lines of progress where there is no terminal.
const lineEvery = 3 * time.Second

// progress shows how far a replay has come: a bar on a terminal, else now and
// then a line.
type progress struct {
	out   io.Writer
	bar   *progressbar.ProgressBar
	phase string
	last  time.Time
}

func newProgress(out io.Writer, unit string) *progress {
	p := &progress{out: out}
	if isTerminal(out) {
		p.bar = progressbar.NewOptions(0, progressbar.OptionSetWriter(out), progressbar.OptionShowCount(), progressbar.OptionShowIts(),
			progressbar.OptionSetItsString(unit), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
	}
	return p
}

func (p *progress) update(at replay.Progress) {
	changed := at.Phase != p.phase
	p.phase = at.Phase
	if p.bar != nil {
		if changed {
			p.bar.ChangeMax(at.Total)
			p.bar.Describe(at.Phase)
		}
		_ = p.bar.Set(at.Done) // drawing is no reason to stop
		return
	}
	if !changed && time.Since(p.last) < lineEvery {
		return
	}
	p.last = time.Now()
	line := fmt.Sprintf("%s: %d of %d", at.Phase, at.Done, at.Total)
	if at.Open > 0 {
		line += fmt.Sprintf(", %d open", at.Open)
	}
	_, _ = fmt.Fprintln(p.out, line)
}

func (p *progress) done() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}
