package flags

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"slices"
)

// Rule is what the file says of one flag.
type Rule struct {
	// Value is a bool, a float64 or a string.
	Value any `json:"value"`
	// Percent of the subjects get Value, from 0 to 100; nil means all calls.
	Percent *float64 `json:"percent,omitempty"`
}

// Read reads and checks a file. The error joins all that is wrong in it.
func Read(path string) (map[string]Rule, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("flags: %w", err)
	}
	rules := map[string]Rule{}
	dec := json.NewDecoder(bytes.NewReader(content))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&rules); err != nil {
		return nil, fmt.Errorf("flags: %s: %w", path, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("flags: %s: something follows the object", path)
	}
	var errs []error
	for name, rule := range rules {
		flag, known := Find(name)
		if !known {
			// A newer version of the platform may know it.
			flag = Flag{Name: name, Kind: kindOf(rule.Value), Subject: "unknown"}
		}
		if err := flag.Check(rule); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("flags: %s: %w", path, errors.Join(errs...))
	}
	return rules, nil
}

// Check tells what is wrong with a rule for this flag.
func (f Flag) Check(r Rule) error {
	if kind := kindOf(r.Value); kind != f.Kind || kind == "" {
		return fmt.Errorf("%s: %v is no %s", f.Name, r.Value, f.Kind)
	}
	if n, ok := r.Value.(float64); ok && (n < f.Min || f.Max != 0 && n > f.Max) {
		return fmt.Errorf("%s: %v is out of range: want %v to %v", f.Name, n, f.Min, f.Max)
	}
	if text, ok := r.Value.(string); ok && len(f.OneOf) > 0 && !slices.Contains(f.OneOf, text) {
		return fmt.Errorf("%s: %q: want one of %q", f.Name, text, f.OneOf)
	}
	if r.Percent == nil {
		return nil
	}
	if *r.Percent < 0 || *r.Percent > 100 {
		return fmt.Errorf("%s: percent %v: want 0 to 100", f.Name, *r.Percent)
	}
	if f.Subject == "" {
		return fmt.Errorf("%s: it holds for all calls alike, so it can't be for some percent of them", f.Name)
	}
	return nil
}

func kindOf(v any) Kind {
	switch v.(type) {
	case bool:
		return Bool
	case float64:
		return Number
	case string:
		return String
	default:
		return ""
	}
}

// holds tells whether a subject gets the rule's value. Without a subject there is
// no stable choice, so a part of the way is no way.
func (r Rule) holds(flag, subject string) bool {
	if r.Percent == nil || *r.Percent >= 100 {
		return true
	}
	return subject != "" && share(flag, subject) < *r.Percent/100
}

// share is a number in [0, 1) that a flag and a subject always have. The flag's
// name is part of it: else the same customers would be first every time.
func share(flag, subject string) float64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, flag+"/"+subject)
	// FNV leaves the high bits of similar inputs alike: mix them (splitmix64).
	x := h.Sum64()
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return float64((x^x>>31)>>11) / (1 << 53)
}
