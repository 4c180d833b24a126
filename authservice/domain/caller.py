"""Who calls a method that asks for an access token."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Caller:
    """The owner of the access token of a call, which was checked in the database when the call came.

    Args:
        authenticated_at: when the user last proved who they are, in UTC, to the second.
        auth_methods: how, as RFC 8176 names.
        network: where the call came from: an IPv4 address, or the /64 of an IPv6 one; empty where that is not known.
    """

    user_id: UUID
    session_id: UUID
    authenticated_at: datetime
    auth_methods: tuple[str, ...]
    network: str = ""
