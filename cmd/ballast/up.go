package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"example.com/ballast/cmd/ballast/internal/stack"
)

func upCommand(kill context.Context, home func() stack.Home) *cobra.Command {
	var o stack.Options
	var detach bool
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start everything on this machine and keep it running until Ctrl-C",
		Long: `Starts Postgres, a Kafka broker, a Redis for each service, the payment provider
and the three services, without Docker. A process that dies is started again.
Ctrl-C stops all of them in order; their data stays in the home directory.

Servers that are there already are used in place of children:
  POSTGRES_URL    URL of a role that may create databases and roles
  KAFKA_BROKERS   host:port, comma-separated
  REDIS_URL       one Redis for all, or REDIS_ORDERS_URL, REDIS_INVENTORY_URL
                  and REDIS_PAYMENTS_URL
All other variables reach the services: LOG_LEVEL=debug ballast up.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if o.Home, err = stack.Resolve(home()); err != nil {
				return err
			}
			if o.Self, err = os.Executable(); err != nil {
				return fmt.Errorf("find the ballast binary: %w", err)
			}
			if o.Binaries == "" {
				o.Binaries = filepath.Dir(o.Self)
			}
			if detach {
				return stack.Detach(cmd.Context(), o.Home, o.Self, os.Args[1:], cmd.OutOrStdout())
			}
			if o.External, err = stack.ExternalFromEnv(os.Getenv); err != nil {
				return err
			}
			return stack.Up(cmd.Context(), kill, o, cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&o.PortBase, "port-base", stack.DefaultPortBase, "orders listens on this port, all else above it")
	flags.StringVar(&o.Broker, "broker", "kfake", "kfake, or apache for a real Apache Kafka (needs Java; Maven or KAFKA_HOME)")
	flags.BoolVar(&o.Secure, "secure", false, "Kafka and Redis ask who one is, and everybody has only the rights that they need (with --broker apache)")
	flags.IntVar(&o.Replicas, "replicas", 1, "processes of each service; orders, say, become orders-1 and orders-2")
	flags.BoolVar(&o.Proxied, "proxied", false, "put a proxy (toxiproxy) before every dependency, for faults of the network")
	flags.BoolVar(&o.Observability, "observability", false, "start Prometheus and an OpenTelemetry collector too (scripts/observability.sh builds them)")
	flags.Float64Var(&o.AlertScale, "alert-scale", 1, "multiply every window of the alerts by this, for drills of seconds")
	flags.BoolVar(&detach, "detach", false, "return once everything is ready; `ballast down` stops it")
	flags.BoolVar(&o.Catalogue, "catalogue", true, "load the demo catalogue")
	flags.BoolVar(&o.ServersOnly, "servers-only", false, "leave out the services, for who runs them in a debugger")
	flags.BoolVar(&o.Statements, "statements", false, "count SQL statements, for the load command (pg_stat_statements)")
	flags.StringVar(&o.Binaries, "binaries", "", "directory with the services' binaries (default: next to ballast)")
	return cmd
}
