package telemetry

import "regexp"

// The net below the list of keys: card numbers and e-mail addresses, in texts
// that may hold anything. A card number stands in one run or in groups of four;
// an id of ours is neither, whatever its digits are.
var (
	cardNumber = regexp.MustCompile(`\b(?:\d{13,19}|\d{4}[ -]\d{4}[ -]\d{4}[ -]\d{1,7})\b`)
	eMail      = regexp.MustCompile(`[A-Za-z0-9._%+\-]+@[A-Za-z0-9\-]+(?:\.[A-Za-z0-9\-]+)+`)
)

// scrub replaces what looks like a card number, its check digit included, or an
// e-mail address.
func scrub(text string) string {
	at, digits := suspicious(text)
	if digits {
		text = cardNumber.ReplaceAllStringFunc(text, func(found string) string {
			if luhn(found) {
				return "[redacted: card number]"
			}
			return found
		})
	}
	if at {
		text = eMail.ReplaceAllString(text, "[redacted: e-mail]")
	}
	return text
}

// suspicious tells whether the patterns are worth a try: hardly ever.
func suspicious(text string) (at, digits bool) {
	count := 0
	for i := range len(text) {
		switch c := text[i]; {
		case c >= '0' && c <= '9':
			count++
		case c == '@':
			at = true
		}
	}
	return at, count >= 13
}

// luhn checks the digit that card numbers end in.
func luhn(number string) bool {
	sum, double := 0, false
	for i := len(number) - 1; i >= 0; i-- {
		c := number[i]
		if c < '0' || c > '9' {
			continue
		}
		d := int(c - '0')
		if double {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum, double = sum+d, !double
	}
	return sum%10 == 0
}
