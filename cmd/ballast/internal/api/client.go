// Package api talks to a running stack the way that its users do: through the
// public APIs, as a customer or as an operator, with nothing but a token. What
// it reads is what the outside can know.
package api

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	"example.com/ballast/gen/inventory/v1/inventoryv1connect"
	"example.com/ballast/gen/orders/v1/ordersv1connect"
	"example.com/ballast/gen/payments/v1/paymentsv1connect"
	"example.com/ballast/pkg/edge"
)

// Endpoints are the base URLs of a stack: of every replica of each service.
type Endpoints struct {
	Orders, Inventory, Payments []string
	Provider                    string
}

// Mint signs a token for a subject, with the operator scope or without.
type Mint func(subject string, operator bool) (string, error)

// Config says what to talk to and how.
type Config struct {
	Endpoints Endpoints
	Mint      Mint
	// Wait is how long a call is retried while the other side is away, 60 s when zero.
	Wait time.Duration
	// Attempt is the deadline of one attempt, 10 s when zero.
	Attempt time.Duration
	// JSON sends Connect JSON as curl does, in place of Protobuf.
	JSON bool
}

// Client is safe for concurrent use.
type Client struct {
	// The services. Do calls them with a token: an operator's, unless the
	// context comes from As.
	Orders    ordersv1connect.OrderServiceClient
	Inventory inventoryv1connect.InventoryServiceClient
	Payments  paymentsv1connect.PaymentServiceClient
	// Retries counts attempts after the first.
	Retries Counter

	provider string
	wait     time.Duration
	http     *http.Client
	retrier  retrier
	signer   signer
}

// New makes a client. No connection is opened before the first call.
func New(cfg Config) *Client {
	c := &Client{provider: cfg.Endpoints.Provider, wait: or(cfg.Wait, time.Minute), http: edge.NewHTTPClient()}
	c.retrier = newRetrier(c.wait, or(cfg.Attempt, 10*time.Second), &c.Retries)
	c.signer = signer{mint: cfg.Mint, tokens: map[caller]token{}}
	var options []connecthttp.Option
	if cfg.JSON {
		options = append(options, connecthttp.WithProtoJSON())
	}
	dial := func(urls []string) *connect.Client {
		hc, base := balanced(c.http, urls)
		return edge.NewClientHTTP(hc, base, "", options...)
	}
	c.Orders = ordersv1connect.NewOrderServiceClient(dial(cfg.Endpoints.Orders))
	c.Inventory = inventoryv1connect.NewInventoryServiceClient(dial(cfg.Endpoints.Inventory))
	c.Payments = paymentsv1connect.NewPaymentServiceClient(dial(cfg.Endpoints.Payments))
	return c
}

func or(d, otherwise time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return otherwise
}

// caller is who a token speaks for.
type caller struct {
	subject  string
	operator bool
}

type callerKey struct{}

// As makes the calls of a context those of one customer.
func As(ctx context.Context, customer string) context.Context {
	return context.WithValue(ctx, callerKey{}, caller{subject: customer})
}

// AsOperator makes the calls of a context those of an operator with a name, which
// the history of an order will keep.
func AsOperator(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, callerKey{}, caller{subject: name, operator: true})
}

// anOperator speaks where nobody in particular does.
var anOperator = caller{subject: "operator", operator: true} //nolint:gochecknoglobals // a constant that Go can't declare

// tokenLife is how long a token is used before a new one is signed. By
// judgement: well under the hour that development tokens live.
const tokenLife = 10 * time.Minute

type token struct {
	text   string
	signed time.Time
}

// signer signs one token per caller and keeps it.
type signer struct {
	mint   Mint
	mu     sync.RWMutex
	tokens map[caller]token
}

// token returns the token of the context's caller, or else an operator's.
func (a *signer) token(ctx context.Context) (string, error) {
	who, ok := ctx.Value(callerKey{}).(caller)
	if !ok {
		who = anOperator
	}
	a.mu.RLock()
	known := a.tokens[who]
	a.mu.RUnlock()
	if known.text != "" && time.Since(known.signed) < tokenLife {
		return known.text, nil
	}
	text, err := a.mint(who.subject, who.operator)
	if err != nil {
		return "", fmt.Errorf("sign a token for %s: %w", who.subject, err)
	}
	a.mu.Lock()
	a.tokens[who] = token{text: text, signed: time.Now()}
	a.mu.Unlock()
	return text, nil
}
