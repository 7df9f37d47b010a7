package edge_test

import (
	"crypto/ed25519"
	"crypto/x509"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/golang-jwt/jwt/v5"

	"example.com/ballast/pkg/edge"
)

// forge signs any claims with any method, as an attacker or another system would.
func forge(t *testing.T, method jwt.SigningMethod, key any, c jwt.MapClaims) string {
	t.Helper()
	token, err := jwt.NewWithClaims(method, c).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestBadTokensAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, echo, nil)
	other, err := edge.NewKeyPair()
	if err != nil {
		t.Fatal(err)
	}
	// The classic confusion: the public key, which everybody has, as HMAC secret.
	secret, err := x509.MarshalPKIXPublicKey(b.keys.Public)
	if err != nil {
		t.Fatal(err)
	}
	valid := jwt.MapClaims{"sub": "alice", "aud": edge.Audience, "exp": time.Now().Add(time.Hour).Unix()}
	with := func(key string, v any) jwt.MapClaims {
		c := maps.Clone(valid)
		if c[key] = v; v == nil {
			delete(c, key)
		}
		return c
	}
	eddsa := func(c jwt.MapClaims) string { return forge(t, jwt.SigningMethodEdDSA, b.keys.Private, c) }
	for name, tc := range map[string]struct{ token, reason string }{
		"none sent":      {"", "TOKEN_MISSING"},
		"garbage":        {"abc", "TOKEN_INVALID"},
		"expired":        {b.sign(t, edge.Identity{Customer: "alice"}, -time.Second), "TOKEN_EXPIRED"},
		"HS256":          {forge(t, jwt.SigningMethodHS256, secret, valid), "TOKEN_INVALID"},
		"alg none":       {forge(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, valid), "TOKEN_INVALID"},
		"other key":      {forge(t, jwt.SigningMethodEdDSA, other.Private, valid), "TOKEN_INVALID"},
		"changed":        {b.token[:len(b.token)-4] + "AAAA", "TOKEN_INVALID"},
		"other audience": {eddsa(with("aud", "shop")), "TOKEN_INVALID"},
		"no audience":    {eddsa(with("aud", nil)), "TOKEN_INVALID"},
		"no expiry":      {eddsa(with("exp", nil)), "TOKEN_INVALID"},
		"no subject":     {eddsa(with("sub", nil)), "TOKEN_INVALID"},
		"from later":     {eddsa(with("nbf", time.Now().Add(time.Hour).Unix())), "TOKEN_INVALID"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clients := b.clients(tc.token)
			for _, protocol := range slices.Sorted(maps.Keys(clients)) {
				_, err := clients[protocol].PlaceOrder(t.Context(), good())
				if connect.CodeOf(err) != connect.CodeUnauthenticated || reason(t, err) != tc.reason {
					t.Errorf("%s: want unauthenticated %s: %v", protocol, tc.reason, err)
				}
			}
		})
	}
}

func TestScopeMakesTheOperator(t *testing.T) {
	t.Parallel()
	keys, err := edge.NewKeyPair()
	if err != nil {
		t.Fatal(err)
	}
	v := edge.NewVerifier(keys.Public)
	for scope, want := range map[string]bool{
		"": false, "operator": true, "read operator": true, "operators": false, "no-operator": false,
	} {
		id, err := v.Verify(forge(t, jwt.SigningMethodEdDSA, keys.Private, jwt.MapClaims{
			"sub": "bob", "aud": edge.Audience, "exp": time.Now().Add(time.Hour).Unix(), "scope": scope,
		}))
		if err != nil || id != (edge.Identity{Customer: "bob", Operator: want}) {
			t.Errorf("scope %q: %+v, %v", scope, id, err)
		}
		err = edge.RequireOperator(edge.WithCaller(t.Context(), id))
		if (err == nil) != want {
			t.Errorf("scope %q: RequireOperator %v", scope, err)
		}
	}
	if err := edge.RequireOperator(t.Context()); connect.CodeOf(err) != connect.CodePermissionDenied {
		t.Errorf("without a caller: %v", err)
	}
}

// A cached token must die at its time like any other.
func TestCachedTokenExpires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		keys, err := edge.NewKeyPair()
		if err != nil {
			t.Fatal(err)
		}
		token, err := edge.Sign(keys.Private, edge.Identity{Customer: "alice"}, time.Now(), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		v := edge.NewVerifier(keys.Public)
		for range 2 {
			if _, err := v.Verify(token); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		if _, err := v.Verify(token); err == nil || reason(t, err) != "TOKEN_EXPIRED" {
			t.Errorf("after its time: %v", err)
		}
	})
}

func TestReadVerifier(t *testing.T) {
	t.Parallel()
	old, err := edge.NewKeyPair()
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := edge.NewKeyPair()
	if err != nil {
		t.Fatal(err)
	}
	_, oldPEM, err := old.PEM()
	if err != nil {
		t.Fatal(err)
	}
	freshPrivate, freshPEM, err := fresh.PEM()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	// Both keys count while a rotation is under way.
	v, err := edge.ReadVerifier(file("both.pem", append(oldPEM, freshPEM...)))
	if err != nil {
		t.Fatal(err)
	}
	read, err := edge.ReadKeyPair(file("private.pem", freshPrivate))
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []ed25519.PrivateKey{old.Private, read.Private} {
		token, err := edge.Sign(key, edge.Identity{Customer: "alice"}, time.Now(), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.Verify(token); err != nil {
			t.Error(err)
		}
	}
	for name, path := range map[string]string{
		"no public key in": file("empty.pem", nil),
		"public key in":    file("swapped.pem", freshPrivate),
		"no such file":     filepath.Join(dir, "missing.pem"),
	} {
		if _, err := edge.ReadVerifier(path); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", path, err)
		}
	}
}
