package access

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"example.com/ballast/pkg/edge"
	"example.com/ballast/pkg/servers"
)

// Secrets is a directory with everything that must not be known:
//
//	kafka/USER                       passwords at Kafka
//	kafka/server.jaas                how its brokers know the administrator
//	postgres/ROLE, postgres/ROLE.url passwords at PostgreSQL, and URLs with them
//	redis/SERVICE, SERVICE.url, .acl passwords at Redis, URLs, ACL files
//	keys/jwt.pem, keys/jwt.pub.pem   what signs tokens, and what checks them
//	provider_api_key, webhook_secret shared with the payment provider
//
// Passwords and keys are made once and never again. What follows from them, URLs and
// ACL files, is written anew when it would be another.
type Secrets struct {
	Dir string
	// Postgres is host:port of the server; Redis that of a service's, with %s for its name.
	Postgres, Redis string
	// Mode of the files. The directory is for its owner alone, whatever it is.
	Mode fs.FileMode
}

// Make makes what is missing and says of each file what became of it, and nothing of
// what is in it.
func (s Secrets) Make(out io.Writer) error {
	if strings.Count(s.Redis, "%s") > 1 || strings.Count(s.Redis, "%") != strings.Count(s.Redis, "%s") {
		return fmt.Errorf("--redis %s: want host:port, with %%s where the name of the service is", s.Redis)
	}
	errs := []error{s.MakeUsers(out), s.postgres(out), s.keys(out)}
	for _, name := range []string{"provider_api_key", "webhook_secret"} {
		_, err := s.password(out, name)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// MakeUsers is Make for those of Kafka and Redis alone.
func (s Secrets) MakeUsers(out io.Writer) error {
	var errs []error
	for _, user := range Users() {
		password, err := s.password(out, "kafka", user)
		errs = append(errs, err)
		if err == nil && user == Admin {
			errs = append(errs, s.derive(out, jaas(user, password), "kafka", "server.jaas"))
		}
	}
	return errors.Join(append(errs, s.redis(out))...)
}

// jaas is a broker's file of log-ins: SCRAM users are in its own log, and before there
// are any it knows the administrator by PLAIN.
func jaas(admin, password string) string {
	const module = "  org.apache.kafka.common.security."
	return "KafkaServer {\n" + module + "scram.ScramLoginModule required;\n" +
		module + "plain.PlainLoginModule required user_" + admin + "=\"" + password + "\";\n};\n"
}

func (s Secrets) postgres(out io.Writer) error {
	role := func(role, database string) error {
		password, err := s.password(out, "postgres", role)
		if err != nil {
			return err
		}
		u := url.URL{Scheme: "postgres", User: url.UserPassword(role, password), Host: s.Postgres, Path: "/" + database, RawQuery: "sslmode=disable"}
		return s.derive(out, u.String()+"\n", "postgres", role+".url")
	}
	errs := []error{role(servers.Superuser, "postgres")}
	for _, name := range Names() {
		errs = append(errs, role(name+"_owner", name), role(name+"_app", name))
	}
	return errors.Join(errs...)
}

func (s Secrets) redis(out io.Writer) error {
	var errs []error
	for _, service := range Services() {
		password, err := s.password(out, "redis", service.Name)
		if err != nil {
			return err
		}
		host := strings.ReplaceAll(s.Redis, "%s", service.Name)
		u := url.URL{Scheme: "redis", User: url.UserPassword(service.Name, password), Host: host, Path: "/0"}
		errs = append(errs, s.derive(out, u.String()+"\n", "redis", service.Name+".url"),
			s.derive(out, RedisACL(service, password), "redis", service.Name+".acl"))
	}
	return errors.Join(errs...)
}

// keys makes the pair that tokens are signed with. The public key is written last:
// where it is, the pair is whole.
func (s Secrets) keys(out io.Writer) error {
	public := filepath.Join(s.Dir, "keys", "jwt.pub.pem")
	if _, err := os.Stat(public); err == nil {
		return say(out, "kept", s.Dir, public)
	}
	pair, err := edge.NewKeyPair()
	if err != nil {
		return err
	}
	privatePEM, publicPEM, err := pair.PEM()
	if err != nil {
		return err
	}
	return errors.Join(s.derive(out, string(privatePEM), "keys", "jwt.pem"), s.derive(out, string(publicPEM), "keys", "jwt.pub.pem"))
}

// password returns what is in the file, which is made when it is missing: letters and
// digits alone, that no URL and no SQL has to quote.
func (s Secrets) password(out io.Writer, elem ...string) (string, error) {
	file := filepath.Join(append([]string{s.Dir}, elem...)...)
	content, err := os.ReadFile(file)
	password := strings.TrimSpace(string(content))
	switch {
	case err == nil && password == "":
		return "", fmt.Errorf("%s is empty: delete it, and it is made anew", file)
	case err == nil:
		return password, say(out, "kept", s.Dir, file)
	case !errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("read secret: %w", err)
	}
	password = rand.Text()
	return password, s.derive(out, password+"\n", elem...)
}

// derive writes a file unless it has that content. It appears whole or not at all.
func (s Secrets) derive(out io.Writer, content string, elem ...string) error {
	file := filepath.Join(append([]string{s.Dir}, elem...)...)
	before, err := os.ReadFile(file)
	if err == nil && string(before) == content {
		return say(out, "kept", s.Dir, file)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("directory of secrets (--dir): %w", err)
	}
	said := "made"
	if err == nil {
		said = "renewed"
	}
	if err := os.WriteFile(file+".new", []byte(content), s.Mode); err != nil {
		return fmt.Errorf("write secret: %w", err)
	}
	// WriteFile's mode is what the umask leaves of it.
	if err := errors.Join(os.Chmod(file+".new", s.Mode), os.Rename(file+".new", file)); err != nil {
		return fmt.Errorf("write secret: %w", err)
	}
	return say(out, said, s.Dir, file)
}

func say(out io.Writer, what, dir, file string) error {
	name, err := filepath.Rel(dir, file)
	if err == nil {
		_, err = fmt.Fprintf(out, "%-8s %s\n", what, name)
	}
	return err
}
