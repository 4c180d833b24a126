"""Public keys that no key set may hold, each in its right encoding but for what is wrong with it (T2)."""

import hashlib
from collections.abc import Iterator

from cryptography.hazmat.primitives.asymmetric import ec, ed448, x25519

from tests.vectors import der
from tests.vectors.keys import derived, own

SMALL_ORDER = {
    "of order 1": "01" + "00" * 31,
    "of order 2": "ec" + "ff" * 30 + "7f",
    "the first of order 4": "00" * 32,
    "the second of order 4": "00" * 31 + "80",
    "the first of order 8": "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "the second of order 8": "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "the third of order 8": "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "the fourth of order 8": "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
}
"""All points of edwards25519 whose multiple by eight is the neutral one."""
FIELD = 2**255 - 19
OTHER_SPELLINGS = {
    "one of order 1 with the sign of an x that is 0": 1 + 2**255,
    "one of order 2 with the sign of an x that is 0": FIELD - 1 + 2**255,
    "one of order 4 with a y of p": FIELD,
    "one of order 4 with a y of p and a sign": FIELD + 2**255,
    "one of order 1 with a y of p + 1": FIELD + 1,
    "one of full order with a y of p + 3": FIELD + 3,
    "one of full order with a y of p + 3 and a sign": FIELD + 3 + 2**255,
    "all ones": 2**256 - 1,
}
BESIDE_THE_CURVE = (2, 7, FIELD - 2)


def rsa_key(bits: int, exponent: int = 65537) -> bytes:
    """Return an RSA key of any length and exponent."""
    # Only parsed, never used: no verifier factors a modulus, so any odd number of the right length does.
    return der.rsa_spki(derived(f"modulus {bits}", bits), exponent)


def bad_keys() -> Iterator[tuple[str, str, bytes]]:
    """Yield the algorithm that each is for, what is wrong with it, and its encoding."""
    curves = (ec.SECP224R1(), ec.SECP384R1(), ec.SECP521R1(), ec.SECP256K1(), ec.BrainpoolP256R1())
    for curve in curves:
        key = ec.derive_private_key(derived(curve.name, 200), curve).public_key()
        yield "ES256", f"a key on the curve {curve.name}", der.spki_of(key)
    x, y = _point()
    ec_spki = der.EC_PUBLIC_KEY + der.P256
    yield (
        "ES256",
        "a point beside the curve",
        der.spki(ec_spki, b"\x04" + x.to_bytes(32, "big") + (y ^ 1).to_bytes(32, "big")),
    )
    yield "ES256", "the point 0, 0", der.spki(ec_spki, b"\x04" + b"\0" * 64)
    yield "ES256", "the point at infinity", der.spki(ec_spki, b"\0")
    yield "ES256", "a coordinate that is too large", der.spki(ec_spki, b"\x04" + b"\xff" * 64)
    yield (
        "ES256",
        "a point in hybrid form",
        der.spki(ec_spki, bytes([6 + y % 2]) + x.to_bytes(32, "big") + y.to_bytes(32, "big")),
    )
    good_point = b"\x04" + x.to_bytes(32, "big") + y.to_bytes(32, "big")
    yield "ES256", "a curve without a name", der.spki(der.EC_PUBLIC_KEY, good_point)
    yield "ES256", "unused bits in the key", der.spki(ec_spki, good_point, unused_bits=1)
    seed = hashlib.sha512(b"odd").digest()
    yield "EdDSA", "an Ed448 key", der.spki_of(ed448.Ed448PrivateKey.from_private_bytes((seed * 2)[:57]).public_key())
    yield "EdDSA", "an X25519 key", der.spki_of(x25519.X25519PrivateKey.from_private_bytes(seed[:32]).public_key())
    raw = own("EdDSA").public.public_bytes_raw()
    for name, point in SMALL_ORDER.items():
        yield "EdDSA", f"a point of small order, {name}", der.spki(der.ED25519, bytes.fromhex(point))
    for name, number in OTHER_SPELLINGS.items():
        yield "EdDSA", f"a point spelt as {name}", der.spki(der.ED25519, number.to_bytes(32, "little"))
    for y in BESIDE_THE_CURVE:
        for sign in (0, 1):
            yield (
                "EdDSA",
                f"y = {y} beside the curve, with the sign {sign}",
                der.spki(der.ED25519, (y + (sign << 255)).to_bytes(32, "little")),
            )
    yield "EdDSA", "a key of 31 bytes", der.spki(der.ED25519, raw[:31])
    yield "EdDSA", "a key of 33 bytes", der.spki(der.ED25519, raw + b"\0")
    yield "EdDSA", "no bytes in the key", der.spki(der.ED25519, b"")
    yield "EdDSA", "parameters beside Ed25519", der.spki(der.ED25519 + der.NULL, raw)
    yield "EdDSA", "unused bits in the key", der.spki(der.ED25519, raw, unused_bits=1)
    for bits in (512, 1024, 1536, 2040, 2047):
        yield "RS256", f"an RSA key of {bits} bits", rsa_key(bits)
    for bits in (2049, 2055, 3071, 4097):
        yield "RS256", f"an RSA key of {bits:,} bits", rsa_key(bits)
    for exponent in (1, 3, 17, 257, 65535):
        yield "RS256", f"the RSA exponent {exponent}", rsa_key(2048, exponent)
    for exponent in (0, 2, 65536, 65538, 65539, 131073, 2**31 - 1, 2**31 + 1, 2**32 + 1, 2**33 - 9, 2**64 + 65537):
        yield "RS256", f"the RSA exponent {exponent:,}", rsa_key(2048, exponent)
    yield "RS256", "an RSA exponent of 256 bits", rsa_key(2048, derived("exponent", 256))
    yield "RS256", "an RSA exponent as long as the modulus", rsa_key(2048, derived("modulus 2048", 2048) - 2)
    yield "RS256", "the RSA exponent -65,537", rsa_key(2048, -65537)
    yield "RS256", "the RSA exponent 3 in 4,096 bits", rsa_key(4096, 3)
    for bits in (2048, 3072):
        yield "RS256", f"an even modulus of {bits:,} bits", der.rsa_spki(derived(f"modulus {bits}", bits) - 1)
    yield "RS256", "a modulus that is a power of two", der.rsa_spki(1 << 2047)
    yield "RS256", "an RSA key of 1,025 bytes", rsa_key(987 * 8)
    yield "RS256", "an RSA key of 16,384 bits", rsa_key(16384)
    modulus = derived("modulus 2048", 2048)
    yield (
        "RS256",
        "a third number beside the RSA key",
        der.spki(der.RSA_ENCRYPTION + der.NULL, der.sequence(der.integer(modulus), der.integer(65537), der.integer(1))),
    )
    yield (
        "RS256",
        "a zero after the RSA key",
        der.spki(der.RSA_ENCRYPTION + der.NULL, der.sequence(der.integer(modulus), der.integer(65537)) + b"\0"),
    )
    yield (
        "RS256",
        "a negative modulus",
        der.spki(
            der.RSA_ENCRYPTION + der.NULL,
            der.sequence(der.element(2, modulus.to_bytes(256, "big")), der.integer(65537)),
        ),
    )
    dsa_parameters = der.sequence(der.integer(modulus), der.integer(derived("q", 256)), der.integer(2))
    for alg in ("ES256", "EdDSA", "RS256"):
        yield alg, "a DSA key", der.spki(der.DSA + dsa_parameters, der.integer(derived("y", 2040)))
        yield alg, "text in place of a key", b"a key"


def _point() -> tuple[int, int]:
    numbers = own("ES256").public.public_numbers()
    return numbers.x, numbers.y
