"""Who may have an account."""

from typing import Literal

from pydantic import Field

from authservice.config.area import Area


class RegistrationSettings(Area):
    """Registration, invitations, and addresses that have to be confirmed."""

    registration: Literal["open", "invited", "closed"] = Field(
        "open",
        description="who may register: `open`: anyone; `invited`: whoever was sent an invitation; `closed`: nobody",
    )
    email_confirmation: Literal["off", "required"] = Field(
        "off", description="`required`: accounts need an address, which has to be confirmed before the first login"
    )
    invitation_seconds: int = Field(604800, ge=60, le=30 * 86400, description="life of an invitation")
