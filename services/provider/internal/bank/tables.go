package bank

// Stripe's minimum charges per currency in minor units, and the largest
// amount (eight digits). Source: docs.stripe.com/currencies, section "Minimum
// and maximum charge amounts". Currencies outside this table are refused.
var currencies = []struct {
	code    string
	minimum int64
}{
	{"aed", 200}, {"aud", 50}, {"bgn", 100}, {"brl", 50}, {"cad", 50}, {"chf", 50},
	{"czk", 1500}, {"dkk", 250}, {"eur", 50}, {"gbp", 30}, {"hkd", 400}, {"huf", 17500},
	{"inr", 50}, {"jpy", 50}, {"mxn", 1000}, {"myr", 200}, {"nok", 300}, {"nzd", 50},
	{"pln", 200}, {"ron", 200}, {"sek", 300}, {"sgd", 50}, {"thb", 1000}, {"usd", 50},
}

// MaxAmount is the largest charge in minor units.
const MaxAmount = 99_999_999

// Stripe's test payment methods that matter here; decline is empty for those
// that succeed. Index 0 is "none". Source: docs.stripe.com/testing.
var methods = []struct{ id, code, decline string }{
	{},
	{id: "pm_card_visa"},
	{id: "pm_card_mastercard"},
	{id: "pm_card_amex"},
	{"pm_card_visa_chargeDeclined", "card_declined", "generic_decline"},
	{"pm_card_visa_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"},
	{"pm_card_visa_chargeDeclinedLostCard", "card_declined", "lost_card"},
	{"pm_card_visa_chargeDeclinedStolenCard", "card_declined", "stolen_card"},
	{"pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"},
	{"pm_card_chargeDeclinedProcessingError", "processing_error", "processing_error"},
}

// Codes of stored errors; an index into this table is what memory keeps.
const (
	CodeUnexpectedState = "payment_intent_unexpected_state"
	CodeAlreadyRefunded = "charge_already_refunded"
	CodeRefundTooLarge  = "refund_too_large" // Stripe gives this one no code
	genericDecline      = "generic_decline"
)

var codes = func() []string {
	list := []string{"", CodeUnexpectedState, CodeAlreadyRefunded, CodeRefundTooLarge}
	for _, m := range methods {
		list = append(list, m.decline)
	}
	return list
}()

func codeIndex(code string) (uint8, bool) {
	for i, c := range codes {
		if c == code {
			return uint8(i), true
		}
	}
	return 0, false
}

func methodIndex(id string) (uint8, bool) {
	for i, m := range methods {
		if m.id == id {
			return uint8(i), true
		}
	}
	return 0, false
}

func currencyIndex(code string) (uint8, bool) {
	for i, c := range currencies {
		if c.code == code {
			return uint8(i), true
		}
	}
	return 0, false
}

// Minimum is the smallest charge in a currency's minor unit; false means that
// the currency is not supported.
func Minimum(currency string) (int64, bool) {
	i, ok := currencyIndex(currency)
	return currencies[i].minimum, ok
}

// KnownMethod says whether a payment method id exists.
func KnownMethod(id string) bool {
	_, ok := methodIndex(id)
	return ok && id != ""
}

// DeclineErrorCode is the error code that belongs to a decline code.
func DeclineErrorCode(decline string) string {
	for _, m := range methods {
		if m.decline == decline && decline != "" {
			return m.code
		}
	}
	return "card_declined"
}
