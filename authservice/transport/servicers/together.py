"""authapi.v1.AuthService for calls that are answered together: decode all, call one use case, encode all.

For methods that are open to anyone, because no guard stands before these. See entrance.line.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from authapi.v1 import auth_service_pb2 as api
from google.protobuf.message import DecodeError, Message

from authservice.domain.errors import AuthError
from authservice.domain.tokens import Identity
from authservice.ports import Clock
from authservice.transport.boundary import unparsable
from authservice.transport.entrance.grpcio import Call
from authservice.transport.entrance.line import Answer, Answerer
from authservice.transport.messages.auth import identity
from authservice.transport.messages.times import timestamp
from authservice.transport.servicers.auth import SERVICE
from authservice.transport.statuses import final_status
from authservice.usecases.auth.verify import Verify

M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class AuthTogether:
    """Answers calls. Lives as long as the server; each method is for one thread at a time."""

    verify: Verify
    clock: Clock

    def methods(self) -> Mapping[str, Answerer]:
        """Return what answers each method, by full name."""
        return {f"/{SERVICE}/Verify": self.verify_each}

    def verify_each(self, calls: Sequence[Call]) -> list[Answer]:
        """Say whose access tokens they are."""
        requests = [_decoded(api.VerifyRequest.FromString, call) for call in calls]
        tokens = [request.access_token for request in requests if isinstance(request, api.VerifyRequest)]
        found = iter(self.verify.each(tokens))
        # Two serialized messages in a row are one that has the fields of both.
        server_time = api.VerifyResponse(server_time=timestamp(self.clock())).SerializeToString()
        answers: list[Answer] = []
        for request in requests:
            outcome = next(found) if isinstance(request, api.VerifyRequest) else request
            answers.append(final_status(outcome) if isinstance(outcome, AuthError) else _whose(outcome) + server_time)
        return answers


def _decoded(parse: Callable[[bytes], M], call: Call) -> M | AuthError:
    try:
        return parse(call.message or b"")
    except DecodeError:
        return unparsable()


@functools.lru_cache(16384)
def _whose(found: Identity) -> bytes:
    return api.VerifyResponse(identity=identity.__wrapped__(found)).SerializeToString()
