package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// healthTimeout is below the timeout of an orchestrator's check, so that the
// reason is printed before the check is killed.
const healthTimeout = 2 * time.Second

// health asks this machine's admin listener whether the provider answers: an
// image without a shell has nothing else to ask with.
func health(ctx context.Context, _ []string, getenv func(string) string, out io.Writer) error {
	cfg, err := loadConfig(nil, getenv, 0, out)
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(cfg.Admin)
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
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("/readyz answers %s", res.Status)
	}
	return nil
}
