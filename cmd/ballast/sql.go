package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/spf13/cobra"

	"example.com/ballast/cmd/ballast/internal/stack"
)

// statementTimeout bounds what a person asks of a database that others work with.
const statementTimeout = "30s"

func sqlCommand(home func() stack.Home) *cobra.Command {
	var role string
	var write bool
	cmd := &cobra.Command{
		Use:   "sql SERVICE STATEMENT",
		Short: "Ask a service's database, read-only unless told otherwise",
		Long: `Runs SQL in the database of a service and prints the rows. Several statements,
separated by semicolons, are one transaction.

Roles:
  app     what the service itself may do (the default)
  owner   owns the tables, and has no timeouts of the service
  admin   the superuser: sees and ends everybody's sessions

Read-only is a guard against slips, not against people.`,
		Example: `  ballast sql orders "select status, count(*) from orders group by status"
  ballast sql payments --as admin "select pid, state, query from pg_stat_activity"`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			conn, err := openDatabase(cmd.Context(), home(), args[0], role, write)
			if err != nil {
				return err
			}
			defer conn.Close(context.WithoutCancel(cmd.Context()))
			return runSQL(cmd.Context(), conn.PgConn(), args[1], cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&role, "as", "app", "role: app, owner or admin")
	cmd.Flags().BoolVar(&write, "write", false, "allow changes")
	return cmd
}

func openDatabase(ctx context.Context, home stack.Home, service, role string, write bool) (*pgx.Conn, error) {
	url, err := home.RoleURL(service + "_" + role)
	if err != nil {
		return nil, fmt.Errorf("no role %s of a service %s here: %w", role, service, err)
	}
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	config.RuntimeParams["application_name"] = "ballast sql"
	config.RuntimeParams["statement_timeout"] = statementTimeout
	if !write {
		config.RuntimeParams["default_transaction_read_only"] = "on"
	}
	return pgx.ConnectConfig(ctx, config)
}

// runSQL uses the simple protocol: it takes several statements at once, and gives
// every value as the text that psql would show.
func runSQL(ctx context.Context, conn *pgconn.PgConn, statements string, out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	results := conn.Exec(ctx, statements)
	for results.NextResult() {
		rows := results.ResultReader()
		var names []string
		for _, f := range rows.FieldDescriptions() {
			names = append(names, strings.ToUpper(f.Name))
		}
		if len(names) > 0 {
			row(w, names...)
		}
		for rows.NextRow() {
			var cells []string
			for _, value := range rows.Values() {
				cells = append(cells, shorten(string(value), 200))
			}
			row(w, cells...)
		}
		if tag, err := rows.Close(); err == nil && len(names) == 0 {
			row(w, tag.String())
		}
	}
	if err := results.Close(); err != nil {
		return err
	}
	return w.Flush()
}
