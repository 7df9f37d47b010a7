package config

import (
	"encoding"
	"fmt"
	"net/url"
	"reflect"
	"regexp"
	"strings"
)

const hidden = "[redacted]"

// Secret is a string that does not print: not with fmt, not in JSON, not in a
// log. Convert it with string(s) where it is used.
type Secret string

// String returns a fixed text; it hides the value from fmt and from slog.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// GoString hides the value from %#v.
func (s Secret) GoString() string { return s.String() }

// MarshalText hides the value from JSON and other encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText takes the value as it is; it undoes nothing of MarshalText.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = Secret(text)
	return nil
}

// keywordPassword finds the password in a Postgres connection string of the
// form "host=... password=...".
var keywordPassword = regexp.MustCompile(`(?i)(password\s*=\s*)('(?:[^'\\]|\\.)*'|\S+)`)

// Redacted returns a settings struct by variable name for the log at start and
// for the admin listener. Hidden are Secrets, passwords in URLs and connection
// strings, and, as a net below those, every variable whose name says that it is
// a secret.
func Redacted(v any) map[string]string {
	value := reflect.Indirect(reflect.ValueOf(v))
	if value.Kind() != reflect.Struct {
		return nil
	}
	fields := settings(value, "")
	out := make(map[string]string, len(fields))
	for _, s := range fields {
		out[s.variable] = redact(s)
	}
	return out
}

func redact(s setting) string {
	var text string
	if secret, ok := s.value.Interface().(Secret); ok {
		text = string(secret)
	} else if m, ok := s.value.Interface().(encoding.TextMarshaler); ok {
		if b, err := m.MarshalText(); err == nil {
			text = string(b)
		}
	} else {
		text = fmt.Sprint(s.value.Interface())
	}
	if text == "" {
		return ""
	}
	// A connection URL says where to, which is what a reader of the log wants to
	// know; only its password is secret.
	if u, err := url.Parse(text); err == nil && u.Scheme != "" && u.Host != "" {
		return redactURL(u)
	}
	if keywordPassword.MatchString(text) {
		return keywordPassword.ReplaceAllString(text, "${1}"+hidden)
	}
	if _, secret := s.value.Interface().(Secret); secret || soundsSecret(s.variable) {
		return hidden
	}
	return text
}

func redactURL(u *url.URL) string {
	q := u.Query()
	for k := range q {
		if soundsSecret(strings.ToUpper(k)) {
			q.Set(k, "xxxxx")
		}
	}
	c := *u
	c.RawQuery = q.Encode()
	return c.Redacted()
}

func soundsSecret(variable string) bool {
	for _, end := range []string{"PASSWORD", "SECRET", "TOKEN", "PRIVATE_KEY", "API_KEY"} {
		if strings.HasSuffix(variable, end) {
			return true
		}
	}
	return false
}
