"""Mail and one-time tokens to store, each different from the last."""

import itertools
from datetime import timedelta

from uuid6 import uuid7

from authservice.domain.mail import IssuedToken, MailKind, OneTimeToken, Purpose, QueuedMail
from authservice.domain.user import User
from tests.contracts.things import NOW, digest

_numbers = itertools.count()


def a_mail(**fields: object) -> QueuedMail:
    """Return a mail that is due."""
    given = {
        "id": uuid7(),
        "kind": MailKind.RESET,
        "sealed": b"sealed",
        "created_at": NOW,
        "due_at": NOW,
        "expires_at": NOW + timedelta(minutes=15),
        **fields,
    }
    return QueuedMail(**given)  # type: ignore[arg-type]


def a_token_for(user: User | None, **fields: object) -> IssuedToken:
    """Return a token for resetting a password."""
    given = {
        "slot": digest(f"slot-{next(_numbers)}"),
        "id": uuid7(),
        "user_id": user.id if user else None,
        "purpose": Purpose.RESET,
        "secret_hash": digest(f"secret-{next(_numbers)}"),
        "secret_generation": 0,
        "address": "ada@example.com",
        "created_at": NOW,
        "expires_at": NOW + timedelta(minutes=15),
        **fields,
    }
    return IssuedToken(**given)  # type: ignore[arg-type]


def presented(token: IssuedToken) -> OneTimeToken:
    """Return what a caller presents who was sent the token."""
    return OneTimeToken("text", token.id, token.purpose, token.secret_hash)
