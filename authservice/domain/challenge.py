"""Challenges: what is asked of a user who has proved one thing and has to prove another before a session begins.

A challenge is answered with its token and a proof, a few times at most and within minutes. It is good only while what
proves its user is what it was: a new password or factor makes it void.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from uuid import UUID

from authservice.domain.second_factor import TotpEnrollment
from authservice.domain.session import Opening

MOST_TRIES = 5
"""Of codes. Two of a million count at a time, so five find one in 100,000 logins with the right password."""
CHALLENGE_LIFE = timedelta(minutes=5)
"""Long enough to find the phone."""


class Purpose(Enum):
    """What is done when a challenge is met."""

    LOGIN = "login"
    PASSKEY = "passkey"
    """Nothing more: it was met, and is kept so that it is met once."""


class Method(Enum):
    """How a challenge can be met, as callers are told."""

    TOTP = "totp"
    RECOVERY_CODE = "recovery_code"
    ENROLL_TOTP = "enroll_totp"
    PASSKEY = "passkey"


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge as it is kept.

    Args:
        secret_hash: SHA-256 of the secret part of its token.
        secret_generation: the user's when it was given out.
        opening: the session that begins when it is met, with what has been proved so far.
    """

    id: UUID
    user_id: UUID
    purpose: Purpose
    secret_hash: bytes = field(repr=False)
    secret_generation: int
    expires_at: datetime
    opening: Opening = field(default_factory=Opening)
    tries_left: int = MOST_TRIES


@dataclass(frozen=True, slots=True)
class IssuedChallenge:
    """What a caller receives in place of tokens.

    Args:
        text: the token that answers it.
        enrollment: what to set up first, where that is asked for.
        passkey_options: what a browser is given for a passkey, as JSON; empty where none will do.
    """

    text: str = field(repr=False)
    methods: tuple[Method, ...]
    expires_at: datetime
    enrollment: TotpEnrollment | None = None
    passkey_options: str = ""
