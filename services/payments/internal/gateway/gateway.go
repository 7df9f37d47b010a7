// Package gateway calls the payment provider through Stripe's own client, so
// that a URL and a key choose between the simulator, stripe-mock and Stripe.
//
// It makes one attempt per call, under the caller's context, which must have a
// deadline. Retries, budget, breaker and bulkhead belong to the caller: a
// second layer of retries would multiply them. A nil error is a definite
// success; any other is one of the classes in errors.go.
package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v85"
	"golang.org/x/time/rate"
)

// pageSize is the largest page that Stripe lists.
const pageSize = 100

// orderIDName is the metadata that ties an intent to its order.
const orderIDName = "order_id"

// Config of a Gateway.
type Config struct {
	URL    string // without a path, for example https://api.stripe.com
	APIKey string
	// PaymentMethod that is charged; "pm_card_visa" by default. This platform
	// has no checkout page that would collect a real one.
	PaymentMethod string
	// MaxIdleConns is how many connections are kept, 128 by default. It should
	// be the number of calls at once: each one beyond it dials anew.
	MaxIdleConns int
	Logger       *slog.Logger // nothing is logged without one
}

// Gateway is safe for concurrent use.
type Gateway struct {
	client *stripe.Client
	http   *http.Client
	method string
	logger *slog.Logger
	// complaint keeps a refused api key from filling the log.
	complaint rate.Sometimes
}

// Status of an intent, as far as payments needs to tell them apart.
type Status string

// The statuses that settle something; every other one means "not charged yet".
const (
	StatusSucceeded Status = Status(stripe.PaymentIntentStatusSucceeded)
	StatusCanceled  Status = Status(stripe.PaymentIntentStatusCanceled)
	// StatusRequiresConfirmation is a new intent with its payment method.
	StatusRequiresConfirmation Status = Status(stripe.PaymentIntentStatusRequiresConfirmation)
	// StatusRequiresPaymentMethod is one whose last confirmation was declined.
	StatusRequiresPaymentMethod Status = Status(stripe.PaymentIntentStatusRequiresPaymentMethod)
	StatusProcessing            Status = Status(stripe.PaymentIntentStatusProcessing)
	StatusRequiresAction        Status = Status(stripe.PaymentIntentStatusRequiresAction)
)

// Intent is a payment intent. Amounts are in the currency's minor unit.
type Intent struct {
	ID          string
	OrderID     string
	Status      Status
	Amount      int64
	Received    int64  // captured
	Currency    string // ISO 4217, upper case
	DeclineCode string // of the newest confirmation, if it was declined
	Created     time.Time
	Replayed    bool // the stored first answer of the key
}

// Refund is money given back. Amount is in the currency's minor unit.
type Refund struct {
	ID       string
	IntentID string
	Status   string
	Amount   int64
	Currency string // ISO 4217, upper case
	Created  time.Time
	Replayed bool
}

// New checks the settings; it makes no call.
func New(c Config) (*Gateway, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("PROVIDER_URL is %q: use a URL such as http://127.0.0.1:8090", c.URL)
	}
	if c.APIKey == "" {
		return nil, errors.New("PROVIDER_API_KEY is empty: use the provider's secret key, any sk_test_ key for the simulator")
	}
	idle := cmp.Or(c.MaxIdleConns, 128)
	hc := &http.Client{Transport: &http.Transport{
		Proxy:             http.ProxyFromEnvironment,
		DialContext:       (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2: true,
		MaxIdleConns:      idle, MaxIdleConnsPerHost: idle,
		IdleConnTimeout:     90 * time.Second, // below the simulator's 2 minutes: the client closes first
		TLSHandshakeTimeout: 5 * time.Second,
	}}
	backends := stripe.NewBackendsWithConfig(&stripe.BackendConfig{
		URL: stripe.String(strings.TrimSuffix(c.URL, "/")), HTTPClient: hc,
		MaxNetworkRetries: stripe.Int64(0), EnableTelemetry: stripe.Bool(false),
		LeveledLogger: &stripe.LeveledLogger{Level: stripe.LevelNull},
	})
	return &Gateway{
		client: stripe.NewClient(c.APIKey, stripe.WithBackends(backends)), http: hc,
		method: cmp.Or(c.PaymentMethod, "pm_card_visa"), logger: cmp.Or(c.Logger, slog.New(slog.DiscardHandler)),
		complaint: rate.Sometimes{First: 1, Interval: 10 * time.Second},
	}, nil
}

// Close drops the idle connections.
func (g *Gateway) Close() { g.http.CloseIdleConnections() }

// Create makes an unconfirmed intent: it moves no money, so an orphan is
// harmless.
func (g *Gateway) Create(ctx context.Context, key, orderID string, amount int64, currency string) (Intent, error) {
	p := &stripe.PaymentIntentCreateParams{
		Amount: stripe.Int64(amount), Currency: stripe.String(strings.ToLower(currency)),
		PaymentMethod:      stripe.String(g.method),
		PaymentMethodTypes: stripe.StringSlice([]string{"card"}),
		Metadata:           map[string]string{orderIDName: orderID},
	}
	p.SetIdempotencyKey(key)
	return result(g.client.V1PaymentIntents.Create(ctx, p))("create")
}

