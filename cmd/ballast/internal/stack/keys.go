package stack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"example.com/ballast/pkg/edge"
)

// tokenLife is how long a development token is good for: a day of work.
const tokenLife = 24 * time.Hour

// PublicKeyFile is what services verify tokens with.
func (h Home) PublicKeyFile() string { return h.Path("keys", "jwt.pub.pem") }

func (h Home) privateKeyFile() string { return h.Path("keys", "jwt.pem") }

// makeKeys makes the key pair that development tokens are signed with, once.
func (h Home) makeKeys() error {
	if _, err := os.Stat(h.PublicKeyFile()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	pair, err := edge.NewKeyPair()
	if err != nil {
		return err
	}
	private, public, err := pair.PEM()
	if err != nil {
		return err
	}
	if err := writeFile(h.privateKeyFile(), private, 0o600); err != nil {
		return err
	}
	// The public key is written last: where it is, the pair is whole.
	return writeFile(h.PublicKeyFile(), public, 0o644)
}

// Signer signs development tokens of the stack in this directory.
func (h Home) Signer() (Signer, error) {
	pair, err := edge.ReadKeyPair(h.privateKeyFile())
	if errors.Is(err, fs.ErrNotExist) {
		return Signer{}, fmt.Errorf("%s: %w: `ballast up --home %s` makes the keys that tokens are signed with", string(h), ErrNoStack, string(h))
	}
	return Signer{pair}, err
}

// Signer signs tokens without reading the key again.
type Signer struct{ pair edge.KeyPair }

// Token makes a development token for the customer, good for a day. An
// operator's may also call what is not for customers.
func (s Signer) Token(customer string, operator bool) (string, error) {
	id := edge.Identity{Customer: customer, Operator: operator}
	return edge.Sign(s.pair.Private, id, time.Now(), tokenLife)
}
