package edge

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// What follows makes tokens. Services only verify them: a service that can't
// sign has no key to lose. In production an identity provider stands here.

// KeyPair signs tokens and verifies them.
type KeyPair struct {
	Private ed25519.PrivateKey
	Public  ed25519.PublicKey
}

// NewKeyPair makes a random pair.
func NewKeyPair() (KeyPair, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return KeyPair{}, fmt.Errorf("make ed25519 key: %w", err)
	}
	return KeyPair{Private: private, Public: public}, nil
}

// PEM returns both halves as openssl writes them: PKCS #8 and PKIX.
func (k KeyPair) PEM() (private, public []byte, err error) {
	priv, err := x509.MarshalPKCS8PrivateKey(k.Private)
	if err != nil {
		return nil, nil, fmt.Errorf("encode private key: %w", err)
	}
	pub, err := x509.MarshalPKIXPublicKey(k.Public)
	if err != nil {
		return nil, nil, fmt.Errorf("encode public key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: priv}),
		pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pub}), nil
}

// ReadKeyPair reads the private key in a PEM file; the public half follows from
// it.
func ReadKeyPair(path string) (KeyPair, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return KeyPair{}, fmt.Errorf("private key: %w", err)
	}
	block, _ := pem.Decode(content)
	if block == nil {
		return KeyPair{}, fmt.Errorf("no private key in %s: want PEM with a block PRIVATE KEY", path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return KeyPair{}, fmt.Errorf("private key in %s: %w", path, err)
	}
	private, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return KeyPair{}, fmt.Errorf("private key in %s is a %T: want Ed25519", path, parsed)
	}
	public, ok := private.Public().(ed25519.PublicKey)
	if !ok {
		return KeyPair{}, errors.New("ed25519 private key without a public half")
	}
	return KeyPair{Private: private, Public: public}, nil
}

// Sign makes a token that speaks for id from now until ttl later.
func Sign(key ed25519.PrivateKey, id Identity, now time.Time, ttl time.Duration) (string, error) {
	c := claims{RegisteredClaims: jwt.RegisteredClaims{
		Subject:   id.Customer,
		Audience:  jwt.ClaimStrings{Audience},
		IssuedAt:  jwt.NewNumericDate(now),
		ExpiresAt: jwt.NewNumericDate(now.Add(ttl)),
	}}
	if id.Operator {
		c.Scope = operatorScope
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodEdDSA, c).SignedString(key)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return token, nil
}
