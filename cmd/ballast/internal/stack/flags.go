package stack

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"example.com/ballast/pkg/flags"
)

// FlagsFile is where all children of a stack read their feature flags.
func (h Home) FlagsFile() string {
	// Absolute: the children's working directory is their own affair.
	if path, err := filepath.Abs(h.Path("flags.json")); err == nil {
		return path
	}
	return h.Path("flags.json")
}

// makeFlags leaves the flags of an earlier run as they are.
func (h Home) makeFlags() error {
	if _, err := os.Stat(h.FlagsFile()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return writeFile(h.FlagsFile(), []byte("{}\n"), 0o644)
}

// Flags reads what is set.
func (h Home) Flags() (map[string]flags.Rule, error) {
	rules, err := flags.Read(h.FlagsFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w in %s: `ballast up --home %s` starts one", ErrNoStack, string(h), string(h))
	}
	return rules, err
}

// EditFlags changes the file in one step. Running services see it within two
// seconds. Of two that edit at once, the last one wins.
func (h Home) EditFlags(change func(map[string]flags.Rule)) error {
	rules, err := h.Flags()
	if err != nil {
		return err
	}
	change(rules)
	content, err := json.MarshalIndent(rules, "", "  ")
	if err != nil {
		return fmt.Errorf("encode flags: %w", err)
	}
	return writeFile(h.FlagsFile(), append(content, '\n'), 0o644)
}
