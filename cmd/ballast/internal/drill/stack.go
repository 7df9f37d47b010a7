// Package drill breaks a stack on purpose and says in numbers what that did to
// its customers. Each drill brings up a stack of its own, keeps load on it while
// it breaks something, heals, and lets the books be compared from outside. A
// fault that can't be shown to have bitten fails the drill, and so does a
// difference in the books.
package drill

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"example.com/ballast/cmd/ballast/internal/api"
	"example.com/ballast/cmd/ballast/internal/catalogue"
	"example.com/ballast/cmd/ballast/internal/reconcile"
	"example.com/ballast/cmd/ballast/internal/stack"
)

// Options say what stack a drill runs on.
type Options struct {
	// Self is the ballast binary; the services' lie beside it.
	Self string
	// Broker is kfake or apache.
	Broker string
	// Up are further flags of `ballast up`, such as --replicas 2.
	Up []string
	// Env are settings of the services, such as RESEND_AFTER=1s.
	Env []string
	// Keep leaves the stack's directory behind, to look into.
	Keep bool
	// Out takes what the drill tells while it runs.
	Out io.Writer
}

// Stack is a stack that belongs to one drill.
type Stack struct {
	*api.Client

	Home  stack.Home
	opt   Options
	claim net.Listener // of the ports
}

// Start brings up a stack in a new directory, without the demo catalogue.
func Start(ctx context.Context, o Options) (*Stack, error) {
	dir, err := os.MkdirTemp("", "ballast-drill-")
	if err != nil {
		return nil, fmt.Errorf("directory of the drill's stack: %w", err)
	}
	// Postgres runs as another user when the drill runs as root.
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // secrets have directories of their own
		return nil, fmt.Errorf("directory of the drill's stack: %w", err)
	}
	base, claim, err := freeBase()
	if err != nil {
		return nil, err
	}
	s := &Stack{Home: stack.Home(dir), opt: o, claim: claim}
	args := append([]string{"up", "--detach", "--broker", o.Broker, "--catalogue=false", "--port-base", strconv.Itoa(base)}, o.Up...)
	if out, err := s.Run(ctx, args...); err != nil {
		return nil, errors.Join(fmt.Errorf("start the drill's stack: %w\n%s", err, out), s.Close(ctx))
	}
	at, err := s.State()
	if err != nil {
		return nil, errors.Join(err, s.Close(ctx))
	}
	signer, err := s.Home.Signer()
	if err != nil {
		return nil, errors.Join(err, s.Close(ctx))
	}
	s.Client = api.New(api.Config{Endpoints: at.Endpoints.API(), Mint: signer.Token, Wait: time.Minute})
	return s, nil
}

// Run runs a ballast command on the stack and returns what it printed. Servers
// of the environment are left out: a drill breaks only what is its own.
func (s *Stack) Run(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, s.opt.Self, append(args, "--home", string(s.Home))...)
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if name != "KAFKA_BROKERS" && name != "POSTGRES_URL" && !strings.HasPrefix(name, "REDIS_") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.Env = append(cmd.Env, s.opt.Env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// Close takes the stack down and removes its data.
func (s *Stack) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	defer s.claim.Close()
	var errs []error
	if _, err := s.Home.Load(); err == nil {
		if out, err := s.Run(ctx, "down"); err != nil {
			errs = append(errs, fmt.Errorf("take the drill's stack down: %w\n%s", err, out))
		}
	}
	if s.opt.Keep {
		s.Say("the stack's data and logs stay in %s", s.Home)
		return errors.Join(errs...)
	}
	return errors.Join(append(errs, os.RemoveAll(string(s.Home)))...)
}

// Say tells the person who watches what happens.
func (s *Stack) Say(format string, args ...any) {
	if s.opt.Out != nil {
		fmt.Fprintf(s.opt.Out, format+"\n", args...)
	}
}

// State is what runs now, with process ids.
func (s *Stack) State() (stack.State, error) { return s.Home.Running() }

// Signal sends a signal to the process of one child, such as orders or kafka.
func (s *Stack) Signal(child string, sig syscall.Signal) error {
	state, err := s.State()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(state.Children, func(c stack.ChildState) bool { return c.Name == child })
	if i < 0 || state.Children[i].PID == 0 {
		return fmt.Errorf("%s does not run in this stack", child)
	}
	if err := syscall.Kill(state.Children[i].PID, sig); err != nil {
		return fmt.Errorf("signal %s: %w", child, err)
	}
	return nil
}

// Admin calls a service's admin listener and decodes the JSON answer into out,
// unless it is nil. in is sent as JSON, unless it is nil.
func (s *Stack) Admin(ctx context.Context, service, method, path string, in, out any) error {
	state, err := s.State()
	if err != nil {
		return err
	}
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			return fmt.Errorf("encode: %w", err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, state.Endpoints.Admin[service]+path, &body)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s of %s: %s", method, path, service, res.Status)
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(res.Body).Decode(out)
}

// Stock makes products at GBP 1.00 with this many units each and waits until
// they can be ordered.
func (s *Stack) Stock(ctx context.Context, units int32, skus ...string) error {
	cat := &catalogue.Catalogue{Currency: "GBP", Receipt: skus[0], Wait: time.Minute}
	for _, sku := range skus {
		cat.Items = append(cat.Items, catalogue.Item{SKU: sku, Price: 100, Units: units})
	}
	return catalogue.Load(ctx, s.Client, cat)
}

// Reconcile waits for the last order and compares all books.
func (s *Stack) Reconcile(ctx context.Context, accepted []string) (*reconcile.Result, error) {
	return reconcile.Run(ctx, s.Client, accepted, time.Minute, nil)
}

// freeBase finds a port base with nothing on the ports above it, and claims it: as
// long as the listener is open, which is on a port that no stack uses, no other
// drill of any process takes the same. All are below those that Linux gives to
// clients, from 32768: one of these may be taken between this look and the start of
// what is to listen there.
func freeBase() (base int, claim net.Listener, err error) {
	const first, last, width = 14000, 19900, 100
	slots := (last - first) / width
	for i := range slots {
		base := first + width*((os.Getpid()+i)%slots)
		claim, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(base+width-1))
		if err != nil {
			continue
		}
		if allFree(base, width-1) {
			return base, claim, nil
		}
		_ = claim.Close()
	}
	return 0, nil, fmt.Errorf("no %d free ports in a row from %d to %d", width, first, last)
}

// allFree tells whether nothing listens on so many ports from the first on.
func allFree(first, ports int) bool {
	for port := first; port < first+ports; port++ {
		l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err != nil {
			return false
		}
		_ = l.Close()
	}
	return true
}
