"""Tokens as the authentication service would issue them, and revocations, in this process."""

import base64
import copy
import hashlib
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from authapi.v1 import trust_service_pb2 as api
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from authclient._judging.knowledge import View
from authclient._tokens.grammar import payload
from authclient._tokens.keys import VerificationKey
from authclient._tokens.signing import sign

ISSUER, AUDIENCE = "authservice", "internal"
LIFE_SECONDS = 900
ADA = "0191d5a5-0000-7000-8000-000000000001"
"""Id of the user that tokens are for unless told otherwise."""


class Clock:
    """A clock that stands until it is moved. Every part of the test kit goes by it."""

    def __init__(self, now: datetime | None = None) -> None:
        self._seconds = (now or datetime.now(timezone.utc)).timestamp()
        self._listeners: list[Callable[[], None]] = []

    def __call__(self) -> float:
        """Return the seconds since the epoch."""
        return self._seconds

    def advance(self, seconds: float) -> None:
        """Move on."""
        self._seconds += seconds
        for listener in self._listeners:
            listener()

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each move."""
        self._listeners.append(listener)


@dataclass(frozen=True)
class _Key:
    kid: str
    private: ec.EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def generate(cls) -> "_Key":
        private = ec.generate_private_key(ec.SECP256R1())
        public = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return cls(base64.urlsafe_b64encode(hashlib.sha256(public).digest())[:16].decode(), private)


class Issuer:
    """Issues and revokes tokens. What it revokes, every LocalTrust of it knows at once.

    Attributes:
        clock: the time that tokens are issued at.
        issuer: `iss` of the tokens.
        audience: `aud` of the tokens.
    """

    def __init__(self, clock: Clock | None = None, *, issuer: str = ISSUER, audience: str = AUDIENCE) -> None:
        self.clock = clock or Clock()
        self.issuer = issuer
        self.audience = audience
        self.view = View()
        self._key = _Key.generate()
        self.keys: dict[str, VerificationKey] = {}
        self._listeners: list[Callable[[], None]] = []
        self.rotate_key()

    def token(
        self,
        *,
        user_id: str = ADA,
        user_name: str = "ada",
        roles: Iterable[str] = (),
        session_id: str | None = None,
        mfa: bool = False,
        authenticated_ago: float = 0.0,
        expires_in: float = LIFE_SECONDS,
        claims: Mapping[str, Any] | None = None,
    ) -> str:
        """Return an access token.

        Args:
            user_id: a UUID as text, as every user of the authentication service has.
            session_id: a UUID as text; a session of its own, unless given.
            mfa: whether the user has shown a second factor.
            authenticated_ago: seconds since the user has proved who they are.
            expires_in: seconds until the token expires; below zero for one that has. Verifiers allow for 30 seconds.
            claims: replace or add to what the token says, as it stands; to test refusals.

        Raises:
            ValueError: `user_id` or `session_id` is no UUID.
            TypeError: `roles` is one text.
        """
        if isinstance(roles, str):
            raise TypeError(f'roles must be a list of names, such as ["{roles}"]')
        _check_uuid("user_id", user_id)
        if session_id is not None:
            _check_uuid("session_id", session_id)
        now = int(self.clock())
        # A token whose life ends before it begins is not expired but malformed.
        issued_at = now if expires_in > 0 else now + int(expires_in) - LIFE_SECONDS
        said = (claims or {}).get("iat")
        begun = said if type(said) is int else issued_at
        return sign(
            {
                "iss": self.issuer,
                "sub": user_id,
                "aud": self.audience,
                "client_id": "first-party",
                "exp": now + int(expires_in),
                "iat": issued_at,
                "nbf": issued_at,
                "jti": uuid.uuid4().hex,
                "sid": session_id or str(uuid.uuid4()),
                "auth_time": min(now - int(authenticated_ago), begun),
                "amr": ["pwd", "otp", "mfa"] if mfa else ["pwd"],
                "preferred_username": user_name,
                "roles": sorted(roles),
                "gen": self.view.generations.get(user_id, 0),
                **(claims or {}),
            },
            self._key.kid,
            "ES256",
            self._key.private,
        )

    @staticmethod
    def metadata(token: str) -> tuple[tuple[str, str], ...]:
        """Return the metadata that a caller sends with a token."""
        return (("authorization", f"Bearer {token}"),)

    def revoke(self, token: str) -> None:
        """End the session of a token now."""
        self._revoke(api.Revocation(session_id=payload(token)["sid"]))

    def outdate(self, user_id: str = ADA) -> None:
        """Make every token of a user outdated now, as a change of their roles does."""
        generation = self.view.generations.get(user_id, 0) + 1
        self._revoke(api.Revocation(outdated_tokens=api.OutdatedTokens(user_id=user_id, min_generation=generation)))

    def rotate_key(self) -> None:
        """Sign with another key from now on. Earlier tokens stay good."""
        self._key = _Key.generate()
        self.keys = {
            **self.keys,
            self._key.kid: VerificationKey(self._key.kid, "ES256", self._key.private.public_key()),
        }
        self._tell()

    def remove_keys(self) -> None:
        """Forget every key that does not sign: the tokens of earlier keys are refused now."""
        self.keys = {self._key.kid: self.keys[self._key.kid]}
        self._tell()

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each change."""
        self._listeners.append(listener)

    def _revoke(self, rule: api.Revocation) -> None:
        rule.expire_time.seconds = int(self.clock()) + 86_400
        view = copy.deepcopy(self.view)  # Others may be reading it, or keep it while they are cut off.
        view.add(rule)
        self.view = view
        self._tell()

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()


def _check_uuid(name: str, value: str) -> None:
    """Raise ValueError for an id of which a verifier would only say that the token is invalid."""
    try:
        is_uuid = str(uuid.UUID(value)) == value
    except (ValueError, AttributeError, TypeError):
        is_uuid = False
    if not is_uuid:
        raise ValueError(f"{name} must be a UUID; anything else goes through claims=")
