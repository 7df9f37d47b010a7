package main

import (
	"strings"
	"testing"

	"example.com/ballast/pkg/config"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	valid := map[string]string{
		"POSTGRES_URL": "postgres://payments_app@db/payments", "KAFKA_BROKERS": "kafka:9092", "JWT_PUBLIC_KEY_FILE": "key.pem",
		"PROVIDER_URL": "http://provider:8090", "PROVIDER_API_KEY": "sk_test_1",
	}
	cfg, err := config.Parse[Config](valid)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.ProviderConcurrency != 64 || cfg.Lease <= cfg.callTimeout() {
		t.Errorf("defaults are %+v", cfg)
	}
	for variable, value := range map[string]string{
		"POSTGRES_URL": "", "PROVIDER_CONCURRENCY": "0", "LEASE": "1s", "RECONCILE_EVERY": "-1s", "MAX_OPEN": "many",
	} {
		changed := map[string]string{}
		for k, v := range valid {
			changed[k] = v
		}
		changed[variable] = value
		if value == "" {
			delete(changed, variable)
		}
		if _, err := config.Parse[Config](changed); err == nil || !strings.Contains(err.Error(), variable) {
			t.Errorf("%s=%q: error is %v", variable, value, err)
		}
	}
}
