// Package testkit gives tests real servers: PostgreSQL, Redis and Kafka. Each is
// taken from the environment when it names one, else found on this machine and
// started for the test binary. Nothing is skipped: a test that needs a server
// that cannot be had fails and says how to get it.
//
// A package whose tests use it has this function, which stops what was started:
//
//	func TestMain(m *testing.M) { testkit.Main(m) }
package testkit

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// shared is what lives as long as the test binary. It is global because the
// testing package offers no place for it between TestMain and the tests.
var shared struct {
	mu      sync.Mutex
	main    bool
	stop    []func(ctx context.Context)
	said    map[string]bool
	server  *postgresServer
	failure error // why there is no server: tried once per binary
}

// Main runs the tests, stops the servers that they started, and exits.
func Main(m *testing.M) {
	shared.main = true
	code := m.Run()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	for _, stop := range shared.stop {
		stop(ctx)
	}
	cancel()
	os.Exit(code)
}

// say prints once per test binary what a kind of server turned out to be.
func say(kind, what string) {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.said[kind] {
		return
	}
	if shared.said == nil {
		shared.said = map[string]bool{}
	}
	shared.said[kind] = true
	fmt.Fprintf(os.Stderr, "testkit: %s: %s\n", kind, what)
}

// Unique returns name with a random prefix, for topics, groups and keys of
// tests that may share one server.
func Unique(t testing.TB, name string) string {
	t.Helper()
	return "t" + strings.ToLower(rand.Text()[:8]) + "." + name
}

// Eventually polls until ok says yes, and fails the test when it has not within
// ten seconds: far more than anything here takes on a busy machine.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
