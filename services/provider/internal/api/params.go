package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"example.com/ballast/services/provider/internal/bank"
)

// Stripe's limits of metadata.
const (
	maxMetadataPairs = 50
	maxMetadataName  = 40
	maxMetadataValue = 500
)

var refundReasons = []string{"duplicate", "fraudulent", "requested_by_customer"}

// checkNames refuses what this subset does not know: a parameter that is
// silently ignored would be a lie. A name that ends in "[" is a prefix.
func checkNames(form url.Values, known ...string) *apiError {
	for name := range form {
		ok := slices.ContainsFunc(known, func(k string) bool {
			return name == k || strings.HasSuffix(k, "[") && strings.HasPrefix(name, k)
		})
		if !ok {
			return unknownParameter(name)
		}
	}
	return nil
}

func parseCreate(_ string, form url.Values) (bank.Call, *apiError) {
	c := bank.Call{Currency: strings.ToLower(form.Get("currency")), Method: form.Get("payment_method")}
	if bad := checkNames(form, "amount", "currency", "payment_method", "metadata[", "confirm",
		"automatic_payment_methods[", "payment_method_types["); bad != nil {
		return c, bad
	}
	if v := form.Get("confirm"); v != "" && v != "false" {
		return c, invalid(http.StatusBadRequest, "", "This simulator creates unconfirmed intents: confirm by id.", "confirm")
	}
	for name := range form {
		if strings.HasPrefix(name, "payment_method_types[") && form.Get(name) != "card" {
			return c, invalid(http.StatusBadRequest, "", "This simulator knows cards only.", "payment_method_types")
		}
	}
	minimum, ok := bank.Minimum(c.Currency)
	if !ok {
		return c, invalid(http.StatusBadRequest, "", fmt.Sprintf("Invalid currency: %q.", c.Currency), "currency")
	}
	var bad *apiError
	if c.Amount, bad = parseAmount(form); bad != nil {
		return c, bad
	}
	switch {
	case !form.Has("amount"):
		return c, invalid(http.StatusBadRequest, "parameter_missing", "Missing required param: amount.", "amount")
	case c.Amount < minimum:
		return c, invalid(http.StatusBadRequest, "amount_too_small",
			fmt.Sprintf("Amount must be at least %d in the smallest unit of %s.", minimum, c.Currency), "amount")
	case c.Amount > bank.MaxAmount:
		return c, invalid(http.StatusBadRequest, "amount_too_large",
			fmt.Sprintf("Amount must be no more than %d.", bank.MaxAmount), "amount")
	}
	if bad := checkMethod(c.Method); bad != nil {
		return c, bad
	}
	c.Metadata, bad = parseMetadata(form)
	return c, bad
}

func parseConfirm(id string, form url.Values) (bank.Call, *apiError) {
	c := bank.Call{Intent: id, Method: form.Get("payment_method")}
	if bad := checkNames(form, "payment_method", "off_session", "return_url"); bad != nil {
		return c, bad
	}
	return c, checkMethod(c.Method)
}

func parseCancel(id string, form url.Values) (bank.Call, *apiError) {
	return bank.Call{Intent: id}, checkNames(form)
}

func parseRefund(_ string, form url.Values) (bank.Call, *apiError) {
	c := bank.Call{Intent: form.Get("payment_intent"), Reason: form.Get("reason")}
	if bad := checkNames(form, "payment_intent", "amount", "reason", "metadata["); bad != nil {
		return c, bad
	}
	if c.Intent == "" {
		return c, invalid(http.StatusBadRequest, "parameter_missing", "Missing required param: payment_intent.", "payment_intent")
	}
	if c.Reason != "" && !slices.Contains(refundReasons, c.Reason) {
		return c, invalid(http.StatusBadRequest, "", "Invalid reason: use "+strings.Join(refundReasons, ", ")+".", "reason")
	}
	var bad *apiError
	if c.Amount, bad = parseAmount(form); bad != nil {
		return c, bad
	}
	if form.Has("amount") && c.Amount == 0 {
		return c, invalid(http.StatusBadRequest, "parameter_invalid_integer", "Invalid positive integer.", "amount")
	}
	c.Metadata, bad = parseMetadata(form)
	return c, bad
}

// parseAmount returns 0 when there is none.
func parseAmount(form url.Values) (int64, *apiError) {
	if !form.Has("amount") {
		return 0, nil
	}
	v := form.Get("amount")
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 0 {
		return 0, invalid(http.StatusBadRequest, "parameter_invalid_integer", fmt.Sprintf("Invalid integer: %q.", v), "amount")
	}
	return n, nil
}

func checkMethod(id string) *apiError {
	if id == "" || bank.KnownMethod(id) {
		return nil
	}
	return invalid(http.StatusBadRequest, "resource_missing", fmt.Sprintf("No such PaymentMethod: %q.", id), "payment_method")
}

// parseMetadata returns a JSON object with its names sorted, or "".
func parseMetadata(form url.Values) (string, *apiError) {
	pairs := map[string]string{}
	for param := range form {
		name, ok := strings.CutPrefix(param, "metadata[")
		name, closed := strings.CutSuffix(name, "]")
		value := form.Get(param)
		if !ok || value == "" {
			continue
		}
		if !closed || name == "" || len(name) > maxMetadataName || len(value) > maxMetadataValue {
			return "", invalid(http.StatusBadRequest, "", "Metadata names have 1 to 40 characters, values up to 500.", param)
		}
		pairs[name] = value
	}
	if len(pairs) > maxMetadataPairs {
		return "", invalid(http.StatusBadRequest, "", "Metadata has at most 50 names.", "metadata")
	}
	if len(pairs) == 0 {
		return "", nil
	}
	body, err := json.Marshal(pairs)
	if err != nil {
		return "", invalid(http.StatusBadRequest, "", "Metadata can't be stored: "+err.Error(), "metadata")
	}
	return string(body), nil
}
