// Package webhook takes the provider's events: it checks that the provider has
// signed them, and hands on which payment they are about. It answers 2xx only
// when that is stored, so whatever goes wrong before, the provider sends it again.
package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/stripe/stripe-go/v85"
	stripehook "github.com/stripe/stripe-go/v85/webhook"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"golang.org/x/time/rate"

	"example.com/ballast/pkg/ids"
	"example.com/ballast/services/payments/internal/payment"
)

const (
	// maxBytes bounds an event. Stripe's are a few kilobytes.
	maxBytes = 64 << 10
	// timeout bounds reading the request and storing it, each: a provider gives up
	// after some seconds, and a slow sender must not hold a connection for ever.
	timeout = 5 * time.Second
	// tolerance is how old a signature may be: whoever records an event can't send it
	// again later. The provider signs each repetition anew.
	tolerance = 5 * time.Minute
)

// Config of the handler; all of it is required.
type Config struct {
	// Secret is what the provider signs with.
	Secret string
	// Notice returns when the notice is stored, and what it led to.
	Notice func(ctx context.Context, n payment.Notice) (payment.Noticed, error)
	Logger *slog.Logger
	Meter  metric.Meter
}

type handler struct {
	cfg      Config
	duration metric.Float64Histogram
	refusals rate.Sometimes // anybody can send nonsense: it must not fill the log
	failures rate.Sometimes
}

// New returns the handler.
func New(cfg Config) http.Handler {
	return &handler{
		cfg: cfg, duration: newWebhookDurationHistogram(cfg.Meter),
		refusals: rate.Sometimes{First: 1, Interval: time.Second}, failures: rate.Sometimes{First: 1, Interval: time.Second},
	}
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	status, outcome := h.take(w, r)
	h.duration.Record(r.Context(), time.Since(began).Seconds(), metric.WithAttributes(attribute.String("outcome", outcome)))
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(status)
}

func (h *handler) take(w http.ResponseWriter, r *http.Request) (status int, outcome string) {
	// A writer without deadlines belongs to a test.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(timeout))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBytes))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return http.StatusRequestEntityTooLarge, "refused"
	}
	if err != nil {
		return http.StatusBadRequest, "refused"
	}
	// An account is pinned to a release of the provider's API, mostly not to the
	// client's. What is read of an event is the same in all of them.
	event, err := stripehook.ConstructEventWithOptions(body, r.Header.Get("Stripe-Signature"), h.cfg.Secret,
		stripehook.ConstructEventOptions{Tolerance: tolerance, IgnoreAPIVersionMismatch: true})
	if err != nil {
		h.refusals.Do(func() { h.cfg.Logger.WarnContext(r.Context(), "webhook refused", "error", err, "peer", r.RemoteAddr) })
		return http.StatusBadRequest, "refused"
	}
	notice, ok := noticeOf(event)
	if !ok {
		return http.StatusOK, "ignored"
	}
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	noticed, err := h.cfg.Notice(ctx, notice)
	if err != nil {
		h.failures.Do(func() { h.cfg.Logger.WarnContext(ctx, "webhook not stored; it will come again", "error", err) })
		return http.StatusServiceUnavailable, "failed"
	}
	return http.StatusOK, noticed.String()
}

// noticeOf reads which payment an event is about; false means that it is none of
// ours: another kind of event, or of another system with the same account.
func noticeOf(e stripe.Event) (payment.Notice, bool) {
	var object struct {
		ID            string            `json:"id"`
		PaymentIntent string            `json:"payment_intent"`
		Metadata      map[string]string `json:"metadata"`
	}
	switch e.Type {
	case stripe.EventTypePaymentIntentSucceeded, stripe.EventTypePaymentIntentPaymentFailed,
		stripe.EventTypePaymentIntentCanceled, stripe.EventTypeChargeRefunded:
	default:
		return payment.Notice{}, false
	}
	if e.ID == "" || e.Data == nil || json.Unmarshal(e.Data.Raw, &object) != nil {
		return payment.Notice{}, false
	}
	order, err := ids.Parse(object.Metadata["order_id"])
	if err != nil {
		return payment.Notice{}, false
	}
	n := payment.Notice{ID: e.ID, Sent: time.Unix(e.Created, 0).UTC(), OrderID: order.String(), IntentID: object.ID}
	if e.Type == stripe.EventTypeChargeRefunded {
		n.IntentID = object.PaymentIntent
	}
	return n, true
}
