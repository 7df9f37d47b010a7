package retail

// countries maps the names that the data set uses to ISO 3166-1 alpha-2 codes.
// "Unspecified", "European Community" and "West Indies" are no countries and
// stay out: their lines are refused by that reason.
var countries = map[string]string{
	"Australia":            "AU",
	"Austria":              "AT",
	"Bahrain":              "BH",
	"Belgium":              "BE",
	"Bermuda":              "BM",
	"Brazil":               "BR",
	"Canada":               "CA",
	"Channel Islands":      "JE",
	"Cyprus":               "CY",
	"Czech Republic":       "CZ",
	"Denmark":              "DK",
	"EIRE":                 "IE",
	"Finland":              "FI",
	"France":               "FR",
	"Germany":              "DE",
	"Greece":               "GR",
	"Hong Kong":            "HK",
	"Iceland":              "IS",
	"Israel":               "IL",
	"Italy":                "IT",
	"Japan":                "JP",
	"Korea":                "KR",
	"Lebanon":              "LB",
	"Lithuania":            "LT",
	"Malta":                "MT",
	"Netherlands":          "NL",
	"Nigeria":              "NG",
	"Norway":               "NO",
	"Poland":               "PL",
	"Portugal":             "PT",
	"RSA":                  "ZA",
	"Saudi Arabia":         "SA",
	"Singapore":            "SG",
	"Spain":                "ES",
	"Sweden":               "SE",
	"Switzerland":          "CH",
	"Thailand":             "TH",
	"USA":                  "US",
	"United Arab Emirates": "AE",
	"United Kingdom":       "GB",
}

// countryCode finds the code of a country's name; a two-letter code stands for itself.
func countryCode(name string) (string, bool) {
	if code, ok := countries[name]; ok {
		return code, true
	}
	isCode := len(name) == 2 && isUpper(name[0]) && isUpper(name[1])
	return name, isCode
}

func isUpper(c byte) bool { return c >= 'A' && c <= 'Z' }
