package stack

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"example.com/ballast/cmd/ballast/internal/api"
)

// Home is the directory with everything a stack keeps: data, logs, keys,
// passwords and state.json.
type Home string

// Path joins elements to the directory.
func (h Home) Path(elem ...string) string {
	return filepath.Join(append([]string{string(h)}, elem...)...)
}

// Log is the file that a child's output goes to.
func (h Home) Log(child string) string { return h.Path("logs", child+".log") }

// Traces is the directory with the spans of all processes, as *.jsonl.
func (h Home) Traces() string { return h.Path("traces") }

// prepare creates the directory with what every stack needs in it.
func (h Home) prepare() error {
	for dir, mode := range map[string]fs.FileMode{"": 0o755, "logs": 0o755, "traces": 0o755, "provider": 0o755, "secrets": 0o700, "keys": 0o700} {
		if err := os.MkdirAll(h.Path(dir), mode); err != nil {
			return fmt.Errorf("home directory (--home): %w", err)
		}
	}
	return nil
}

// readFile returns a file's content without the blanks around it.
func readFile(name string) (string, error) {
	b, err := os.ReadFile(name)
	return strings.TrimSpace(string(b)), err
}

// Secret returns the named password, which is generated at first use and kept
// in a file that only this user can read. It holds nothing that a URL or SQL
// would have to quote.
func (h Home) Secret(name string) (string, error) {
	file := h.Path("secrets", name)
	secret, err := readFile(file)
	if err == nil {
		return secret, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read secret: %w", err)
	}
	secret = rand.Text()
	return secret, writeFile(file, []byte(secret+"\n"), 0o600)
}

// writeFile replaces a file in one step: readers see the old content or the
// new, and a crash leaves one of the two.
func writeFile(file string, content []byte, mode fs.FileMode) error {
	tmp := file + ".new"
	if err := os.WriteFile(tmp, content, mode); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	if err := os.Rename(tmp, file); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// Phase is how far a stack has come.
type Phase string

// The phases of a stack.
const (
	PhaseStarting Phase = "starting"
	PhaseReady    Phase = "ready"
	PhaseStopping Phase = "stopping"
	PhaseStopped  Phase = "stopped"
)

// State is what state.json holds: who runs, and where.
type State struct {
	Supervisor Proc         `json:"supervisor"`
	Phase      Phase        `json:"phase"`
	Since      time.Time    `json:"since"`
	PortBase   int          `json:"portBase,omitempty"`
	Broker     string       `json:"broker,omitempty"`
	Endpoints  Endpoints    `json:"endpoints"`
	Children   []ChildState `json:"children"`
}

// Endpoints are the addresses of a stack.
type Endpoints struct {
	// Base URLs of the public listeners, of a service's first replica.
	Orders    string `json:"orders,omitempty"`
	Inventory string `json:"inventory,omitempty"`
	Payments  string `json:"payments,omitempty"`
	Provider  string `json:"provider,omitempty"`
	// Replicas has the base URLs of all public listeners by service.
	Replicas map[string][]string `json:"replicas,omitempty"`
	// Admin has the base URL of the admin listener by child, and that of its first
	// replica by service.
	Admin map[string]string `json:"admin,omitempty"`
	// Kafka has the brokers as host:port.
	Kafka []string `json:"kafka,omitempty"`
	// Secure says that Kafka and Redis ask who one is.
	Secure bool `json:"secure,omitempty"`
	// Postgres is host:port of the cluster; see Home.PostgresURL.
	Postgres string `json:"postgres,omitempty"`
	// Redis has the URL by service.
	Redis map[string]string `json:"redis,omitempty"`
	// Toxiproxy is the base URL of the API that takes network faults, in a stack
	// with proxies.
	Toxiproxy string `json:"toxiproxy,omitempty"`
	// Base URLs of what looks at the stack, where it runs: Prometheus, the
	// collector that takes traces as OTLP over HTTP, and node_exporter.
	Prometheus string `json:"prometheus,omitempty"`
	Collector  string `json:"collector,omitempty"`
	Node       string `json:"node,omitempty"`
	// Traces is the directory with files of traces, in OTLP's JSON.
	Traces string `json:"traces,omitempty"`
}

// API is what a client of the public listeners wants to know.
func (e Endpoints) API() api.Endpoints {
	return api.Endpoints{
		Orders: e.Replicas["orders"], Inventory: e.Replicas["inventory"], Payments: e.Replicas["payments"], Provider: e.Provider,
	}
}

// ChildState is one process of a stack.
type ChildState struct {
	Name string `json:"name"`
	Proc
	// State is starting, ready, restarting, stopped or external.
	State    string `json:"state"`
	Restarts int    `json:"restarts"`
	// StopSignal ends it in good order.
	StopSignal syscall.Signal `json:"stopSignal,omitempty"`
	// ReadyMillis is how long the latest start took, in milliseconds.
	ReadyMillis int64 `json:"readyMillis"`
	// About says what was used: a version, a path, a fallback by name.
	About   string `json:"about,omitempty"`
	Address string `json:"address,omitempty"`
	// Probe is an http URL that answers 200 when the child is ready, or empty.
	Probe string `json:"probe,omitempty"`
	Log   string `json:"log,omitempty"`
}

// ErrNoStack is returned by Load when no stack ever ran in the directory.
var ErrNoStack = errors.New("no stack there")

// Load reads the state of the stack in the directory.
func (h Home) Load() (State, error) {
	var s State
	b, err := os.ReadFile(h.Path("state.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return s, fmt.Errorf("%s: %w: `ballast up --home %s` starts one", string(h), ErrNoStack, string(h))
	}
	if err != nil {
		return s, fmt.Errorf("read state: %w", err)
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("%s: %w", h.Path("state.json"), err)
	}
	return s, nil
}

// Running is Load for commands that talk to a stack: it must be up.
func (h Home) Running() (State, error) {
	s, err := h.Load()
	if err == nil && !s.Supervisor.Alive() {
		err = fmt.Errorf("%s: the stack is down: `ballast up --home %s` starts it", string(h), string(h))
	}
	return s, err
}

// save writes the state for other commands to read.
func (h Home) save(s State) error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("encode state: %w", err)
	}
	return writeFile(h.Path("state.json"), append(b, '\n'), 0o644)
}

// lock makes the directory this process's own until the file is closed.
func (h Home) lock() (*os.File, error) {
	f, err := os.OpenFile(h.Path("lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock home directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		who := "another process"
		if s, err := h.Load(); err == nil && s.Supervisor.Alive() {
			who = fmt.Sprintf("process %d", s.Supervisor.PID)
		}
		return nil, fmt.Errorf("%s is in use by %s: `ballast down --home %s` stops it, and `--home DIR --port-base N` starts a second stack beside it",
			string(h), who, string(h))
	}
	return f, nil
}
