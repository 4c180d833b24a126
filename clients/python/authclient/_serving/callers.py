"""Who is calling: what a handler asks for, in every kind of server and handler."""

from authclient._judging.identity import Identity
from authclient._judging.verified import Verified
from authclient._wire.metadata import bearer

_callers: dict[int, Verified] = {}
# By the identity of the context object, which lives as long as the handler runs: grpc's contexts take no attributes and
# no weak references, and context variables do not reach synchronous handlers of an asyncio server (grpc/grpc#37881).


def remember(context: object, caller: Verified) -> None:
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
    return (bearer(_callers[id(context)].token),)
