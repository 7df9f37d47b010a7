package config_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/ballast/pkg/config"
)

type Base struct {
	Level slog.Level `env:"LOG_LEVEL" envDefault:"info"`
}

type settings struct {
	Base

	DSN     config.Secret `env:"POSTGRES_URL,required,notEmpty"`
	After   time.Duration `env:"RESEND_AFTER" envDefault:"30s"`
	Parts   int           `env:"KAFKA_PARTITIONS" envDefault:"1"`
	Brokers []string      `env:"KAFKA_BROKERS"`
	KeyFile string        `env:"JWT_PUBLIC_KEY_FILE"`
	APIKey  string        `env:"PROVIDER_API_KEY"`
}

func (s settings) Validate() error {
	if s.Parts < 1 {
		return errors.New("KAFKA_PARTITIONS is below 1")
	}
	return nil
}

func TestParse(t *testing.T) {
	t.Parallel()
	got, err := config.Parse[settings](map[string]string{
		"POSTGRES_URL": "postgres://app:pw@db/orders", "LOG_LEVEL": "debug", "KAFKA_BROKERS": "a:1,b:2", "JWT_PUBLIC_KEY_FILE": "/keys/public.pem",
	})
	if err != nil {
		t.Fatal(err)
	}
	if got.Level != slog.LevelDebug || got.After != 30*time.Second || len(got.Brokers) != 2 ||
		got.KeyFile != "/keys/public.pem" || string(got.DSN) != "postgres://app:pw@db/orders" {
		t.Errorf("%#v", got)
	}
}

func TestEveryErrorNamesItsVariable(t *testing.T) {
	t.Parallel()
	_, err := config.Parse[settings](map[string]string{"RESEND_AFTER": "soon", "KAFKA_PARTITIONS": "many", "LOG_LEVEL": "loud"})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"POSTGRES_URL is not set: set it, or POSTGRES_URL_FILE", "RESEND_AFTER is not a valid time.Duration",
		"KAFKA_PARTITIONS is not a valid int", "LOG_LEVEL is not a valid slog.Level",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in:\n%v", want, err)
		}
	}
	_, err = config.Parse[settings](map[string]string{"POSTGRES_URL": "x", "KAFKA_PARTITIONS": "0"})
	if err == nil || !strings.Contains(err.Error(), "KAFKA_PARTITIONS is below 1") {
		t.Errorf("Validate was not asked: %v", err)
	}
}

func TestSecretsFromFiles(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "dsn")
	if err := os.WriteFile(path, []byte("postgres://db\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := config.Parse[settings](map[string]string{"POSTGRES_URL_FILE": path})
	if err != nil || string(got.DSN) != "postgres://db" {
		t.Errorf("%q, %v", string(got.DSN), err)
	}
	for name, tc := range map[string]struct {
		env  map[string]string
		want string
	}{
		"both":    {map[string]string{"POSTGRES_URL": "x", "POSTGRES_URL_FILE": path}, "both set"},
		"missing": {map[string]string{"POSTGRES_URL_FILE": path + "x"}, "POSTGRES_URL_FILE: "},
		"empty":   {map[string]string{"POSTGRES_URL_FILE": os.DevNull}, "POSTGRES_URL is empty"},
	} {
		_, err := config.Parse[settings](tc.env)
		if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: want one line with %q, have %v", name, tc.want, err)
		}
	}
}

func TestRedacted(t *testing.T) {
	t.Parallel()
	s := settings{
		DSN: "postgres://app:canary@db/orders?sslpassword=canary", After: time.Second, Parts: 2,
		Brokers: []string{"a:1"}, APIKey: "canary",
	}
	want := map[string]string{
		"LOG_LEVEL": "INFO", "POSTGRES_URL": "postgres://app:xxxxx@db/orders?sslpassword=xxxxx", "RESEND_AFTER": "1s",
		"KAFKA_PARTITIONS": "2", "KAFKA_BROKERS": "[a:1]", "JWT_PUBLIC_KEY_FILE": "", "PROVIDER_API_KEY": "[redacted]",
	}
	if diff := cmp.Diff(want, config.Redacted(s)); diff != "" {
		t.Error(diff)
	}
	for _, dsn := range []string{"host=db user=app password=canary", "host=db password='a canary b'", "canary", "postgres://app:canary@db:x"} {
		if got := config.Redacted(&settings{DSN: config.Secret(dsn)})["POSTGRES_URL"]; strings.Contains(got, "canary") {
			t.Errorf("%q printed as %q", dsn, got)
		}
	}
}

// However a settings struct is printed by mistake, its secrets don't show.
func TestSecretNeverPrints(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	s := settings{DSN: "canary"}
	encoded, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "s", s.DSN, "all", s)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "s", s.DSN, "all", s)
	for _, printed := range []string{fmt.Sprintf("%v %+v %#v %s %q", s, s, s, s.DSN, s.DSN), string(encoded), log.String()} {
		if strings.Contains(printed, "canary") {
			t.Errorf("printed: %s", printed)
		}
	}
}
