package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"example.com/ballast/services/provider/internal/faults"
)

// config has one flag and one environment variable per setting; the flag wins.
type config struct {
	Listen     string
	Admin      string
	BookFile   string
	BookFsync  bool
	APIKey     string
	KeyTTL     time.Duration
	MaxIntents int
	Seed       uint64
	Faults     faults.Settings
	FlagsFile  string
	// WebhookURL is where events go; empty means that none are sent.
	WebhookURL    string
	WebhookSecret string
}

// settings are name, default and help; the flag of LISTEN_ADDR is
// -listen-addr. Defaults are here and nowhere else.
var settings = [...][3]string{
	{"LISTEN_ADDR", "127.0.0.1:8090", "address of the API and of /book"},
	{"ADMIN_ADDR", "127.0.0.1:8110", "address of /faults, probes and profiles; never public"},
	{"BOOK_FILE", "provider-book.jsonl", "the append-only book; the whole state is rebuilt from it"},
	{"BOOK_FSYNC", "true", "fsync before an answer: without it answers survive kill -9 but not a machine crash"},
	{"PROVIDER_API_KEY", "", "the only accepted bearer key; empty accepts any"},
	{"KEY_TTL", "24h", "how long answers are stored under their idempotency key"},
	{"MAX_INTENTS", "4000000", "creates are refused beyond it (about 170 bytes of memory each with their keys)"},
	{"WEBHOOK_URL", "", "where events are POSTed; empty sends none"},
	{"WEBHOOK_SECRET", "", "what events are signed with; required with WEBHOOK_URL"},
	{"SEED", "", "seed of the faults; empty draws one and prints it"},
	{"FLAGS_FILE", "", "feature flags as JSON; those named provider.* are laid over the faults, and followed"},
	{"FAULTS", "{}", `faults at start as JSON, for example {"decline_rate":0.05}`},
}

// variable is a setting's value in the environment: of X itself, or of the file
// that X_FILE names, which is how orchestrators hand over secrets.
func variable(getenv func(string) string, name string) (string, error) {
	file := getenv(name + "_FILE")
	if file == "" {
		return getenv(name), nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("%s_FILE: %w", name, err)
	}
	return strings.TrimRight(string(content), "\r\n"), nil
}

// loadConfig reads flags and environment; its error names every wrong setting.
func loadConfig(args []string, getenv func(string) string, randomSeed uint64, out io.Writer) (config, error) {
	fs := flag.NewFlagSet("provider", flag.ContinueOnError)
	fs.SetOutput(out)
	values := map[string]*string{}
	var errs []error
	for _, s := range settings {
		value := s[1]
		if v, err := variable(getenv, s[0]); err != nil {
			errs = append(errs, err)
		} else if v != "" {
			value = v
		}
		name := strings.ToLower(strings.ReplaceAll(s[0], "_", "-"))
		values[s[0]] = fs.String(name, value, s[2]+" ("+s[0]+")")
	}
	if err := fs.Parse(args); err != nil {
		return config{}, err
	}
	c := config{
		Listen: *values["LISTEN_ADDR"], Admin: *values["ADMIN_ADDR"], BookFile: *values["BOOK_FILE"],
		APIKey: *values["PROVIDER_API_KEY"], Seed: randomSeed, FlagsFile: *values["FLAGS_FILE"],
		WebhookURL: *values["WEBHOOK_URL"], WebhookSecret: *values["WEBHOOK_SECRET"],
	}
	set := func(name, want string, parse func(string) error) {
		if err := parse(*values[name]); err != nil {
			errs = append(errs, fmt.Errorf("%s is %q: use %s", name, *values[name], want))
		}
	}
	set("BOOK_FSYNC", "true or false", func(v string) (err error) {
		c.BookFsync, err = strconv.ParseBool(v)
		return err
	})
	set("KEY_TTL", "a duration of at least 1s, such as 24h", func(v string) (err error) {
		if c.KeyTTL, err = time.ParseDuration(v); err == nil && c.KeyTTL < time.Second {
			err = strconv.ErrRange
		}
		return err
	})
	set("MAX_INTENTS", "1 to 4000000000", func(v string) error {
		n, err := strconv.ParseUint(v, 10, 32)
		if c.MaxIntents = int(n); err == nil && (n < 1 || n > 4_000_000_000) {
			err = strconv.ErrRange
		}
		return err
	})
	if u, err := url.Parse(c.WebhookURL); c.WebhookURL != "" && (err != nil || u.Host == "") {
		errs = append(errs, fmt.Errorf("WEBHOOK_URL is %q: use a URL such as http://127.0.0.1:8082/webhooks/provider", c.WebhookURL))
	}
	if c.WebhookURL != "" && c.WebhookSecret == "" {
		errs = append(errs, errors.New("WEBHOOK_SECRET is empty: events must be signed, use what payments has"))
	}
	if *values["SEED"] != "" {
		set("SEED", "a whole number", func(v string) (err error) {
			c.Seed, err = strconv.ParseUint(v, 10, 64)
			return err
		})
	}
	var err error
	if c.Faults, err = faults.Parse(strings.NewReader(*values["FAULTS"])); err != nil {
		errs = append(errs, fmt.Errorf("FAULTS: %w", err))
	}
	return c, errors.Join(errs...)
}
