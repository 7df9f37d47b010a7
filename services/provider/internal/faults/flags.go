package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"
)

// prefix of the platform's feature flags that are the provider's own.
const prefix = "provider."

// Follow lays the flags of a file over the settings, and looks for changes every
// second until ctx ends: provider.decline-rate sets decline_rate, and so on. What
// the file does not name is as it was set before. A file that can't be read, or
// holds a wrong value, changes nothing. The format is that of the platform's
// pkg/flags, read anew here: the provider shares no code with it.
func (f *Faults) Follow(ctx context.Context, path string, logger *slog.Logger) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	seen := "{}"
	for path != "" {
		if content := read(path); content != seen {
			seen = content
			if err := f.overlay([]byte(content)); err != nil {
				logger.ErrorContext(ctx, "the flags' file is refused: the faults stay", "file", path, "error", err)
			} else {
				logger.InfoContext(ctx, "flags read", "faults", f.Settings())
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// read returns what is in the file: nothing set when it is not there, and what
// went wrong, which is no JSON either, when it can't be read.
func read(path string) string {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "{}"
	}
	if err != nil {
		return err.Error()
	}
	return string(content)
}

// overlay lays the flags of a file's content over what was set.
func (f *Faults) overlay(content []byte) error {
	var rules map[string]struct {
		Value json.RawMessage `json:"value"`
	}
	if err := json.Unmarshal(content, &rules); err != nil {
		return fmt.Errorf("flags: %w", err)
	}
	over := map[string]json.RawMessage{}
	for name, rule := range rules {
		if own, ok := strings.CutPrefix(name, prefix); ok {
			over[strings.ReplaceAll(own, "-", "_")] = rule.Value
		}
	}
	flags, err := json.Marshal(over)
	if err != nil {
		return fmt.Errorf("flags: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.apply(f.base, flags)
}
