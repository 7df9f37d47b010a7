package servers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// Superuser is the role that owns every cluster that this package creates.
const Superuser = "postgres"

// Postgres describes one PostgreSQL server.
type Postgres struct {
	// Dir is the data directory. It is initialised when it is empty and kept.
	Dir string
	// Port on the loopback interface; 0 takes a free one.
	Port int
	// Password of the superuser, set when Dir is initialised. Empty means that
	// every local connection is trusted: for throw-away servers only.
	Password string
	// Settings are server settings on top of Postgres's defaults.
	Settings map[string]string
	// Cache is where binaries are kept that had to be downloaded.
	Cache string
}

// Process finds PostgreSQL's binaries and describes how to run the server. They
// are downloaded when none are installed, which may take a minute.
//
// PostgreSQL refuses to run as root; for root the server runs as the user
// "postgres" or "nobody", who is given Dir.
func (p Postgres) Process(ctx context.Context) (Process, error) {
	bin, about, err := findPostgres(ctx, p.Cache)
	if err != nil {
		return Process{}, err
	}
	if p.Port == 0 {
		if p.Port, err = FreePort(); err != nil {
			return Process{}, err
		}
	}
	if p.Dir, err = filepath.Abs(p.Dir); err != nil {
		return Process{}, fmt.Errorf("data directory of postgres: %w", err)
	}
	u := url.URL{
		Scheme: "postgres", User: url.User(Superuser), Host: loopback(p.Port),
		Path: "/postgres", RawQuery: "sslmode=disable",
	}
	if p.Password != "" {
		u.User = url.UserPassword(Superuser, p.Password)
	}
	return Process{
		Name:       "postgres",
		About:      about,
		URL:        u.String(),
		Command:    func(ctx context.Context) (*exec.Cmd, error) { return p.command(ctx, bin) },
		Ready:      func(ctx context.Context) error { return postgresAnswers(ctx, u.String()) },
		StopSignal: syscall.SIGINT, // A "fast" shutdown: end sessions, checkpoint, exit.
	}, nil
}

func (p Postgres) command(ctx context.Context, bin string) (*exec.Cmd, error) {
	attr, err := p.prepareDir()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(p.Dir, "PG_VERSION")); os.IsNotExist(err) {
		if err := p.initdb(ctx, bin, attr); err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, fmt.Errorf("data directory of postgres: %w", err)
	}
	args := []string{
		"-D", p.Dir, "-h", "127.0.0.1", "-p", strconv.Itoa(p.Port),
		"-c", "unix_socket_directories=", // TCP alone: socket directories differ by system and user.
	}
	for _, name := range slices.Sorted(maps.Keys(p.Settings)) {
		args = append(args, "-c", name+"="+p.Settings[name])
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), filepath.Join(bin, "postgres"), args...)
	// From "/": the user may not be able to enter where we are.
	cmd.SysProcAttr, cmd.Dir = attr, "/"
	return cmd, nil
}

// prepareDir creates the data directory and, for root, hands it to the user
// that the server will run as.
func (p Postgres) prepareDir() (*syscall.SysProcAttr, error) {
	if err := os.MkdirAll(p.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("data directory of postgres: %w", err)
	}
	if os.Geteuid() != 0 {
		return &syscall.SysProcAttr{}, nil
	}
	uid, gid, name, err := unprivileged()
	if err != nil {
		return nil, err
	}
	if err := os.Chown(p.Dir, uid, gid); err != nil {
		return nil, fmt.Errorf("give the data directory of postgres to user %s: %w", name, err)
	}
	attr := &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	for dir := filepath.Dir(p.Dir); dir != "/"; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return nil, fmt.Errorf("data directory of postgres: %w", err)
		}
		// A clone below /root is the usual case of a directory that nobody else
		// may enter.
		if info.Mode()&0o001 == 0 && !enterAnyDir(attr) {
			return nil, fmt.Errorf("postgres does not run as root, and user %s cannot enter %s: choose a data directory elsewhere or run as another user", name, dir)
		}
	}
	return attr, nil
}

func unprivileged() (uid, gid int, name string, err error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.Atoi(u.Uid)
		gid, err2 := strconv.Atoi(u.Gid)
		if err1 == nil && err2 == nil {
			return uid, gid, name, nil
		}
	}
	return 0, 0, "", fmt.Errorf("postgres does not run as root, and there is no user postgres or nobody: run as another user")
}

func (p Postgres) initdb(ctx context.Context, bin string, attr *syscall.SysProcAttr) error {
	args := []string{
		"-D", p.Dir, "--username=" + Superuser, "--encoding=UTF8", "--no-locale", "--no-instructions",
	}
	if p.Settings["fsync"] == "off" {
		args = append(args, "--no-sync", "--wal-segsize=1") // Throw-away: start fast and small.
	}
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), args...)
	if p.Password == "" {
		cmd.Args = append(cmd.Args, "--auth=trust")
	} else {
		file, err := p.passwordFile(attr)
		if err != nil {
			return fmt.Errorf("password of postgres: %w", err)
		}
		defer func() { _ = os.Remove(file) }()
		cmd.Args = append(cmd.Args, "--auth=scram-sha-256", "--pwfile="+file)
	}
	cmd.SysProcAttr, cmd.Dir = attr, "/"
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb in %s: %w: %s", p.Dir, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// passwordFile hands the password to initdb. Its standard input won't do: a pipe
// of root's can't be opened by name by another user.
func (p Postgres) passwordFile(attr *syscall.SysProcAttr) (string, error) {
	file, err := os.CreateTemp("", "ballast-postgres-")
	if err != nil {
		return "", err
	}
	_, err = file.WriteString(p.Password + "\n")
	if attr.Credential != nil {
		err = errors.Join(err, file.Chown(int(attr.Credential.Uid), int(attr.Credential.Gid)))
	}
	return file.Name(), errors.Join(err, file.Close())
}

func postgresAnswers(ctx context.Context, url string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}
