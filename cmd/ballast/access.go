package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"example.com/ballast/cmd/ballast/internal/access"
	"example.com/ballast/cmd/ballast/internal/stack"
)

func accessCommand(home func() stack.Home) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "access",
		Short: "Make the users at the servers, and give each the rights that it needs",
		Long: `Each service has a user of its own at Kafka, two roles at PostgreSQL and a user at
its Redis, and may do there what it does and nothing else. What it does is read
from the services: their topics, groups and keys. All of it can be repeated.`,
		Example: `  ballast access secrets --dir secrets --postgres postgres:5432 --redis redis-%s:6379
  ballast access postgres --passwords secrets/postgres --url-file secrets/postgres/postgres.url --alone
  KAFKA_SASL_USER=admin KAFKA_SASL_PASSWORD_FILE=secrets/kafka/admin KAFKA_SASL_MECHANISM=PLAIN \
    ballast access kafka --passwords secrets/kafka --brokers kafka:9092 --dry-run`,
	}
	cmd.AddCommand(accessSecrets(), accessPostgres(), accessKafka(home), accessList())
	return cmd
}

func accessSecrets() *cobra.Command {
	var s access.Secrets
	var mode string
	cmd := &cobra.Command{
		Use: "secrets --dir DIR", Short: "Make passwords, URLs, ACL files and keys that are missing", Args: cobra.NoArgs,
		Long: `Makes a directory with a random password for every user at every server, the URLs
with them, the ACL files of the Redis servers and the keys of the tokens. A password
or a key that is there stays; what follows from it is written anew when it would be
another. Nothing of the content is printed.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if s.Dir == "" {
				return errors.New("--dir DIR is missing: where the secrets are kept")
			}
			bits, err := strconv.ParseUint(mode, 8, 9)
			if err != nil {
				return fmt.Errorf("--mode %s: want something like 600", mode)
			}
			s.Mode = fs.FileMode(bits)
			return s.Make(cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&s.Dir, "dir", "", "directory, made when it is missing, for its owner alone (required)")
	flags.StringVar(&s.Postgres, "postgres", "postgres:5432", "host:port of PostgreSQL, as the services reach it")
	flags.StringVar(&s.Redis, "redis", "redis-%s:6379", "host:port of a service's Redis; %s is the service")
	flags.StringVar(&mode, "mode", "600", "mode of the files: 444 for containers that run as another user and are given single files")
	return cmd
}

func accessPostgres() *cobra.Command {
	var p access.Postgres
	var passwords, urlFile string
	cmd := &cobra.Command{
		Use: "postgres --passwords DIR", Short: "Make the databases and the roles of the services", Args: cobra.NoArgs,
		Long: `Makes a database for each service, the role <service>_owner that migrates it, and the
role <service>_app that the service works as: without the right to change the schema,
or to reach another database. Rights on tables are granted by the migrations.

The administrator's URL comes from --url-file or from POSTGRES_URL.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if passwords == "" {
				return errors.New("--passwords DIR is missing: it has a file with the password for each role, named by it")
			}
			var err error
			if p.URL, err = urlFrom(urlFile, os.Getenv("POSTGRES_URL")); err != nil {
				return err
			}
			p.Password = access.Passwords(passwords)
			return p.Apply(cmd.Context(), cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&passwords, "passwords", "", "directory with a file for each role (required)")
	flags.StringVar(&urlFile, "url-file", "", "file with the URL of a role that may create databases and roles (default: the variable POSTGRES_URL)")
	flags.BoolVar(&p.Alone, "alone", false, "the server has no other users: close the databases postgres and template1, too")
	flags.BoolVar(&p.DryRun, "dry-run", false, "print the statements and execute none")
	return cmd
}

func urlFrom(file, value string) (string, error) {
	if file != "" {
		content, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("--url-file: %w", err)
		}
		return strings.TrimSpace(string(content)), nil
	}
	if value == "" {
		return "", errors.New("neither --url-file nor POSTGRES_URL says where the server is: want postgres://administrator:password@host:5432/postgres")
	}
	return value, nil
}

func accessKafka(home func() stack.Home) *cobra.Command {
	var brokers []string
	var passwords string
	var k access.Kafka
	cmd := &cobra.Command{
		Use: "kafka --passwords DIR", Short: "Make the users at Kafka and set their rights", Args: cobra.NoArgs,
		Long: `Makes a SCRAM user for each service, for the operator and for the administrator, and
sets the ACLs of each. Those of these users that are not wanted any more are removed,
as are all for everybody; those of other users stay.

It logs in as the administrator that KAFKA_SASL_USER, KAFKA_SASL_PASSWORD and
KAFKA_SASL_MECHANISM name, who must be one of the brokers' super.users.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if passwords == "" {
				return errors.New("--passwords DIR is missing: it has a file with the password for each user, named by it")
			}
			var err error
			if k.Brokers, k.Login, err = atKafka(home(), brokers); err != nil {
				return err
			}
			k.Password = access.Passwords(passwords)
			return k.Apply(cmd.Context(), access.Services(), cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&brokers, "brokers", nil, "Kafka as host:port,... (default: KAFKA_BROKERS, else that of the stack in --home)")
	flags.StringVar(&passwords, "passwords", "", "directory with a file for each user (required)")
	flags.BoolVar(&k.DryRun, "dry-run", false, "print what would be done, and do nothing")
	return cmd
}

func accessList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "Print who may do what, as Markdown; no server is asked", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return access.List(cmd.OutOrStdout())
		},
	}
}