// Confirm takes the money. Its only success is StatusSucceeded: an intent that
// is still processing is ErrUnknown, and one that asks for the customer, who
// isn't there, is ErrDeclined.
func (g *Gateway) Confirm(ctx context.Context, key, id string) (Intent, error) {
	p := &stripe.PaymentIntentConfirmParams{}
	p.SetIdempotencyKey(key)
	in, err := result(g.client.V1PaymentIntents.Confirm(ctx, id, p))("confirm")
	if err != nil || in.Status == StatusSucceeded {
		return in, err
	}
	e := &Error{Op: "confirm", Class: ErrUnknown, Intent: &in, cause: fmt.Errorf("intent is %s", in.Status)}
	if in.Status == StatusRequiresAction {
		e.Class, e.DeclineCode = ErrDeclined, string(stripe.DeclineCodeAuthenticationRequired)
	}
	return in, e
}

// Cancel makes the intent impossible to confirm; one that is canceled already
// is a success. ErrRejected with Error.Intent in StatusSucceeded means that
// the money was taken before: refund it.
func (g *Gateway) Cancel(ctx context.Context, key, id string) (Intent, error) {
	p := &stripe.PaymentIntentCancelParams{}
	p.SetIdempotencyKey(key)
	in, err := result(g.client.V1PaymentIntents.Cancel(ctx, id, p))("cancel")
	var e *Error
	if errors.As(err, &e) && e.Code == CodeUnexpectedState && e.Intent != nil && e.Intent.Status == StatusCanceled {
		return *e.Intent, nil
	}
	return in, err
}

// Retrieve reads an intent: it resolves an unknown confirmation.
func (g *Gateway) Retrieve(ctx context.Context, id string) (Intent, error) {
	return result(g.client.V1PaymentIntents.Retrieve(ctx, id, nil))("retrieve")
}

// Refund gives amount back; 0 means all that is left.
func (g *Gateway) Refund(ctx context.Context, key, id string, amount int64) (Refund, error) {
	p := &stripe.RefundCreateParams{PaymentIntent: stripe.String(id)}
	if amount != 0 {
		p.Amount = stripe.Int64(amount)
	}
	p.SetIdempotencyKey(key)
	r, err := g.client.V1Refunds.Create(ctx, p)
	if err != nil {
		return Refund{}, classify("refund", err)
	}
	if r.Status == stripe.RefundStatusFailed || r.Status == stripe.RefundStatusCanceled {
		return refundOf(r), &Error{Op: "refund", Class: ErrRejected, cause: fmt.Errorf("refund is %s", r.Status)}
	}
	return refundOf(r), nil
}

// List walks the intents made in [from, until], newest first; a zero until
// means now. The first error ends it.
func (g *Gateway) List(ctx context.Context, from, until time.Time) iter.Seq2[Intent, error] {
	p := &stripe.PaymentIntentListParams{CreatedRange: createdRange(from, until)}
	p.Limit = stripe.Int64(pageSize)
	return func(yield func(Intent, error) bool) {
		for pi, err := range g.client.V1PaymentIntents.List(ctx, p).All(ctx) {
			if err != nil {
				yield(Intent{}, classify("list", err))
				return
			}
			if !yield(intentOf(pi), nil) {
				return
			}
		}
	}
}

// ListRefunds is List for refunds.
func (g *Gateway) ListRefunds(ctx context.Context, from, until time.Time) iter.Seq2[Refund, error] {
	p := &stripe.RefundListParams{CreatedRange: createdRange(from, until)}
	p.Limit = stripe.Int64(pageSize)
	return func(yield func(Refund, error) bool) {
		for r, err := range g.client.V1Refunds.List(ctx, p).All(ctx) {
			if err != nil {
				yield(Refund{}, classify("list refunds", err))
				return
			}
			if !yield(refundOf(r), nil) {
				return
			}
		}
	}
}

func createdRange(from, until time.Time) *stripe.RangeQueryParams {
	r := &stripe.RangeQueryParams{}
	if !from.IsZero() {
		r.GreaterThanOrEqual = from.Unix()
	}
	if !until.IsZero() {
		r.LesserThanOrEqual = until.Unix()
	}
	return r
}

// result converts what a call returned; the name of the call comes last so
// that the call itself can be the argument.
func result(pi *stripe.PaymentIntent, err error) func(op string) (Intent, error) {
	return func(op string) (Intent, error) {
		if err != nil {
			return Intent{}, classify(op, err)
		}
		if pi.ID == "" {
			return Intent{}, &Error{Op: op, Class: ErrUnknown, cause: errors.New("an answer without an id")}
		}
		return intentOf(pi), nil
	}
}

func intentOf(pi *stripe.PaymentIntent) Intent {
	in := Intent{
		ID: pi.ID, OrderID: pi.Metadata[orderIDName], Status: Status(pi.Status), Amount: pi.Amount,
		Received: pi.AmountReceived, Currency: strings.ToUpper(string(pi.Currency)),
		Created: time.Unix(pi.Created, 0).UTC(), Replayed: replayed(pi.LastResponse),
	}
	if pi.LastPaymentError != nil {
		in.DeclineCode = word(string(pi.LastPaymentError.DeclineCode))
	}
	return in
}

func refundOf(r *stripe.Refund) Refund {
	out := Refund{
		ID: r.ID, Status: string(r.Status), Amount: r.Amount, Currency: strings.ToUpper(string(r.Currency)),
		Created: time.Unix(r.Created, 0).UTC(), Replayed: replayed(r.LastResponse),
	}
	if r.PaymentIntent != nil {
		out.IntentID = r.PaymentIntent.ID
	}
	return out
}
