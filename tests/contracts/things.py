"""Users, sessions and tokens to store, each different from the last."""

import hashlib
import itertools
from datetime import UTC, datetime, timedelta
from uuid import UUID

from uuid6 import uuid7

from authservice.domain.session import Session, SessionLimits
from authservice.domain.signing_key import KeyState, SigningKey
from authservice.domain.tokens import RefreshToken
from authservice.domain.user import User, UserName

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
_numbers = itertools.count()


def a_user(name: str | None = None, **fields: object) -> User:
    """Return a user with a name of its own."""
    canonical = name or f"user-{next(_numbers)}"
    given = {"id": uuid7(), "email": None, "password_hash": "hash", "created_at": NOW, **fields}
    return User(name=UserName(canonical.upper(), canonical), **given)  # type: ignore[arg-type]


def a_session(user: User, **fields: object) -> Session:
    """Return a session of a user that begins now."""
    given = {
        "id": uuid7(),
        "client_label": "Firefox on Linux ☃",
        "authenticated_at": NOW,
        "idle_end": NOW + timedelta(minutes=30),
        "absolute_end": NOW + timedelta(hours=12),
        "refresh_hash": digest("first"),
        **fields,
    }
    return Session(user_id=user.id, **given)  # type: ignore[arg-type]


def a_token(session_id: UUID, text: str, generation: int = 0) -> RefreshToken:
    """Return a refresh token."""
    return RefreshToken(text, session_id, generation, digest(text))


def spent(
    session: Session,
    token: RefreshToken,
    successor: RefreshToken,
    now: datetime = NOW,
    limits: SessionLimits = SessionLimits(),  # noqa: B008  # nobody changes it
) -> tuple[RefreshToken, Session]:
    """Return what a rotation is told: a token, and its session after that has been spent."""
    return token, session.rotated(successor.hash, now, limits)


def a_key(created_at: datetime = NOW) -> SigningKey:
    """Return a pending key."""
    return SigningKey(f"kid-{next(_numbers)}", "ES256", KeyState.PENDING, b"public", b"sealed", created_at)


def digest(text: str) -> bytes:
    """Return 32 bytes that stand for a text."""
    return hashlib.sha256(text.encode()).digest()
