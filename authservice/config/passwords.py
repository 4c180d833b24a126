"""Passwords and their hashes."""

from pydantic import Field

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
    password_min_length: int = Field(15, ge=15, le=64, description="least code points of a new password")
