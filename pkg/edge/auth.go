package edge

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"connectrpc.com/connect/v2"
	"github.com/golang-jwt/jwt/v5"
)

// Audience is the audience that a token must be made for, so that a token of
// another system with the same issuer is no good here.
const Audience = "ballast"

// operatorScope is the word in the scope claim that makes an operator.
const operatorScope = "operator"

// maxCachedTokens bounds the verified tokens that are kept, about 20 MB. It is
// above the number of customers that are active within a token's life.
const maxCachedTokens = 32 << 10

// maxSubject bounds a customer's id, in bytes.
const maxSubject = 255

// Identity is who calls.
type Identity struct {
	// Customer is the token's subject.
	Customer string
	// Operator is true when the token's scope contains "operator".
	Operator bool
}

type identityKey struct{}

// Caller returns who calls. It is false outside an authenticated call.
func Caller(ctx context.Context) (Identity, bool) {
	id, ok := ctx.Value(identityKey{}).(Identity)
	return id, ok
}

// WithCaller returns a context in which Caller finds id, for tests of handlers.
func WithCaller(ctx context.Context, id Identity) context.Context {
	return context.WithValue(ctx, identityKey{}, id)
}

// RequireOperator refuses every caller who is not an operator, with
// permission_denied and the reason OPERATOR_REQUIRED.
func RequireOperator(ctx context.Context) error {
	if id, ok := Caller(ctx); ok && id.Operator {
		return nil
	}
	return Error(connect.CodePermissionDenied, "this call needs a token with the scope operator", "OPERATOR_REQUIRED", nil)
}

// claims of a token. The scope is a list of words with spaces between them, as
// in RFC 8693.
type claims struct {
	jwt.RegisteredClaims

	Scope string `json:"scope,omitempty"`
}

// Verifier checks bearer tokens: JWTs signed with EdDSA and nothing else, so
// that no token can choose a weaker algorithm. A signature costs 50 us to check
// and a cached token less than one, so verified tokens are kept until they
// expire. That a token can't be revoked before then is the price of not asking
// an authority on every call: keep their lives short.
type Verifier struct {
	keys   jwt.VerificationKeySet
	parser *jwt.Parser
	cache  tokenCache
}

// NewVerifier returns a Verifier that takes tokens signed by any of the keys.
// Two keys are what a rotation needs.
func NewVerifier(keys ...ed25519.PublicKey) *Verifier {
	v := &Verifier{
		parser: jwt.NewParser(
			jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}),
			jwt.WithAudience(Audience),
			jwt.WithExpirationRequired(),
		),
		cache: tokenCache{limit: maxCachedTokens / 2},
	}
	for _, k := range keys {
		v.keys.Keys = append(v.keys.Keys, k)
	}
	return v
}

// ReadVerifier reads the Ed25519 public keys in a PEM file.
func ReadVerifier(path string) (*Verifier, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	var keys []ed25519.PublicKey
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("public key in %s: %w", path, err)
		}
		key, ok := parsed.(ed25519.PublicKey)
		if !ok {
			return nil, fmt.Errorf("public key in %s is a %T: want Ed25519 (openssl genpkey -algorithm ed25519)", path, parsed)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("no public key in %s: want PEM with a block PUBLIC KEY", path)
	}
	return NewVerifier(keys...), nil
}

// Verify returns who a token speaks for. Its error is an unauthenticated one
// with the reason TOKEN_EXPIRED or TOKEN_INVALID, fit for the client.
func (v *Verifier) Verify(token string) (Identity, error) {
	now := time.Now()
	if id, ok := v.cache.get(token, now); ok {
		return id, nil
	}
	var c claims
	if _, err := v.parser.ParseWithClaims(token, &c, func(*jwt.Token) (any, error) { return v.keys, nil }); err != nil {
		return Identity{}, refuse(err)
	}
	// The subject becomes part of keys: what a database can't store or index
	// would fail others' work beside its own.
	if c.Subject == "" || len(c.Subject) > maxSubject || strings.ContainsFunc(c.Subject, unicode.IsControl) || !utf8.ValidString(c.Subject) {
		return Identity{}, unauthenticated("TOKEN_INVALID", "the token's subject is empty, longer than 255 bytes or has control characters")
	}
	id := Identity{Customer: c.Subject, Operator: slices.Contains(strings.Fields(c.Scope), operatorScope)}
	v.cache.put(token, verified{id: id, expires: c.ExpiresAt.Time})
	return id, nil
}

// refuse says what is wrong with a token in words of our own: the library's
// texts are written for programmers and change.
func refuse(err error) error {
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return unauthenticated("TOKEN_EXPIRED", "the token has expired")
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return unauthenticated("TOKEN_INVALID", "the token needs the claims sub, aud and exp")
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return unauthenticated("TOKEN_INVALID", "the token is made for another audience, want "+Audience)
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return unauthenticated("TOKEN_INVALID", "the token is not valid yet")
	case errors.Is(err, jwt.ErrTokenMalformed):
		return unauthenticated("TOKEN_INVALID", "the token is not a JWT")
	default:
		return unauthenticated("TOKEN_INVALID", "the token is not signed with EdDSA by a known key")
	}
}

func unauthenticated(reason, message string) error {
	return Error(connect.CodeUnauthenticated, message, reason, nil)
}

// authenticate puts the caller into the context.
func (v *Verifier) authenticate(next connect.ServerFunc) connect.ServerFunc {
	return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
		info, ok := connect.CallInfoForServerContext(ctx)
		if !ok {
			return errors.New("call without call info")
		}
		scheme, token, _ := strings.Cut(info.RequestHeader().Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") || token == "" {
			info.ResponseHeader().Set("WWW-Authenticate", "Bearer")
			return unauthenticated("TOKEN_MISSING", "the header Authorization: Bearer TOKEN is missing")
		}
		id, err := v.Verify(token)
		if err != nil {
			info.ResponseHeader().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			return err
		}
		return next(WithCaller(ctx, id), spec, stream)
	}
}

type verified struct {
	id      Identity
	expires time.Time
}

// tokenCache keeps verified tokens in two generations. When the young one is
// full the old one is dropped: that forgets what has not been used for a while
// at the cost of one map lookup, without a list to maintain on every hit. Only
// verified tokens enter, so nobody without a key can fill it.
type tokenCache struct {
	limit int // of one generation

	mu         sync.RWMutex
	young, old map[string]verified
}

func (c *tokenCache) get(token string, now time.Time) (Identity, bool) {
	c.mu.RLock()
	v, ok := c.young[token]
	if ok {
		c.mu.RUnlock()
		return v.id, now.Before(v.expires)
	}
	v, ok = c.old[token]
	c.mu.RUnlock()
	if !ok || !now.Before(v.expires) {
		return Identity{}, false
	}
	c.put(token, v)
	return v.id, true
}

func (c *tokenCache) put(token string, v verified) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.young == nil || len(c.young) >= c.limit {
		c.old, c.young = c.young, make(map[string]verified)
	}
	// The header's buffer is not ours to keep.
	c.young[strings.Clone(token)] = v
}
