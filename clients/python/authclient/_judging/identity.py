"""Who is calling: what a handler asks for, in every kind of server and handler."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Identity:
    """The caller of a guarded method, from an access token that was checked. Times are UTC, to the second.

    Args:
        user_id: UUID as text; the key to store with anything that belongs to the user.
        user_name: as it was typed at registration; for people to read.
        session_id: UUID as text; the same through all refreshes.
        roles: held when the token was issued, sorted.
        authenticated_at: when the user last proved who they are.
        auth_methods: how, as RFC 8176 names; `mfa` is among them after more than one factor.
        expires_at: when the token expires.
        claims: the whole payload of the token.
    """

    user_id: str
    user_name: str
    session_id: str
    roles: tuple[str, ...]
    authenticated_at: datetime
    auth_methods: tuple[str, ...]
    expires_at: datetime
    claims: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Caller:
    """An identity, and the token it came from."""

    identity: Identity
    token: str = field(repr=False)


_callers: dict[int, Caller] = {}
# By the identity of the context object, which lives as long as the handler runs: grpc's contexts take no attributes and
# no weak references, and context variables do not reach synchronous handlers of an asyncio server (grpc/grpc#37881).


def remember(context: object, caller: Caller) -> None:
    """Let `current_identity(context)` answer this caller, until `forget`."""
    _callers[id(context)] = caller


def forget(context: object) -> None:
    """Let `current_identity(context)` answer nobody any more."""
    _callers.pop(id(context), None)


def find_identity(context: object) -> Identity | None:
    """Return who is calling, or None where nobody had to prove it: the method is public, or its rule observes."""
    caller = _callers.get(id(context))
    return caller.identity if caller else None


def current_identity(context: object) -> Identity:
    """Return who is calling. For handlers, with the context they were given; the same in sync and asyncio servers.

    Raises LookupError where that was not checked: the method is public, or no AuthInterceptor guards it.
    """
    identity = find_identity(context)
    if identity is None:
        raise LookupError(
            "nobody has checked who is calling: the method's rule is public or observes only, "
            "or the server has no AuthInterceptor"
        )
    return identity


def forwarded(context: object) -> tuple[tuple[str, str], ...]:
    """Return the metadata that passes the caller's own token on to the next service, as `metadata=` of a call there.

    Only the services that you name this way see the token. Raises LookupError as `current_identity`.
    """
    current_identity(context)
    return (("authorization", f"Bearer {_callers[id(context)].token}"),)
