package authclient

import (
	"math/big"
	"slices"
)

var (
	one = big.NewInt(1)
	// fieldOrder and curveD are p and d of edwards25519 (RFC 8032 section 5.1).
	fieldOrder = new(big.Int).Sub(new(big.Int).Lsh(one, 255), big.NewInt(19))
	curveD     = modP(new(big.Int).Mul(big.NewInt(-121665), new(big.Int).ModInverse(big.NewInt(121666), fieldOrder)))
)

// isSoundPoint tells whether 32 bytes are a point of edwards25519 in its one spelling, and not one of the eight of small
// order: under those everybody can sign, without a private key. crypto/ed25519 takes any 32 bytes.
func isSoundPoint(encoded []byte) bool {
	bigEndian := slices.Clone(encoded)
	slices.Reverse(bigEndian)
	bigEndian[0] &= 0x7F // the first bit says which of the two x it is
	y := new(big.Int).SetBytes(bigEndian)
	square := modP(new(big.Int).Mul(y, y))
	numerator := new(big.Int).Sub(square, one) // y^2 - 1
	scaled := modP(new(big.Int).Mul(curveD, square))
	denominator := new(big.Int).Add(scaled, one) // d y^2 + 1
	// Of order 8: there a point doubled is one of order 4, whose y is 0. This is d y^4 + 2 y^2 - 1.
	eight := new(big.Int).Mul(scaled, square)
	eight.Add(eight, square).Add(eight, numerator)
	if y.Cmp(fieldOrder) >= 0 || y.Sign() == 0 || numerator.Sign() == 0 || modP(eight).Sign() == 0 {
		return false
	}
	// x^2 is the quotient of the two, which is a square if their product is.
	return big.Jacobi(modP(numerator.Mul(numerator, denominator)), fieldOrder) == 1
}

func modP(x *big.Int) *big.Int { return x.Mod(x, fieldOrder) }
