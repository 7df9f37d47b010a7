package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"

	"github.com/stripe/stripe-go/v85"
)

// The classes of an unsuccessful call. Every error of this package is exactly
// one of them (errors.Is) and an *Error (errors.As).
var (
	// ErrDeclined is definite: the issuer said no, nothing was taken.
	ErrDeclined = errors.New("declined")
	// ErrRejected is definite: the request itself can't succeed and did
	// nothing; Error.Code says why.
	ErrRejected = errors.New("rejected by the provider")
	// ErrNotYet means that nothing is known to have failed: the same key is in
	// flight, or there are too many requests. Repeat the same call later.
	ErrNotYet = errors.New("not yet")
	// ErrUnauthorized means that the provider refused the account's key. It
	// did nothing and says nothing about the payment: an operator must act,
	// then the same call may be repeated.
	ErrUnauthorized = errors.New("the provider refused the api key: set PROVIDER_API_KEY")
	// ErrUnknown means that the call may or may not have been done: a
	// timeout, a lost connection, a 5xx. Resolve it: see Error.Replayed.
	ErrUnknown = errors.New("outcome unknown")
)

// Codes of ErrRejected that decide what comes next.
const (
	// CodeUnexpectedState: the intent's status (Error.Intent) forbids the call.
	CodeUnexpectedState = string(stripe.ErrorCodePaymentIntentUnexpectedState)
	// CodeAlreadyRefunded: everything captured was given back before.
	CodeAlreadyRefunded = string(stripe.ErrorCodeChargeAlreadyRefunded)
	// CodeMissing: the provider doesn't have that id.
	CodeMissing = string(stripe.ErrorCodeResourceMissing)
	// CodeAmountTooSmall: below the currency's minimum charge.
	CodeAmountTooSmall = string(stripe.ErrorCodeAmountTooSmall)
)

// Error is an unsuccessful call.
type Error struct {
	Op          string // "create", "confirm", ...
	Class       error  // one of the classes above
	Code        string // the provider's error code, "" without an answer
	DeclineCode string // the issuer's reason, of ErrDeclined
	HTTPStatus  int    // 0 without an answer
	RequestID   string // for the provider's support
	// Replayed says that this is the stored first answer of the key. A
	// replayed 5xx never changes: go on with the next numbered key (create),
	// or read by id (confirm, cancel, refund).
	Replayed bool
	// Intent is the intent as the error shows it, nil when it does not.
	Intent *Intent
	cause  error
}

// Error says what was tried, what came of it and how to find it, without the
// provider's own text: that is written for customers, and may quote their card.
func (e *Error) Error() string {
	if e.HTTPStatus == 0 {
		return fmt.Sprintf("provider: %s: %v: %v", e.Op, e.Class, e.cause)
	}
	return fmt.Sprintf("provider: %s: %v: status %d, code %q (request %s)",
		e.Op, e.Class, e.HTTPStatus, e.Code, e.RequestID)
}

// Unwrap gives the class and the cause, so that a caller's own cancellation
// stays visible as context.Canceled.
func (e *Error) Unwrap() []error { return []error{e.Class, e.cause} }

// classify turns an error of stripe-go into one of ours. What it can't read
// for sure is unknown: an HTML page of some proxy proves nothing.
func classify(op string, err error) error {
	if err == nil {
		return nil
	}
	var se *stripe.Error
	if !errors.As(err, &se) {
		return &Error{Op: op, Class: ErrUnknown, cause: err}
	}
	e := &Error{
		Op: op, Code: word(string(se.Code)), DeclineCode: word(string(se.DeclineCode)),
		HTTPStatus: se.HTTPStatusCode, RequestID: se.RequestID, cause: err,
	}
	if se.LastResponse != nil {
		e.Replayed = replayed(se.LastResponse)
	}
	if se.PaymentIntent != nil && se.PaymentIntent.ID != "" {
		in := intentOf(se.PaymentIntent)
		e.Intent = &in
	}
	switch s := se.HTTPStatusCode; {
	case s == http.StatusUnauthorized || s == http.StatusForbidden:
		e.Class = ErrUnauthorized
	case s == http.StatusConflict || s == http.StatusTooManyRequests:
		e.Class = ErrNotYet
	case s == http.StatusPaymentRequired || se.Type == stripe.ErrorTypeCard:
		e.Class = ErrDeclined
	case s >= 400 && s < 500 && s != http.StatusRequestTimeout:
		e.Class = ErrRejected
	default:
		e.Class = ErrUnknown
	}
	return e
}

// aWord is the form of the provider's codes.
var aWord = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

// word lets codes pass and nothing else: they go into messages and histories.
func word(code string) string {
	if code == "" || aWord.MatchString(code) {
		return code
	}
	return "unreadable_code"
}

func replayed(r *stripe.APIResponse) bool {
	return r != nil && r.Header.Get("Idempotent-Replayed") == "true"
}
