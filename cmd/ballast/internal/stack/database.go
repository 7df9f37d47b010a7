package stack

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"time"

	"example.com/ballast/cmd/ballast/internal/access"
	"example.com/ballast/pkg/servers"
)

// PostgresURL is how the superuser, or whoever POSTGRES_URL named, reaches a
// database of the stack: for tools that look from outside.
func (h Home) PostgresURL(database string) (string, error) {
	return h.RoleURL(database + "_admin")
}

// RoleURL is how a role reaches its database: <service>_owner, <service>_app.
func (h Home) RoleURL(role string) (string, error) {
	content, err := readFile(h.urlFile(role))
	if err != nil {
		return "", fmt.Errorf("database URL: %w", err)
	}
	return content, nil
}

// databases makes a database for every service, owned by a role that migrates it
// and used by another that can't change the schema. It can be repeated.
func (u *upper) databases(ctx context.Context) error {
	began := time.Now()
	admin := u.External.PostgresURL
	if admin == "" {
		password, err := u.Home.Secret(servers.Superuser)
		if err != nil {
			return err
		}
		admin = (&url.URL{
			Scheme: "postgres", User: url.UserPassword(servers.Superuser, password),
			Host: u.endpoints.Postgres, Path: "/postgres", RawQuery: "sslmode=disable",
		}).String()
	}
	roles := access.Postgres{URL: admin, Alone: u.External.PostgresURL == "", Password: u.Home.Secret}
	if err := roles.Apply(ctx, io.Discard); err != nil {
		return err
	}
	for _, name := range services {
		if err := u.databaseURLs(admin, name); err != nil {
			return fmt.Errorf("database %s: %w", name, err)
		}
	}
	u.console.Printf("databases ready after %.1f s", time.Since(began).Seconds())
	return nil
}

// databaseURLs writes the URLs by which the roles of a service reach its database:
// the administrator directly, the others in the way that services go.
func (u *upper) databaseURLs(admin, name string) error {
	inside, err := access.InDatabase(admin, name)
	if err != nil {
		return err
	}
	if err := writeFile(u.Home.urlFile(name+"_admin"), []byte(inside+"\n"), 0o600); err != nil {
		return err
	}
	for _, role := range []string{name + "_owner", name + "_app"} {
		password, err := u.Home.Secret(role)
		if err != nil {
			return err
		}
		parsed, err := url.Parse(inside)
		if err != nil {
			return err
		}
		parsed.User = url.UserPassword(role, password)
		parsed.Host = u.through("postgres-"+name, parsed.Host)
		if err := writeFile(u.Home.urlFile(role), []byte(parsed.String()+"\n"), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// urlFile is the file with the URL of a role.
func (h Home) urlFile(role string) string { return h.Path("secrets", role+".url") }
