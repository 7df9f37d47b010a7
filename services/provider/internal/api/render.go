package api

import (
	"encoding/json"
	"fmt"
	"net/http"

	"example.com/ballast/services/provider/internal/bank"
)

// intentJSON is Stripe's payment_intent, as far as it is known here.
type intentJSON struct {
	ID                 string          `json:"id"`
	Object             string          `json:"object"`
	Amount             int64           `json:"amount"`
	AmountCapturable   int64           `json:"amount_capturable"`
	AmountReceived     int64           `json:"amount_received"`
	CaptureMethod      string          `json:"capture_method"`
	ClientSecret       string          `json:"client_secret"`
	ConfirmationMethod string          `json:"confirmation_method"`
	Created            int64           `json:"created"`
	Currency           string          `json:"currency"`
	LastPaymentError   *apiError       `json:"last_payment_error"`
	LatestCharge       *string         `json:"latest_charge"`
	Livemode           bool            `json:"livemode"`
	Metadata           json.RawMessage `json:"metadata"`
	PaymentMethod      *string         `json:"payment_method"`
	PaymentMethodTypes []string        `json:"payment_method_types"`
	Status             string          `json:"status"`
}

type refundJSON struct {
	ID            string          `json:"id"`
	Object        string          `json:"object"`
	Amount        int64           `json:"amount"`
	Charge        string          `json:"charge"`
	Created       int64           `json:"created"`
	Currency      string          `json:"currency"`
	Metadata      json.RawMessage `json:"metadata"`
	PaymentIntent string          `json:"payment_intent"`
	Reason        *string         `json:"reason"`
	Status        string          `json:"status"`
}

// apiError is Stripe's error object.
type apiError struct {
	status        int
	Code          string      `json:"code,omitempty"`
	DeclineCode   string      `json:"decline_code,omitempty"`
	Message       string      `json:"message"`
	Param         string      `json:"param,omitempty"`
	PaymentIntent *intentJSON `json:"payment_intent,omitempty"`
	Type          string      `json:"type"`
}

var onlyCards = []string{"card"}

func renderIntent(v bank.Intent) *intentJSON {
	j := &intentJSON{
		ID: v.ID, Object: "payment_intent", Amount: v.Amount, AmountReceived: v.Received,
		CaptureMethod: "automatic", ClientSecret: v.ID + "_secret", ConfirmationMethod: "automatic",
		Created: v.Created, Currency: v.Currency, LatestCharge: orNull(v.Charge), Metadata: metadata(v.Metadata),
		PaymentMethod: orNull(v.Method), PaymentMethodTypes: onlyCards, Status: v.Status,
	}
	if v.DeclineCode != "" {
		j.LastPaymentError = declineError(v.DeclineCode)
		// A declined method is taken off the intent: the next attempt needs one.
		j.PaymentMethod = nil
	}
	return j
}

func renderRefund(v bank.RefundView) *refundJSON {
	return &refundJSON{
		ID: v.ID, Object: "refund", Amount: v.Amount, Charge: v.Charge, Created: v.Created,
		Currency: v.Currency, Metadata: metadata(v.Metadata), PaymentIntent: v.Intent,
		Reason: orNull(v.Reason), Status: "succeeded",
	}
}

func metadata(object string) json.RawMessage {
	if object == "" {
		return json.RawMessage("{}")
	}
	return json.RawMessage(object)
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func invalid(status int, code, message, param string) *apiError {
	return &apiError{status: status, Type: "invalid_request_error", Code: code, Message: message, Param: param}
}

func unknownParameter(name string) *apiError {
	return invalid(http.StatusBadRequest, "parameter_unknown", "Received unknown parameter: "+name, name)
}

func noSuchIntent(id string) *apiError {
	return invalid(http.StatusNotFound, "resource_missing", fmt.Sprintf("No such payment_intent: %q", id), "intent")
}

func serverError(status int) *apiError {
	return &apiError{status: status, Type: "api_error", Message: "An unknown error occurred."}
}

func declineError(decline string) *apiError {
	return &apiError{
		status: http.StatusPaymentRequired, Type: "card_error", Code: bank.DeclineErrorCode(decline),
		DeclineCode: decline, Message: "Your card was declined.",
	}
}

func declined(a bank.Answer) *apiError {
	e := declineError(a.Code)
	e.PaymentIntent = renderIntent(*a.Intent)
	return e
}

// refused renders a stored client error.
func refused(a bank.Answer) *apiError {
	in := renderIntent(*a.Intent)
	switch a.Code {
	case bank.CodeAlreadyRefunded:
		return invalid(http.StatusBadRequest, a.Code, fmt.Sprintf("Charge %s has already been refunded.", a.Intent.Charge), "")
	case bank.CodeRefundTooLarge:
		return invalid(http.StatusBadRequest, "", "Refund amount is greater than unrefunded amount on charge.", "amount")
	default:
		e := invalid(http.StatusBadRequest, a.Code, fmt.Sprintf(
			"This PaymentIntent's status is %s: the request is not possible.", in.Status), "")
		e.PaymentIntent = in
		return e
	}
}
