package servers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

// findPostgres returns the directory of PostgreSQL's binaries and a sentence
// about them: from PATH, from the places where Debian and Homebrew put them
// (newest first), else downloaded into cache.
func findPostgres(ctx context.Context, cache string) (bin, about string, err error) {
	var found []string
	if path, err := exec.LookPath("postgres"); err == nil {
		found = append(found, filepath.Dir(path))
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",
		"/opt/homebrew/opt/postgresql@*/bin", "/opt/homebrew/opt/postgresql/bin",
		"/usr/local/opt/postgresql@*/bin", "/usr/local/opt/postgresql/bin",
		"/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",
	} {
		dirs, _ := filepath.Glob(pattern) // The patterns are constants: they can't be malformed.
		slices.SortFunc(dirs, func(a, b string) int { return cmp.Compare(major(b), major(a)) })
		found = append(found, dirs...)
	}
	for _, dir := range found {
		if version, err := postgresVersion(ctx, dir); err == nil {
			return dir, version + " from " + dir, nil
		}
	}
	return downloadPostgres(cache)
}

// major reads the number in ".../postgresql/15/bin" or ".../postgresql@15/bin".
func major(dir string) int {
	name := filepath.Base(filepath.Dir(dir))
	n, _ := strconv.Atoi(strings.TrimPrefix(name, "postgresql@")) // No number sorts last.
	return n
}

func postgresVersion(ctx context.Context, dir string) (string, error) {
	if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(out)), nil
}

// downloadPostgres fetches binaries through embedded-postgres. That library can
// only start a whole server, so a first one is started on a throw-away
// directory and stopped; afterwards its binaries serve like installed ones.
func downloadPostgres(cache string) (bin, about string, err error) {
	const missing = "PostgreSQL is not installed (Debian: apt install postgresql; Homebrew: brew install postgresql)"
	if os.Geteuid() == 0 {
		return "", "", errors.New(missing + ", and it is not downloaded for root")
	}
	if cache == "" {
		if cache, err = os.UserCacheDir(); err != nil {
			return "", "", fmt.Errorf("%s, and there is no cache directory to download it to: %w", missing, err)
		}
		cache = filepath.Join(cache, "ballast")
	}
	binaries := filepath.Join(cache, "postgres-"+string(embeddedpostgres.V18))
	bin = filepath.Join(binaries, "bin")
	about = "PostgreSQL " + string(embeddedpostgres.V18) + " downloaded to " + binaries
	if _, err := os.Stat(filepath.Join(bin, "initdb")); err == nil {
		return bin, about, nil
	}
	port, err := FreePort()
	if err != nil {
		return "", "", err
	}
	scratch, err := os.MkdirTemp("", "ballast-postgres-")
	if err != nil {
		return "", "", fmt.Errorf("download PostgreSQL: %w", err)
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	db := embeddedpostgres.NewDatabase(embeddedpostgres.DefaultConfig().
		Version(embeddedpostgres.V18).Port(uint32(port)).Logger(io.Discard).
		CachePath(cache).BinariesPath(binaries).RuntimePath(scratch))
	if err := db.Start(); err != nil {
		return "", "", fmt.Errorf("%s, and the download failed: %w", missing, err)
	}
	if err := db.Stop(); err != nil {
		return "", "", fmt.Errorf("download PostgreSQL: %w", err)
	}
	return bin, about, nil
}
