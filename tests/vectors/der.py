"""Just enough DER (X.690) to write public keys in their right form and in every wrong one."""

from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

EC_PUBLIC_KEY = bytes.fromhex("06072a8648ce3d0201")
P256 = bytes.fromhex("06082a8648ce3d030107")
RSA_ENCRYPTION = bytes.fromhex("06092a864886f70d010101")
RSASSA_PSS = bytes.fromhex("06092a864886f70d01010a")
DSA = bytes.fromhex("06072a8648ce380401")
ED25519 = bytes.fromhex("06032b6570")
X25519 = bytes.fromhex("06032b656e")
ED448 = bytes.fromhex("06032b6571")
NULL = b"\x05\x00"


def spki_of(public: Any) -> bytes:
    """Return the SubjectPublicKeyInfo of a key of the library."""
    encoded: bytes = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return encoded


def element(tag: int, *contents: bytes) -> bytes:
    """Return one element."""
    content = b"".join(contents)
    if len(content) < 128:
        return bytes([tag, len(content)]) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, 128 + len(length)]) + length + content


def sequence(*contents: bytes) -> bytes:
    """Return a SEQUENCE."""
    return element(0x30, *contents)


def integer(number: int) -> bytes:
    """Return an INTEGER."""
    return element(0x02, number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True))


def spki(algorithm: bytes, key: bytes, unused_bits: int = 0) -> bytes:
    """Return a SubjectPublicKeyInfo; `algorithm` is an OID and its parameters."""
    return sequence(sequence(algorithm), element(0x03, bytes([unused_bits]), key))


def rsa_spki(modulus: int, exponent: int = 65537, algorithm: bytes = RSA_ENCRYPTION + NULL) -> bytes:
    """Return an RSA key of any numbers."""
    return spki(algorithm, sequence(integer(modulus), integer(exponent)))


def with_long_length(encoded: bytes) -> bytes:
    """Return the same key with a length written longer than needed: BER, and no DER."""
    if encoded[1] < 128:
        return encoded[:1] + b"\x81" + encoded[1:]
    size = encoded[1] - 128
    return encoded[:1] + bytes([128 + size + 1]) + b"\0" + encoded[2:]


def with_indefinite_length(encoded: bytes) -> bytes:
    """Return the same key with a length left open: BER, and no DER."""
    head = 2 if encoded[1] < 128 else 2 + encoded[1] - 128
    return encoded[:1] + b"\x80" + encoded[head:] + b"\0\0"
