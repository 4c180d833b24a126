"""A device with passkeys, in software: what a browser and its authenticator do together (WebAuthn level 3)."""

import base64
import hashlib
import json
import os
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey, generate_private_key

from tests.conftest import DOMAIN, ORIGIN

USER_PRESENT, USER_VERIFIED, MAY_BE_BACKED_UP, IS_BACKED_UP, HAS_KEY = 0x01, 0x04, 0x08, 0x10, 0x40


def encoded(raw: bytes) -> str:
    """Return bytes in base64url, as browsers write them."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@dataclass
class Key:
    """A passkey on the device."""

    id: bytes
    private: EllipticCurvePrivateKey
    user_handle: bytes
    count: int = 0


@dataclass
class Device:
    """Makes passkeys and signs with them.

    Attributes:
        origin: the page that asks.
        domain: for which the device looks, whatever the page says.
        verifies: whether it asks its owner for a PIN or a finger.
        counts: whether it counts its signatures.
        is_framed: whether the page is inside one of another origin.
        shown: the public key that is registered (RFC 9052), in place of the one that there is.
    """

    origin: str = ORIGIN
    domain: str = DOMAIN
    verifies: bool = True
    counts: bool = True
    is_backed_up: bool = False
    is_framed: bool = False
    shown: dict[int, Any] | None = None
    keys: list[Key] = field(default_factory=list)

    def create(self, options: str) -> str:
        """Answer `navigator.credentials.create`, as `toJSON` has it."""
        asked = json.loads(options)
        key = Key(os.urandom(32), generate_private_key(SECP256R1()), _decoded(asked["user"]["id"]))
        self.keys.append(key)
        point = key.private.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32), -3: point.y.to_bytes(32)}
        held = bytes(16) + len(key.id).to_bytes(2) + key.id + cbor2.dumps(self.shown or cose)
        attestation = {"fmt": "none", "attStmt": {}, "authData": self._told(key, HAS_KEY) + held}
        response = {
            "clientDataJSON": encoded(self._client_data("webauthn.create", asked["challenge"])),
            "attestationObject": encoded(cbor2.dumps(attestation)),
            "transports": ["internal", "hybrid"],
        }
        return self._answer(key, response)

    def get(self, options: str, key: Key | None = None) -> str:
        """Answer `navigator.credentials.get`, with the newest key unless another one is given."""
        asked = json.loads(options)
        allowed = [_decoded(each["id"]) for each in asked.get("allowCredentials") or []]
        key = key or next(each for each in reversed(self.keys) if not allowed or each.id in allowed)
        key.count += self.counts
        told, client = self._told(key), self._client_data("webauthn.get", asked["challenge"])
        signature = key.private.sign(told + hashlib.sha256(client).digest(), ECDSA(hashes.SHA256()))
        response = {
            "clientDataJSON": encoded(client),
            "authenticatorData": encoded(told),
            "signature": encoded(signature),
            "userHandle": encoded(key.user_handle),
        }
        return self._answer(key, response)

    def _told(self, key: Key, flags: int = 0) -> bytes:
        flags |= USER_PRESENT | (USER_VERIFIED if self.verifies else 0)
        flags |= MAY_BE_BACKED_UP | IS_BACKED_UP if self.is_backed_up else 0
        return hashlib.sha256(self.domain.encode()).digest() + bytes([flags]) + key.count.to_bytes(4)

    def _client_data(self, kind: str, challenge: str) -> bytes:
        told = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": self.is_framed}
        return json.dumps(told).encode()

    def _answer(self, key: Key, response: dict[str, Any]) -> str:
        return json.dumps({"id": encoded(key.id), "rawId": encoded(key.id), "type": "public-key", "response": response})


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
