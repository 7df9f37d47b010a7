package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"example.com/ballast/pkg/config"
)

// Commands are what a service's binary does, by its argument. Serving has the
// empty name.
type Commands map[string]func(context.Context) error

// Main does what the arguments name, and returns the exit code. Every
// binary has the command health, which needs none of the service's settings but
// ADMIN_ADDR: an image without a shell has nothing else to ask with.
func Main(ctx context.Context, name string, args []string, commands Commands) int {
	all := Commands{"health": health}
	maps.Copy(all, commands)
	if len(args) > 0 && slices.Contains([]string{"help", "-h", "-help", "--help"}, args[len(args)-1]) {
		fmt.Printf("%[1]s, without a command, serves. Its commands: %[2]s.\n"+
			"All settings are environment variables, and services/%[1]s/README.md has them.\n", name, strings.Join(all.names(), ", "))
		return 0
	}
	if err := all.run(ctx, args); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		return 1
	}
	return 0
}

// Configured is a command that reads its settings first, as config.Load does.
func Configured[C any](run func(context.Context, C) error) func(context.Context) error {
	return func(ctx context.Context) error {
		cfg, err := config.Load[C]()
		if err != nil {
			return err
		}
		return run(ctx, cfg)
	}
}

func (c Commands) run(ctx context.Context, args []string) error {
	command := strings.Join(args, " ")
	if fn := c[command]; fn != nil {
		return fn(ctx)
	}
	return fmt.Errorf("no command %q: want %s, or none to serve", command, strings.Join(c.names(), ", "))
}

// names are those of what is to be asked for: serving is not.
func (c Commands) names() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(c)), func(name string) bool { return name == "" })
}

// healthTimeout is below the timeout of the checks of an orchestrator, so that
// the reason is printed before the check is killed.
const healthTimeout = 2 * time.Second

// health asks this machine's admin listener whether the service is ready.
func health(ctx context.Context) error {
	settings, err := config.Load[struct {
		AdminAddr string `env:"ADMIN_ADDR" envDefault:":8100"`
	}]()
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(settings.AdminAddr)
	if err != nil {
		return fmt.Errorf("ADMIN_ADDR: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/readyz", nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusOK {
		return nil
	}
	body, _ := io.ReadAll(io.LimitReader(res.Body, 1<<10)) // it only explains
	return errors.New(strings.TrimSpace(string(body)))
}
