"""Passwords and their hashes."""

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from authservice.config.area import Area


class PasswordSettings(Area):
    """What a new password may be, and what its hash costs."""

    bcrypt_cost: int = Field(12, ge=10, le=15, description="work factor of password hashes; 12 takes about 270 ms")
    hash_threads: int = Field(
        0, ge=0, le=64, description="hashes that one process computes at once; 0 shares the cores"
    )
    hash_queue: int = Field(
        16, ge=0, le=1024, description="password checks that may wait in one process; more are refused"
    )
    # NIST SP 800-63B-4 section 3.1.1.1: 15 where a password stands alone, 8 beside a second factor; at least 64 have to
    # be allowed.
    password_min_length: int = Field(
        15, ge=8, le=64, description="least code points of a new password; below 15 where everybody has a second factor"
    )
    password_max_length: int = Field(1024, ge=64, le=1024, description="most code points of a new password")
    password_breached_file: Path | None = Field(
        None, description="file of breached passwords, from `authservice passwords build-breached`"
    )
    password_range_url: str | None = Field(
        None, description="address of a service that knows breached passwords, which is asked by ranges"
    )
    password_range_seconds: float = Field(2.0, gt=0, le=10, description="how long an answer of that service may take")
    password_breach_failure: Literal["accept", "refuse"] = Field(
        "accept", description="what becomes of a new password while that file or service cannot be asked"
    )

    # ASVS 5.0 section 6.4.1: they expire after a short time, and never become the ones that stay.
    one_time_password_seconds: int = Field(
        86400, ge=60, le=7 * 86400, description="life of a one-time password from `users set-password`"
    )

    @field_validator("password_range_url")
    @classmethod
    def _is_an_address(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("https://", "http://")):
            raise ValueError("must begin with https:// (or http://, for a mirror of your own)")
        return url
