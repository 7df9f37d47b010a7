package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"example.com/ballast/pkg/config"
)

// The mechanisms by which a client proves who it is. Of the two only SCRAM keeps the
// password to itself; PLAIN is for an administrator who is there before any SCRAM
// user can be made.
const (
	ScramSHA512 = "SCRAM-SHA-512"
	Plain       = "PLAIN"
)

// dialTimeout bounds the opening of a connection, with its TLS.
const dialTimeout = 5 * time.Second

// Login says who a client is, and how it knows that the broker is the right one.
// Empty, it talks to brokers that ask nobody.
type Login struct {
	// User and Password are the client's. Without a user there is no login.
	User     string        `env:"KAFKA_SASL_USER"`
	Password config.Secret `env:"KAFKA_SASL_PASSWORD"`
	// Mechanism is SCRAM-SHA-512 or PLAIN.
	Mechanism string `env:"KAFKA_SASL_MECHANISM" envDefault:"SCRAM-SHA-512"`
	// CAFile has the certificates, in PEM, by one of which the brokers' must be
	// signed. It turns TLS on. A renewed file is read at the next connection.
	CAFile string `env:"KAFKA_TLS_CA_FILE"`
}

// Options are those of a client that logs in so; more than none only where it does.
func (l Login) Options() []kgo.Opt {
	var opts []kgo.Opt
	switch {
	case l.User == "":
	case l.Mechanism == Plain:
		opts = append(opts, kgo.SASL(plain.Auth{User: l.User, Pass: string(l.Password)}.AsMechanism()))
	default:
		opts = append(opts, kgo.SASL(scram.Auth{User: l.User, Pass: string(l.Password)}.AsSha512Mechanism()))
	}
	if l.CAFile != "" {
		opts = append(opts, kgo.Dialer(l.dial))
	}
	return opts
}

// Validate joins everything that is wrong, by the name of the variable.
func (l Login) Validate() error {
	var errs []error
	if l.User == "" && l.Password != "" {
		errs = append(errs, errors.New("KAFKA_SASL_PASSWORD is set and KAFKA_SASL_USER is not: set both, or neither"))
	}
	if l.User != "" && l.Password == "" {
		errs = append(errs, errors.New("KAFKA_SASL_USER is set and KAFKA_SASL_PASSWORD is not: set it, or KAFKA_SASL_PASSWORD_FILE to a file that holds it"))
	}
	switch l.Mechanism {
	case "", ScramSHA512, Plain:
	default:
		errs = append(errs, fmt.Errorf("KAFKA_SASL_MECHANISM=%s: want %s or %s", l.Mechanism, ScramSHA512, Plain))
	}
	if l.CAFile != "" {
		if _, err := l.roots(); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (l Login) roots() (*x509.CertPool, error) {
	pem, err := os.ReadFile(l.CAFile)
	if err != nil {
		return nil, fmt.Errorf("KAFKA_TLS_CA_FILE: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("KAFKA_TLS_CA_FILE=%s: no certificate in it: want PEM", l.CAFile)
	}
	return roots, nil
}

// dial opens an encrypted connection to a broker whose certificate is for its host.
func (l Login) dial(ctx context.Context, network, address string) (net.Conn, error) {
	roots, err := l.roots()
	if err != nil {
		return nil, err
	}
	dialer := tls.Dialer{
		NetDialer: &net.Dialer{Timeout: dialTimeout},
		Config:    &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	return dialer.DialContext(ctx, network, address)
}
