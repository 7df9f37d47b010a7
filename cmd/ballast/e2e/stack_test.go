// Package e2e_test runs the whole platform, the real binaries on real servers,
// and judges it from outside: by the public API and the provider's own book.
package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/ballast/cmd/ballast/internal/api"
	"example.com/ballast/cmd/ballast/internal/catalogue"
	"example.com/ballast/cmd/ballast/internal/reconcile"
	"example.com/ballast/cmd/ballast/internal/stack"
	ordersv1 "example.com/ballast/gen/orders/v1"
)

// binaries are built once for all tests of the package.
var binaries = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "ballast-e2e-")
	if err != nil {
		return "", err
	}
	build := exec.Command("go", "build", "-o", dir+"/", "example.com/ballast/cmd/ballast", "example.com/ballast/services/...")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w: %s", err, out)
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := binaries(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// platform is one running stack.
type platform struct {
	*api.Client
	t    *testing.T
	home stack.Home
	bin  string
	env  []string
}

// start brings up a stack with its own data, and down at the end of the test.
// Its services get the given settings, such as RESEND_AFTER=1s.
func start(t *testing.T, env ...string) *platform {
	t.Helper()
	return startWith(t, nil, env...)
}

// startWith is start with further flags of `ballast up`.
func startWith(t *testing.T, flags []string, env ...string) *platform {
	t.Helper()
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	p := &platform{t: t, home: stack.Home(t.TempDir()), bin: bin, env: env}
	out, err := p.run(append([]string{"up", "--detach", "--broker", broker, "--port-base", fmt.Sprint(freeBase(t))}, flags...)...)
	if err != nil {
		t.Fatalf("up: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		if out, err := p.run("down"); err != nil {
			t.Errorf("down: %v\n%s", err, out)
		}
		if t.Failed() {
			p.logErrors()
		}
	})
	state, err := p.home.Running()
	if err != nil {
		t.Fatal(err)
	}
	signer, err := p.home.Signer()
	if err != nil {
		t.Fatal(err)
	}
	p.Client = api.New(api.Config{Endpoints: state.Endpoints.API(), Mint: signer.Token, Wait: time.Minute})
	return p
}

// logErrors prints what the services said was wrong, for whoever looks for the
// cause of a failure on another machine.
func (p *platform) logErrors() {
	const most = 20 // of each service
	for _, name := range []string{"orders", "inventory", "payments", "provider"} {
		log, err := os.ReadFile(p.home.Log(name))
		if err != nil {
			p.t.Logf("log of %s: %v", name, err)
			continue
		}
		left := most
		for line := range strings.Lines(string(log)) {
			if strings.Contains(line, `"level":"ERROR"`) && left > 0 {
				p.t.Logf("%s: %s", name, strings.TrimSpace(line))
				left--
			}
		}
	}
}

// run runs a ballast command on this stack. Servers of the environment are left
// out: a test that breaks things must own them.
func (p *platform) run(args ...string) (string, error) {
	cmd := exec.Command(filepath.Join(p.bin, "ballast"), append(args, "--home", string(p.home))...)
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); name != "KAFKA_BROKERS" && name != "POSTGRES_URL" && !strings.HasPrefix(name, "REDIS_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, p.env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// nextBase keeps the stacks of this test binary apart: the ports that one will
// use are still free while another looks.
var nextBase atomic.Int64

// freeBase finds a port base with nothing on the ports above it.
func freeBase(t *testing.T) int {
	t.Helper()
next:
	for {
		base := 21000 + 100*int(nextBase.Add(1))
		if base >= 30000 {
			break
		}
		for port := base; port < base+60; port++ {
			l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port))
			if err != nil {
				continue next
			}
			_ = l.Close()
		}
		return base
	}
	t.Fatal("no 60 free ports from 21000 to 30000")
	return 0
}

// stock makes products at GBP 1.00 with this many units each and waits until
// they can be ordered.
func (p *platform) stock(ctx context.Context, units int32, skus ...string) {
	p.t.Helper()
	cat := &catalogue.Catalogue{Currency: "GBP", Receipt: skus[0], Wait: 20 * time.Second}
	for _, sku := range skus {
		cat.Items = append(cat.Items, catalogue.Item{SKU: sku, Price: 100, Units: units})
	}
	if err := catalogue.Load(ctx, p.Client, cat); err != nil {
		p.t.Fatal(err)
	}
}

// request asks for one unit of each SKU.
func request(skus ...string) *ordersv1.PlaceOrderRequest {
	r := &ordersv1.PlaceOrderRequest{ShipTo: &ordersv1.Address{Country: "GB"}}
	for _, sku := range skus {
		r.Lines = append(r.Lines, &ordersv1.LineRequest{Sku: sku, Quantity: 1})
	}
	return r
}

// faults sets the provider's faults.
func (p *platform) faults(settings map[string]any) {
	p.t.Helper()
	state, err := p.home.Running()
	if err != nil {
		p.t.Fatal(err)
	}
	body, err := json.Marshal(settings)
	if err != nil {
		p.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodPut, state.Endpoints.Admin["provider"]+"/faults", bytes.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		p.t.Fatalf("set faults: %s", res.Status)
	}
}

// reconcile waits for the last order and compares all books.
func (p *platform) reconcile(ctx context.Context, accepted []string) *reconcile.Result {
	p.t.Helper()
	result, err := reconcile.Run(ctx, p.Client, accepted, time.Minute, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, d := range result.Differences {
		p.t.Errorf("difference: %+v", d)
	}
	return result
}
