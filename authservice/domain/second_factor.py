"""The second factor of a login: codes of an authenticator app (TOTP, RFC 6238), passkeys, and recovery codes.

A code belongs to a step of 30 seconds. The last accepted step is kept with the factor and only ever moves forward, so a
code is good once, and none is good that is older than one that was used.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from authservice.domain.passkey import Passkey

CODE_OF_APP = ("otp",)
"""What a code of an app proves, as RFC 8176 names."""
RECOVERY_CODE: tuple[str, ...] = ()
"""The same of a recovery code, for which RFC 8176 has no name: its `otp` is a code of RFC 4226 or 6238."""
SEVERAL = "mfa"
"""More than one factor, as RFC 8176 names."""
PASSKEY_ADDED = "a passkey was added"
PASSKEY_REMOVED = "a passkey was removed"
ALL_REMOVED = "the authenticator app, the passkeys and the recovery codes were removed"
APP_ADDED = "an authenticator app was set up"
APP_REMOVED = "the authenticator app was removed"
CODES_REPLACED = "new recovery codes were made"
"""What users are told by mail."""
ENROLLMENT_LIFE = timedelta(minutes=10)
"""How long a secret that was shown may wait for its first code."""


def with_second_factor(methods: tuple[str, ...], proof: tuple[str, ...]) -> tuple[str, ...]:
    """Return how a user was proved who, beside what `methods` say, has sent a code that proves `proof`."""
    return (*(name for name in dict.fromkeys((*methods, *proof)) if name != SEVERAL), SEVERAL)


@dataclass(frozen=True, slots=True)
class SecondFactorPolicy:
    """Who has to have a second factor: everybody, the holders of some roles, or nobody."""

    everybody: bool = False
    roles: frozenset[str] = frozenset()

    def asks(self, roles: tuple[str, ...]) -> bool:
        """Tell whether a user with these roles has to have one."""
        return self.everybody or not self.roles.isdisjoint(roles)


def seal_purpose(user_id: UUID) -> str:
    """Return what a user's secret is sealed for. It opens for nobody else, so rows cannot be swapped."""
    return f"totp {user_id}"


@dataclass(frozen=True, slots=True)
class TotpFactor:
    """What is kept of a user's authenticator app.

    Args:
        sealed: the secret that app and service share, sealed for this user.
        confirmed_at: when the user sent the first code; None while nothing is asked for.
        last_step: of the code that was accepted last.
    """

    user_id: UUID
    sealed: bytes = field(repr=False)
    created_at: datetime
    confirmed_at: datetime | None = None
    last_step: int | None = None

    @property
    def is_confirmed(self) -> bool:
        """Whether a login needs a code."""
        return self.confirmed_at is not None

    def awaits_code(self, now: datetime) -> bool:
        """Tell whether the secret was shown lately and waits for its first code."""
        return not self.is_confirmed and now < self.created_at + ENROLLMENT_LIFE


@dataclass(frozen=True, slots=True)
class SecondFactors:
    """What proves a user beside the password. An app may still wait for its first code."""

    app: TotpFactor | None
    passkeys: tuple[Passkey, ...] = ()

    @property
    def has_app(self) -> bool:
        """Whether codes of an app are good."""
        return self.app is not None and self.app.is_confirmed

    @property
    def is_set_up(self) -> bool:
        """Whether the password alone opens no session."""
        return self.has_app or bool(self.passkeys)


@dataclass(frozen=True, slots=True)
class TotpEnrollment:
    """What an app needs to know to make codes: shown once.

    Args:
        secret: in Base32, for people who type it.
        uri: the same as apps read it, `otpauth://totp/...`.
        qr_png: the URI as a QR code, a PNG picture.
        qr_svg: the same as an SVG document.
    """

    secret: str = field(repr=False)
    uri: str = field(repr=False)
    qr_png: bytes = field(repr=False)
    qr_svg: bytes = field(repr=False)
