"""The arithmetic of P-256 (SEC 1 section 2.2, SEC 2 section 2.4.2): slow, plain, only for finding keys to signatures.

A verifier is told r and s and computes s⁻¹(zG + rQ). Whoever may choose the key last can make any r and s come out
good: Q = r⁻¹(sR − zG).
"""

import base64
from typing import Any

from tests.vectors.der import spki_of
from tests.vectors.keys import P256_ORDER

Point = tuple[int, int]

PRIME = 2**256 - 2**224 + 2**192 + 2**96 - 1
_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
BASE: Point = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)


def add(one: Point | None, other: Point | None) -> Point | None:
    """Return the sum of two points; None is the point at infinity."""
    if one is None or other is None:
        return one or other
    (x1, y1), (x2, y2) = one, other
    if x1 == x2 and (y1 + y2) % PRIME == 0:
        return None
    slope = (3 * x1 * x1 - 3) * pow(2 * y1, -1, PRIME) if one == other else (y2 - y1) * pow(x2 - x1, -1, PRIME)
    x3 = (slope * slope - x1 - x2) % PRIME
    return x3, (slope * (x1 - x3) - y1) % PRIME


def multiply(times: int, point: Point) -> Point:
    """Return a multiple of a point."""
    result: Point | None = None
    doubled: Point | None = point
    while times:
        if times & 1:
            result = add(result, doubled)
        doubled, times = add(doubled, doubled), times >> 1
    assert result
    return result


def lift(x: int) -> Point:
    """Return a point with this x."""
    square = (x**3 - 3 * x + _B) % PRIME
    y = pow(square, (PRIME + 1) // 4, PRIME)
    assert y * y % PRIME == square, "there is no such point"
    return x, y


def public_key_for(nonce_point: Point, r: int, s: int, digest: int) -> Point:
    """Return the key under which (r, s) is a good signature over `digest`."""
    inverse = pow(r, -1, P256_ORDER)
    point = add(multiply(s * inverse % P256_ORDER, nonce_point), multiply(-digest * inverse % P256_ORDER, BASE))
    assert point
    return point


def spki(public: Any) -> str:
    """Return a public key as the JSON form of Protobuf writes it."""
    return base64.b64encode(spki_of(public)).decode()
