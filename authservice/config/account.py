"""The accounts of people."""

from pydantic import Field

from authservice.config.area import Area


class AccountSettings(Area):
    """What happens to accounts that people give up."""

    deletion_grace_days: int = Field(
        14, ge=0, le=30, description="days in which a deletion can be cancelled; the account is erased after them"
    )
