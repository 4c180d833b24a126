package authclient

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"math/big"

	authapi "authservice/clients/go/authapi/v1"
)

const (
	maxKeys           = 64
	maxKeyIDBytes     = 64
	maxPublicKeyBytes = 1024
	minRSABits        = 2048  // RFC 7518 section 3.3
	rsaExponent       = 65537 // the only one; libraries differ in which others they can work with
)

// keySet is every key that a token may be signed with. Immutable.
type keySet struct {
	keys map[string]*publicKey
	// Tokens are signed with a secret that this process does not hold, so only Verify can judge them.
	isSharedSecret bool
}

func (s *keySet) equals(other *keySet) bool {
	isSame := func(a, b *publicKey) bool { return a.keyIdentity == b.keyIdentity }
	return other != nil && s.isSharedSecret == other.isSharedSecret && maps.EqualFunc(s.keys, other.keys, isSame)
}

// publicKey is one key, bound to one algorithm (RFC 8725 section 3.1): what a token says about algorithms is only
// compared with it.
type publicKey struct {
	keyIdentity
	key crypto.PublicKey
}

// keyIdentity tells whether a key is the one that it was in an earlier key set.
type keyIdentity struct{ kid, alg, der string }

// readKeySet refuses a set as a whole if any part of it is bad, and says which.
func readKeySet(set *authapi.KeySet) (*keySet, error) {
	switch n := len(set.GetKeys()); {
	case set.GetIsSharedSecret() && n > 0:
		return nil, fmt.Errorf("key set: %d keys beside a shared secret", n)
	case !set.GetIsSharedSecret() && n == 0:
		return nil, fmt.Errorf("key set: no keys")
	case n > maxKeys:
		return nil, fmt.Errorf("key set: %d keys, at most %d are allowed", n, maxKeys)
	}
	keys := make(map[string]*publicKey, len(set.GetKeys()))
	for _, message := range set.GetKeys() {
		key, err := readKey(message)
		if err != nil {
			return nil, fmt.Errorf("key set: key %q: %w", message.GetKid(), err)
		}
		if keys[key.kid] != nil {
			return nil, fmt.Errorf("key set: two keys %q", key.kid)
		}
		keys[key.kid] = key
	}
	return &keySet{keys: keys, isSharedSecret: set.GetIsSharedSecret()}, nil
}

func readKey(message *authapi.SigningKey) (*publicKey, error) {
	kid, alg, der := message.GetKid(), message.GetAlg(), message.GetPublicKey()
	if kid == "" || len(kid) > maxKeyIDBytes || !isPrintableASCII(kid) {
		return nil, fmt.Errorf("its id is not 1 to %d printable ASCII characters", maxKeyIDBytes)
	}
	switch message.GetState() {
	case authapi.KeyState_KEY_STATE_PENDING, authapi.KeyState_KEY_STATE_ACTIVE, authapi.KeyState_KEY_STATE_RETIRED:
	default:
		return nil, fmt.Errorf("its state is unknown: %v", message.GetState())
	}
	if len(der) > maxPublicKeyBytes {
		return nil, fmt.Errorf("it has %d bytes, at most %d are allowed", len(der), maxPublicKeyBytes)
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, err
	}
	if err := checkFits(alg, key); err != nil {
		return nil, err
	}
	// The parser reads over what follows the members that it knows. DER has one spelling for each key.
	if canonical, err := x509.MarshalPKIXPublicKey(key); err != nil || !bytes.Equal(canonical, der) {
		return nil, errors.New("it is not exactly one SubjectPublicKeyInfo")
	}
	return &publicKey{keyIdentity{kid, alg, string(der)}, key}, nil
}

func checkFits(alg string, key crypto.PublicKey) error {
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		if alg == "ES256" && key.Curve == elliptic.P256() {
			return nil
		}
	case ed25519.PublicKey:
		if alg != "EdDSA" {
			break
		}
		if !isSoundPoint(key) {
			return errors.New("it is no point of full order")
		}
		return nil
	case *rsa.PublicKey:
		if alg != "RS256" {
			break
		}
		return checkRSA(key)
	}
	return fmt.Errorf("a %T is no key for %q", key, alg)
}

func checkRSA(key *rsa.PublicKey) error {
	switch bits := key.N.BitLen(); {
	case bits < minRSABits:
		return fmt.Errorf("it has fewer than %d bits", minRSABits)
	case bits%8 != 0 || key.N.Bit(0) == 0:
		return errors.New("its modulus is even or does not fill its bytes")
	case key.E != rsaExponent:
		return fmt.Errorf("its exponent is not %d", rsaExponent)
	}
	return nil
}

// verifies tells whether signature is the one accepted form of a signature over signed.
func (k *publicKey) verifies(signed, signature []byte) bool {
	digest := sha256.Sum256(signed)
	switch key := k.key.(type) {
	case *ecdsa.PublicKey:
		if len(signature) != 64 {
			return false
		}
		r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
		// (r, s) and (r, n - s) sign the same bytes. Only the smaller s counts, so that a token has one spelling.
		isLow := s.Cmp(new(big.Int).Rsh(key.Params().N, 1)) <= 0
		return isLow && ecdsa.Verify(key, digest[:], r, s)
	case ed25519.PublicKey:
		return ed25519.Verify(key, signed, signature)
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature) == nil
	}
	return false
}

func isPrintableASCII(text string) bool {
	for _, c := range []byte(text) {
		if c < 0x20 || c > 0x7E {
			return false
		}
	}
	return true
}
