"""Keys that are weak, or of another kind than their algorithm, are refused when they are loaded."""

import functools
from collections.abc import Callable
from typing import Any

import pytest
from authclient import ALGORITHMS, VerificationKey
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa

GOOD: dict[str, Callable[[], Any]] = {
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()).public_key(),
    "EdDSA": lambda: ed25519.Ed25519PrivateKey.generate().public_key(),
    "RS256": lambda: rsa.generate_private_key(65537, 2048).public_key(),
    "HS256": lambda: b"k" * 32,
}
BAD: dict[str, Callable[[], Any]] = {
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()).public_key(),
    "secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()).public_key(),
    "RSA-1024": lambda: rsa.generate_private_key(65537, 1024).public_key(),
    "RSA with the exponent 3": lambda: rsa.generate_private_key(3, 2048).public_key(),
    "an even modulus": lambda: rsa.RSAPublicNumbers(65537, (1 << 2048) - 2).public_key(),
    "RSA-2049": lambda: rsa.RSAPublicNumbers(65537, (1 << 2048) + 1).public_key(),
    "the neutral point": lambda: ed25519.Ed25519PublicKey.from_public_bytes(b"\1" + bytes(31)),
    "a point of order 4": lambda: ed25519.Ed25519PublicKey.from_public_bytes(bytes(32)),
    "no point of the curve": lambda: ed25519.Ed25519PublicKey.from_public_bytes(b"\2" + bytes(31)),
    "Ed448": lambda: ed448.Ed448PrivateKey.generate().public_key(),
    "DSA": lambda: dsa.generate_private_key(2048).public_key(),
    "31 bytes": lambda: b"k" * 31,
    "nothing": lambda: b"",
    "text": lambda: "k" * 32,
    "a private key": lambda: ec.generate_private_key(ec.SECP256R1()),
    "no key": lambda: None,
}


@functools.cache
def good(alg: str) -> Any:
    return GOOD[alg]()


@functools.cache
def bad(kind: str) -> Any:
    return BAD[kind]()


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_t2_a_key_of_its_own_kind_is_taken(alg: str) -> None:
    assert VerificationKey("kid", alg, good(alg)).alg == alg


@pytest.mark.parametrize("alg", ALGORITHMS)
@pytest.mark.parametrize("other", ALGORITHMS)
def test_t2_a_key_of_another_kind_is_refused(alg: str, other: str) -> None:
    if alg != other:
        with pytest.raises(ValueError, match="kid"):
            VerificationKey("kid", alg, good(other))


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("alg", ALGORITHMS)
def test_t2_weak_and_foreign_keys_are_refused_with_the_reason(alg: str, kind: str) -> None:
    with pytest.raises(ValueError, match=f"key 'kid' cannot be used for {alg}: "):
        VerificationKey("kid", alg, bad(kind))


@pytest.mark.parametrize("alg", ["none", "None", "", "HS384", "ES512", "PS256", "es256", "RS1"])
def test_t2_algorithms_outside_ours_are_refused(alg: str) -> None:
    for own in GOOD:
        with pytest.raises(ValueError, match="unknown"):
            VerificationKey("kid", alg, good(own))


def test_t2_a_key_does_not_show_when_printed() -> None:
    assert "kkkk" not in repr(VerificationKey("kid", "HS256", good("HS256")))
