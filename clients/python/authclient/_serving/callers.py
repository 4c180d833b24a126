"""Who is calling: what a handler asks for, in every kind of server and handler."""

import contextlib
from collections.abc import Iterator
from typing import Any

from authclient._judging.identity import Identity
from authclient._judging.verified import Verified
from authclient._wire.metadata import bearer

_callers: dict[int, tuple[Any, Verified]] = {}
# By the identity of the call's metadata, which stand beside the caller and so are no other call's meanwhile.
# Interceptors behind ours give handlers a context of their own, and each hands on the metadata. grpc's contexts take no
# attributes, and context variables do not reach synchronous handlers of an asyncio server (grpc/grpc#37881).


def remember(context: Any, caller: Verified) -> None:
    """Let `current_identity` answer this caller for the context and for each that is made of it, until `forget`."""
    metadata = context.invocation_metadata()
    _callers[id(metadata)] = metadata, caller


def forget(context: Any) -> None:
    """Let `current_identity` answer nobody any more."""
    _callers.pop(id(context.invocation_metadata()), None)


@contextlib.contextmanager
def remembered(context: Any, caller: Verified | None) -> Iterator[None]:
    """Let `current_identity` answer this caller within the block, if there is one."""
    if caller is None:
        yield
        return
    remember(context, caller)
    try:
        yield
    finally:
        forget(context)


def find_identity(context: object) -> Identity | None:
    """Return who is calling, or None where nobody had to prove it: the method is public, or its rule observes."""
    caller = _find(context)
    return caller.identity if caller else None


def _find(context: Any) -> Verified | None:
    ask = getattr(context, "invocation_metadata", None)
    _, caller = _callers.get(id(ask()), _NOBODY) if ask else _NOBODY
    return caller


_NOBODY: tuple[Any, Verified | None] = (None, None)


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
    caller = _find(context)
    assert caller is not None
    return (bearer(caller.token),)
