package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"example.com/ballast/cmd/ballast/internal/load"
	"example.com/ballast/cmd/ballast/internal/stack"
)

func loadCommand(home func() stack.Home) *cobra.Command {
	to := target{home: home}
	var cfg load.Config
	var asJSON, jsonCodec bool
	cmd := &cobra.Command{
		Use:   "load",
		Short: "Measure checkouts a second, their latencies and what they cost",
		Long: `Runs a closed loop with more and more clients, then an open model (arrivals at
random, independent of the answers) at the highest rate that the stack keeps up
with. A checkout counts as completed when its OrderConfirmed is read from the
topic orders.events: that costs the stack less than asking for each order.
Latencies count from the moment that an order was meant to be sent.

The orders are for products of their own (LOAD-0001 and on). They stay; use a
stack of its own (--home DIR --port-base N) for figures that compare.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkLoad(&cfg); err != nil {
				return err
			}
			var err error
			if cfg.Client, err = to.client(jsonCodec); err != nil {
				return err
			}
			if err := fromHome(home(), &cfg); err != nil {
				return err
			}
			cfg.Wait = to.wait
			errOut := cmd.ErrOrStderr()
			cfg.Say = func(line string) { say(errOut, line) }
			report, err := load.Run(cmd.Context(), &cfg)
			if err != nil {
				return err
			}
			return finish(cmd.OutOrStdout(), asJSON, report, report.Print, report.OK())
		},
	}
	to.addFlags(cmd.Flags())
	flags := cmd.Flags()
	flags.DurationVar(&cfg.Duration, "duration", 30*time.Second, "how long each of the two models is measured")
	flags.IntVar(&cfg.Lines, "lines", 3, "products per order")
	flags.Float64Var(&cfg.Rate, "rate", 0, "orders per second of the open model (default: the best rate, found by a closed loop)")
	flags.IntVar(&cfg.Clients, "clients", 0, "clients of the closed loop (default: as many as help)")
	flags.BoolVar(&cfg.Control, "control", false, "measure a bare loop of three one-row commits on the same Postgres too")
	flags.BoolVar(&jsonCodec, "json-codec", false, "send Connect JSON as curl does (default: binary Protobuf)")
	flags.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func checkLoad(cfg *load.Config) error {
	var errs []error
	if cfg.Duration < time.Second {
		errs = append(errs, errors.New("--duration must be a second or more"))
	}
	if cfg.Lines < 1 || cfg.Lines > load.MaxLines {
		errs = append(errs, fmt.Errorf("--lines must be from 1 to %d", load.MaxLines))
	}
	if cfg.Rate < 0 || cfg.Clients < 0 {
		errs = append(errs, errors.New("--rate and --clients must not be negative"))
	}
	return errors.Join(errs...)
}

// fromHome fills in what only the home directory knows: broker, database, processes.
// Of a stack elsewhere the broker is known, and the report leaves out the others.
func fromHome(home stack.Home, cfg *load.Config) (err error) {
	if cfg.Brokers, cfg.Login, err = atKafka(home, nil); err != nil {
		return err
	}
	state, err := home.Load()
	if errors.Is(err, stack.ErrNoStack) {
		return nil
	}
	if err != nil {
		return err
	}
	if cfg.Postgres, err = home.PostgresURL("orders"); err != nil {
		return err
	}
	for _, child := range state.Children {
		if child.PID > 0 {
			cfg.Processes = append(cfg.Processes, load.Process{Name: child.Name, PID: child.PID})
		}
	}
	return nil
}

// say prints a line; that nobody reads it is no reason to stop.
func say(out io.Writer, line string) { _, _ = fmt.Fprintln(out, line) }
