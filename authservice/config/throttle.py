"""How often one may try."""

import ipaddress
from typing import TypeAlias

from pydantic import Field, field_validator

from authservice.config.area import Area

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


class ThrottleSettings(Area):
    """How often one may try to prove who one is, and whose word counts about where a call comes from."""

    free_attempts: int = Field(
        5, ge=1, le=100, description="failed logins on one account from one network before pauses begin, and double"
    )
    network_free_attempts: int = Field(
        100, ge=0, description="the same on all accounts from one network; each success takes off 5; 0 counts none"
    )
    registrations_per_hour: int = Field(
        600, ge=0, description="accounts that one network may create in an hour; 0 is any number"
    )
    mail_requests_per_hour: int = Field(
        600, ge=0, description="mails with a token that one network may ask for in an hour; 0 is any number"
    )
    trusted_proxies: str | None = Field(
        None,
        description="networks of proxies, as `10.0.0.0/8, 2001:db8::/32`, that say in `x-forwarded-for` who calls",
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, text: str | None) -> str | None:
        networks_in(text or "")
        return text

    def proxy_networks(self) -> tuple[Network, ...]:
        """Return the networks of the proxies whose word counts."""
        return networks_in(self.trusted_proxies or "")


def networks_in(text: str) -> tuple[Network, ...]:
    """Return the networks of a list with commas. Raises ValueError that says how they look."""
    try:
        return tuple(ipaddress.ip_network(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise ValueError("must be networks, such as `10.0.0.0/8, 2001:db8::/32`, with commas between them") from None
