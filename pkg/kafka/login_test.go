package kafka_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/ballast/pkg/config"
	"example.com/ballast/pkg/kafka"
)

// TestLogin: who has the right name and password gets in, by both mechanisms. What
// a real broker says to the others is tested on one.
func TestLogin(t *testing.T) {
	t.Parallel()
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.EnableSASL(), kfake.Superuser(kafka.ScramSHA512, "orders", "canary"),
		kfake.Superuser(kafka.Plain, "admin", "first"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	for name, tc := range map[string]struct {
		login kafka.Login
		want  bool
	}{
		"scram by default": {kafka.Login{User: "orders", Password: "canary"}, true},
		"plain":            {kafka.Login{User: "admin", Password: "first", Mechanism: kafka.Plain}, true},
		"wrong password":   {kafka.Login{User: "orders", Password: "wrong"}, false},
		"no login":         {kafka.Login{}, false},
	} {
		settings := kafka.Settings{Brokers: broker.ListenAddrs(), Login: tc.login}
		c, err := kgo.NewClient(append(settings.Options("test"), kgo.RequestRetries(0))...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		if err := c.Ping(t.Context()); (err == nil) != tc.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTLS: the broker's certificate must be signed by the authority of the settings.
func TestTLS(t *testing.T) {
	t.Parallel()
	certificate, authority := selfSigned(t)
	_, stranger := selfSigned(t)
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.TLS(&tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	ping := func(caFile string) error {
		s := kafka.Settings{Brokers: broker.ListenAddrs(), Login: kafka.Login{CAFile: caFile}}
		c, err := kgo.NewClient(append(s.Options("test"), kgo.RequestRetries(0))...)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.Ping(t.Context())
	}
	if err := ping(authority); err != nil {
		t.Errorf("with the right authority: %v", err)
	}
	var unknown x509.UnknownAuthorityError
	if err := ping(stranger); !errors.As(err, &unknown) {
		t.Errorf("with another authority: %v", err)
	}
}

// TestLoginSettings: what can't work is known before anything is connected, by its name.
func TestLoginSettings(t *testing.T) {
	t.Parallel()
	_, authority := selfSigned(t)
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		env  map[string]string
		want string
	}{
		"none":              {map[string]string{}, ""},
		"all":               {map[string]string{"KAFKA_SASL_USER": "u", "KAFKA_SASL_PASSWORD": "p", "KAFKA_SASL_MECHANISM": "PLAIN", "KAFKA_TLS_CA_FILE": authority}, ""},
		"no user":           {map[string]string{"KAFKA_SASL_PASSWORD": "p"}, "KAFKA_SASL_USER is not"},
		"no password":       {map[string]string{"KAFKA_SASL_USER": "u"}, "KAFKA_SASL_PASSWORD is not"},
		"another mechanism": {map[string]string{"KAFKA_SASL_MECHANISM": "SCRAM"}, "KAFKA_SASL_MECHANISM=SCRAM: want SCRAM-SHA-512 or PLAIN"},
		"no such authority": {map[string]string{"KAFKA_TLS_CA_FILE": authority + "x"}, "KAFKA_TLS_CA_FILE"},
		"no certificate":    {map[string]string{"KAFKA_TLS_CA_FILE": empty}, "KAFKA_TLS_CA_FILE"},
	} {
		_, err := config.Parse[kafka.Login](tc.env)
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want %q", name, err, tc.want)
		}
	}
	got, err := config.Parse[kafka.Settings](map[string]string{"KAFKA_BROKERS": "a:1", "KAFKA_SASL_USER": "u", "KAFKA_SASL_PASSWORD": "canary"})
	if err != nil {
		t.Fatal(err)
	}
	printed := config.Redacted(got)
	if d := cmp.Diff([]string{"u", "[redacted]", "SCRAM-SHA-512"},
		[]string{printed["KAFKA_SASL_USER"], printed["KAFKA_SASL_PASSWORD"], printed["KAFKA_SASL_MECHANISM"]}); d != "" {
		t.Error(d)
	}
}

// selfSigned returns a certificate for 127.0.0.1 and a file that vouches for it.
func selfSigned(t *testing.T) (certificate tls.Certificate, caFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, caFile
}
