// Which 32 bytes an Ed25519 public key may be. OpenSSL takes any; under a point of small order everybody can sign, without
// a private key.

/** The field of edwards25519, and its d (RFC 8032 section 5.1). */
const P = 2n ** 255n - 19n;
const D = modP(-121_665n * power(121_666n, P - 2n));

/** Tells whether 32 bytes are a point of the curve in its one spelling, and not one of the eight of small order. */
export function isSoundPoint(encoded: Uint8Array): boolean {
  const bigEndian = Buffer.from(encoded).reverse().toString("hex");
  const y = BigInt(`0x${bigEndian}`) % 2n ** 255n; // The first bit says which of the two x it is.
  const square = modP(y * y);
  // The y of order 1 and 2, of order 4, and of order 8: there a point doubled is one of order 4, whose y is 0.
  const hasSmallOrder = modP((square - 1n) * y * (D * square * square + 2n * square - 1n)) === 0n;
  // x^2 is (y^2 - 1) / (d y^2 + 1), which is a square if the product of the two is.
  const isOnCurve = power(modP((square - 1n) * (D * square + 1n)), (P - 1n) / 2n) === 1n;
  return y < P && isOnCurve && !hasSmallOrder;
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  for (let square = base, rest = exponent; rest > 0n; rest >>= 1n, square = modP(square * square)) {
    if (rest & 1n) result = modP(result * square);
  }
  return result;
}

function modP(x: bigint): bigint {
  return ((x % P) + P) % P;
}
