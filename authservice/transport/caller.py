"""What a call says about its caller beside the message: how long they wait, who they are, and from where.

The one conversion from grpc's context; servicers use nothing else of it.
"""

from collections.abc import Sequence
from uuid import UUID

import grpc
from authclient import current_identity

from authservice.domain.caller import Caller
from authservice.domain.deadline import Deadline
from authservice.domain.errors import TokenInvalid
from authservice.transport.networks import Networks

LONGEST_DEADLINE = 300.0
"""Seconds that a call may take, however long its caller would wait."""
NEVER = 10 * 365 * 86400.0
"""Seconds. A deadline further away than this is none."""
HOW_TO_SEND = 'Send one access token, as one entry "authorization: Bearer <token>".'
"""The guards of services say the same."""
_BLANKS = " \t"


def deadline_of(context: grpc.ServicerContext, default: float) -> Deadline:
    """Return the deadline of a call: `default` seconds if it brings none."""
    # grpc answers None, or a time in the far future, for a call without a deadline.
    remaining = context.time_remaining()
    seconds = default if remaining is None or remaining > NEVER else min(remaining, LONGEST_DEADLINE)
    return Deadline.after(seconds, lambda: not context.is_active())


def caller_of(context: grpc.ServicerContext, networks: Networks) -> Caller:
    """Return who calls a method whose rule asks for an access token. The guard has judged them."""
    identity = current_identity(context)
    return Caller(
        user_id=UUID(identity.user_id),
        session_id=UUID(identity.session_id),
        authenticated_at=identity.authenticated_at,
        auth_methods=identity.auth_methods,
        network=networks.of(context),
    )


def bearer_token(metadata: Sequence[tuple[str, str | bytes]]) -> str:
    """Return the token of the `authorization` entry, or an empty text if there is none, or no token in it.

    Raises TokenInvalid for two entries, of which a proxy and a server may choose different ones, and for another
    scheme.
    """
    entries = [value for key, value in metadata if key == "authorization"]
    if not entries:
        return ""
    text = str(entries[0])
    if len(entries) == 1 and text.strip(_BLANKS).lower() in {"", "bearer"}:
        return ""
    scheme, _, token = text.partition(" ")
    if len(entries) > 1 or scheme.lower() != "bearer":
        raise TokenInvalid(HOW_TO_SEND)
    return token
