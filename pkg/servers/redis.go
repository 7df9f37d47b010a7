package servers

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// Redis describes one redis-server.
type Redis struct {
	// Name distinguishes several servers in logs; "redis" when empty.
	Name string
	// Dir is the working directory. It is created when missing.
	Dir string
	// Port on the loopback interface; 0 takes a free one.
	Port int
	// MaxMemory in Redis's own notation ("64mb"); empty means no limit.
	MaxMemory string
	// ACLFile has the users of the server; the user health may ask for PING without a
	// password. Without a file everybody may do everything.
	ACLFile string
	// Policy is the eviction policy; empty means Redis's default, noeviction.
	Policy string
}

// Process finds redis-server and describes how to run it. What a cache holds
// can be had again, so nothing is written to disk.
func (r Redis) Process() (Process, error) {
	bin, err := exec.LookPath("redis-server")
	if err != nil {
		return Process{}, fmt.Errorf("redis-server is not installed (Debian: apt install redis-server; Homebrew: brew install redis): %w", err)
	}
	if r.Name == "" {
		r.Name = "redis"
	}
	if r.Port == 0 {
		if r.Port, err = FreePort(); err != nil {
			return Process{}, err
		}
	}
	addr := loopback(r.Port)
	return Process{
		Name:       r.Name,
		About:      "redis-server from " + bin,
		URL:        "redis://" + addr + "/0",
		Command:    func(ctx context.Context) (*exec.Cmd, error) { return r.command(ctx, bin) },
		Ready:      func(ctx context.Context) error { return redisAnswers(ctx, addr, r.ACLFile != "") },
		StopSignal: syscall.SIGTERM,
	}, nil
}

func (r Redis) command(ctx context.Context, bin string) (*exec.Cmd, error) {
	if err := os.MkdirAll(r.Dir, 0o750); err != nil {
		return nil, fmt.Errorf("directory of %s: %w", r.Name, err)
	}
	args := []string{
		"--bind", "127.0.0.1", "--port", strconv.Itoa(r.Port), "--dir", r.Dir,
		"--save", "", "--appendonly", "no",
	}
	if r.MaxMemory != "" {
		args = append(args, "--maxmemory", r.MaxMemory)
	}
	if r.Policy != "" {
		args = append(args, "--maxmemory-policy", r.Policy)
	}
	if r.ACLFile != "" {
		args = append(args, "--aclfile", r.ACLFile)
	}
	return exec.CommandContext(context.WithoutCancel(ctx), bin, args...), nil
}

// redisAnswers speaks one PING by hand: a client library would retry and pool.
func redisAnswers(ctx context.Context, addr string, asks bool) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return err
		}
	}
	lines, ping := bufio.NewReader(conn), "PING\r\n"
	if asks {
		ping = "AUTH health any\r\n" + ping
	}
	if _, err := conn.Write([]byte(ping)); err != nil {
		return err
	}
	line, err := lines.ReadString('\n')
	if err == nil && asks && line == "+OK\r\n" {
		line, err = lines.ReadString('\n')
	}
	if err != nil {
		return err
	}
	if strings.TrimSpace(line) != "+PONG" {
		return fmt.Errorf("redis at %s answered %q to PING", addr, line)
	}
	return nil
}
