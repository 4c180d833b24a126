"""Codes of authenticator apps: TOTP of RFC 6238, on HOTP of RFC 4226, as pyotp computes them.

Six digits, SHA-1 and steps of 30 seconds, because apps ignore whatever else they are asked for. SHA-1 is as good as any
other here: HMAC does not lean on collisions (RFC 6238 section 1.2, RFC 4226 appendix B.2).
"""

import base64
import hashlib
import hmac
import secrets
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pyotp import HOTP
from pyotp.utils import build_uri

from authservice.domain.second_factor import TotpEnrollment, seal_purpose
from authservice.security.qr_codes import as_png, as_svg
from authservice.security.sealing import Sealer

STEP_SECONDS = 30
DIGITS = 6
SECRET_BYTES = 20
"""As long as the output of SHA-1, which RFC 4226 section 4 recommends; ASVS 6.5.2 asks for 112 bits."""
OLDER_STEPS = 1
"""Beside the current step, for codes that were typed slowly: what RFC 6238 section 5.2 allows at most."""


@dataclass(frozen=True, slots=True)
class SealedTotpCodes:
    """See ports.TotpCodes. Lives as long as the process.

    Args:
        issuer: what an app calls this service.
    """

    sealer: Sealer
    issuer: str

    def new_secret(self, user_id: UUID) -> bytes:
        """Return a new secret, sealed for one user."""
        return self.sealer.seal(secrets.token_bytes(SECRET_BYTES), seal_purpose(user_id))

    def enrollment(self, sealed: bytes, user_id: UUID, account: str) -> TotpEnrollment:
        """Return a secret as an app takes it. Raises CannotOpen."""
        secret = _base32(self.sealer.open(sealed, seal_purpose(user_id)))
        uri = build_uri(secret, account, issuer=self.issuer)
        return TotpEnrollment(secret, uri, as_png(uri), as_svg(uri))

    def step_of(self, code: str, sealed: bytes, user_id: UUID, now: datetime) -> int | None:
        """Return the step that a code belongs to. Raises CannotOpen."""
        secret = self.sealer.open(sealed, seal_purpose(user_id))
        digits = normal_form(code).encode()
        current = int(now.timestamp()) // STEP_SECONDS
        steps = range(current - OLDER_STEPS, current + 1)
        # All are compared, so that the time says nothing about which was met.
        met = [step for step in steps if hmac.compare_digest(hotp(secret, step).encode(), digits)]
        return met[-1] if met else None


def hotp(secret: bytes, counter: int, digits: int = DIGITS, digest: Callable[..., Any] = hashlib.sha1) -> str:
    """Return the code of a counter (RFC 4226 section 5.3); of a step, where TOTP counts those."""
    return HOTP(_base32(secret), digits=digits, digest=digest).at(counter)


def normal_form(code: str) -> str:
    """Return a code as it is compared: full-width digits are digits, and what people put between them is nothing."""
    return "".join(unicodedata.normalize("NFKC", code).split())


def _base32(secret: bytes) -> str:
    return base64.b32encode(secret).decode("ascii")
