package main

import (
	"cmp"
	"errors"
	"io"
	"os"
	"strings"
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

// addFlags adds the flags that say where the stack is. Where the tool itself runs
// beside the stack, as in a container, the environment has their defaults.
func (t *target) addFlags(flags *pflag.FlagSet) {
	urls := func(variable string) []string {
		return strings.FieldsFunc(os.Getenv(variable), func(r rune) bool { return r == ',' })
	}
	flags.IntVar(&t.portBase, "port-base", 0, "orders answers on this port of 127.0.0.1 (default: what the home directory says)")
	flags.StringSliceVar(&t.explicit.Orders, "orders-url", urls("BALLAST_ORDERS_URL"), "base URL of orders, or of each of its replicas (default: BALLAST_ORDERS_URL, or from the home directory)")
	flags.StringSliceVar(&t.explicit.Inventory, "inventory-url", urls("BALLAST_INVENTORY_URL"), "base URL of inventory, or of each of its replicas")
	flags.StringSliceVar(&t.explicit.Payments, "payments-url", urls("BALLAST_PAYMENTS_URL"), "base URL of payments, or of each of its replicas")
	flags.StringVar(&t.explicit.Provider, "provider-url", os.Getenv("BALLAST_PROVIDER_URL"), "base URL of the payment provider")
	flags.DurationVar(&t.wait, "wait", time.Minute, "how long to wait for services that are away and for the last orders")
}

// endpoints are the URLs to use.
func (t *target) endpoints() (api.Endpoints, error) {
	e := t.explicit
	if len(e.Orders) > 0 && len(e.Inventory) > 0 && len(e.Payments) > 0 && e.Provider != "" {
		return e, nil
	}
	var known api.Endpoints
	if t.portBase != 0 {
		known = stack.Layout{Base: t.portBase}.API()
	} else {
		state, err := t.home().Running()
		if err != nil {
			return e, err
		}
		known = state.Endpoints.API()
	}
	for _, pair := range []struct{ to, from *[]string }{
		{&e.Orders, &known.Orders}, {&e.Inventory, &known.Inventory}, {&e.Payments, &known.Payments},
	} {
		if len(*pair.to) == 0 {
			*pair.to = *pair.from
		}
	}
	e.Provider = cmp.Or(e.Provider, known.Provider)
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
