package gateway_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"
)

// stripeMock is Stripe's own stub, which answers from Stripe's API description.
const (
	stripeMock        = "github.com/stripe/stripe-mock"
	stripeMockVersion = "v0.203.0"
)

// Both programs are built once per test run; go's build cache makes a second
// run cheap. A program that can't be had fails the tests that need it.
var (
	buildProvider = sync.OnceValues(func() (string, error) {
		return install("provider", "build", "-o", filepath.Join(binDir, "provider"), "../../../provider")
	})
	buildStripeMock = sync.OnceValues(func() (string, error) {
		return install("stripe-mock", "install", stripeMock+"@"+stripeMockVersion)
	})
	binDir string
)

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "gateway-test-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = os.RemoveAll(dir) }()
		binDir = dir
		return m.Run()
	}())
}

func install(name string, args ...string) (string, error) {
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "GOBIN="+binDir)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go %v: %w\n%s", args, err, out)
	}
	return filepath.Join(binDir, name), nil
}

// start runs a program until the test ends and returns the address that it
// prints after the given words.
func start(t *testing.T, path, words string, env []string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), env...)
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // killed, as asked
		_ = w.Close()
	})
	pattern := regexp.MustCompile(words + `(127\.0\.0\.1:\d+)`)
	found := make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(r); lines.Scan(); {
			if m := pattern.FindStringSubmatch(lines.Text()); m != nil {
				found <- "http://" + m[1]
			}
		}
	}()
	select {
	case url := <-found:
		return url
	case <-time.After(60 * time.Second): // stripe-mock reads 7 MB of description first
		t.Fatalf("%s printed no address", path)
		return ""
	}
}

func startProvider(t *testing.T, faults string) string {
	t.Helper()
	path, err := buildProvider()
	if err != nil {
		t.Fatal(err)
	}
	return start(t, path, `"LISTEN_ADDR","addr":"`, []string{
		"LISTEN_ADDR=127.0.0.1:0", "ADMIN_ADDR=127.0.0.1:0", "SEED=1", "FAULTS=" + faults,
		"BOOK_FILE=" + filepath.Join(t.TempDir(), "book"),
	})
}

func startStripeMock(t *testing.T) string {
	t.Helper()
	path, err := buildStripeMock()
	if err != nil {
		t.Fatal(err)
	}
	return start(t, path, "HTTP at address: ", nil, "-http-addr", "127.0.0.1:0", "-https-addr", "127.0.0.1:0")
}
