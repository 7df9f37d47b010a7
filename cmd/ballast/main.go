// Command ballast is the one tool of an operator: it runs a whole Ballast on this
// machine, talks to it, loads it and checks it from outside.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"example.com/ballast/cmd/ballast/internal/stack"
)

func main() {
	// The first Ctrl-C ends the command in good order, the second at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	kill, cancelKill := context.WithCancel(context.Background())
	defer cancelKill()
	context.AfterFunc(ctx, func() { secondSignal(cancelKill) })

	err := root(kill).ExecuteContext(ctx)
	var coded exitCode
	switch {
	case errors.As(err, &coded):
		os.Exit(int(coded))
	case err != nil:
		fmt.Fprintln(os.Stderr, "ballast:", err)
		os.Exit(1)
	}
}

// secondSignal calls fn at the next signal.
func secondSignal(fn func()) {
	again := make(chan os.Signal, 1)
	signal.Notify(again, os.Interrupt, syscall.SIGTERM)
	<-again
	fn()
}

// exitCode ends the command with a code after it has said everything itself.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// root assembles the commands. kill ends when the user does not want to wait for
// an orderly end.
func root(kill context.Context) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ballast",
		Short: "Run a whole Ballast on this machine, use it, load it, check it",
		// What goes wrong is printed once, by main.
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	home := cmd.PersistentFlags().String("home", cmp.Or(os.Getenv("BALLAST_HOME"), string(stack.DefaultHome)),
		"directory with the stack's data, logs and keys; the variable BALLAST_HOME names another default")
	at := func() stack.Home { return stack.Home(*home) }
	cmd.AddCommand(
		upCommand(kill, at), downCommand(at), restartCommand(at), statusCommand(at), tokenCommand(at),
		catalogueCommand(at), replayCommand(at), reconcileCommand(at), loadCommand(at), orderCommand(at),
		traceCommand(at), flagCommand(at), dlqCommand(at), accessCommand(at), sqlCommand(at), queryCommand(at), drillCommand(), brokerCommand(), miniredisCommand(), toxiproxyCommand(),
	)
	return cmd
}
