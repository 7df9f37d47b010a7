package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/pflag"

	"example.com/ballast/cmd/ballast/internal/api"
	"example.com/ballast/cmd/ballast/internal/stack"
)

// target is the stack that a command talks to: the one in the home directory,
// unless flags say where else its listeners are. The key that tokens are signed
// with always comes from the home directory.
type target struct {
	home     func() stack.Home
	portBase int
	explicit api.Endpoints
	wait     time.Duration
}

// addFlags adds the flags that say where the stack is.
func (t *target) addFlags(flags *pflag.FlagSet) {
	flags.IntVar(&t.portBase, "port-base", 0, "orders answers on this port of 127.0.0.1 (default: what the home directory says)")
	flags.StringVar(&t.explicit.Orders, "orders-url", "", "base URL of orders (default: from the home directory)")
	flags.StringVar(&t.explicit.Inventory, "inventory-url", "", "base URL of inventory")
	flags.StringVar(&t.explicit.Payments, "payments-url", "", "base URL of payments")
	flags.StringVar(&t.explicit.Provider, "provider-url", "", "base URL of the payment provider")
	flags.DurationVar(&t.wait, "wait", time.Minute, "how long to wait for services that are away and for the last orders")
}

// endpoints are the URLs to use.
func (t *target) endpoints() (api.Endpoints, error) {
	e := t.explicit
	if e.Orders != "" && e.Inventory != "" && e.Payments != "" && e.Provider != "" {
		return e, nil
	}
	var known api.Endpoints
	if t.portBase != 0 {
		ports := stack.Layout{Base: t.portBase}
		url := func(port int) string { return fmt.Sprintf("http://127.0.0.1:%d", port) }
		known = api.Endpoints{Orders: url(ports.Service(0)), Inventory: url(ports.Service(1)), Payments: url(ports.Service(2)), Provider: url(ports.Provider())}
	} else {
		state, err := t.home().Running()
		if err != nil {
			return e, err
		}
		at := state.Endpoints
		known = api.Endpoints{Orders: at.Orders, Inventory: at.Inventory, Payments: at.Payments, Provider: at.Provider}
	}
	for _, pair := range []struct{ to, from *string }{
		{&e.Orders, &known.Orders}, {&e.Inventory, &known.Inventory}, {&e.Payments, &known.Payments}, {&e.Provider, &known.Provider},
	} {
		if *pair.to == "" {
			*pair.to = *pair.from
		}
	}
	return e, nil
}

// client opens the stack. json selects Connect JSON in place of Protobuf.
func (t *target) client(json bool) (*api.Client, error) {
	if t.wait <= 0 {
		return nil, errors.New("--wait must be above zero")
	}
	endpoints, err := t.endpoints()
	if err != nil {
		return nil, err
	}
	signer, err := t.home().Signer()
	if err != nil {
		return nil, err
	}
	return api.New(api.Config{Endpoints: endpoints, Mint: signer.Token, Wait: t.wait, JSON: json}), nil
}

// isTerminal tells whether control characters would be seen as such.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
