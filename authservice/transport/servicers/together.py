"""authapi.v1.AuthService for calls that are answered together: decode all, call one use case, encode all.

For methods that are open to anyone, because no guard stands before these. See entrance.line.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import grpc
from authapi.v1 import auth_service_pb2 as api
from google.protobuf.message import DecodeError, Message

from authservice.domain.deadline import Deadline
from authservice.domain.errors import AuthError, DeadlineTooShort, StorageUnavailable
from authservice.domain.tokens import REMEMBERED, Identity, SessionTokens
from authservice.ports import Clock
from authservice.transport.boundary import OnUnavailable, nobody_hears, unparsable
from authservice.transport.entrance.grpcio import Call
from authservice.transport.entrance.line import Answer, Answerer, Together
from authservice.transport.messages.auth import identity, logout_request, session_tokens
from authservice.transport.messages.times import timestamp
from authservice.transport.servicers.auth import SERVICE
from authservice.transport.statuses import final_status
from authservice.usecases.auth import AuthStories
from authservice.usecases.auth.logout import LogoutRequest

WAIT_SECONDS = 5.0
"""How long a writing call stands in line at most: as long as the database has a write wait for another writer."""
_BUSY = final_status(StorageUnavailable())

M = TypeVar("M", bound=Message)
T = TypeVar("T")


class Answers:
    """What is answered about identities, made once for each until they are too many. For one thread at a time."""

    def __init__(self) -> None:
        self._made: dict[Identity, bytes] = {}

    def about(self, found: Identity) -> bytes:
        """Return a serialized VerifyResponse, without the time."""
        answer = self._made.get(found)
        if answer is None:
            # Each keeps its identity: no more than are remembered at least. To make one takes 8 µs; to know which to
            # keep would take as much memory as they do.
            if len(self._made) >= REMEMBERED:
                self._made = {}
            self._made[found] = answer = api.VerifyResponse(identity=identity(found)).SerializeToString()
        return answer


@dataclass(frozen=True, slots=True)
class AuthTogether:
    """Answers calls. Lives as long as the server; each method is for one thread at a time."""

    stories: AuthStories
    clock: Clock
    on_unavailable: OnUnavailable = nobody_hears
    _answers: Answers = field(default_factory=Answers)

    def methods(self) -> Mapping[str, Together]:
        """Return what answers each method, by full name."""
        return {
            f"/{SERVICE}/Verify": Together(_or_refused(self.verify_each)),
            f"/{SERVICE}/Refresh": Together(_or_refused(self.refresh_each), wait=WAIT_SECONDS, busy=_BUSY),
            f"/{SERVICE}/Logout": Together(_or_refused(self.logout_each), _ends_its_own_session, WAIT_SECONDS, _BUSY),
        }

    def verify_each(self, calls: Sequence[Call]) -> list[Answer]:
        """Say whose access tokens they are."""

        def work(requests: Sequence[api.VerifyRequest]) -> Sequence[Identity | AuthError]:
            return self.stories.verify.each([request.access_token for request in requests])

        outcomes = _each(api.VerifyRequest.FromString, calls, work)
        # Two serialized messages in a row are one that has the fields of both.
        server_time = api.VerifyResponse(server_time=timestamp(self.clock())).SerializeToString()
        return [
            self._refusal(outcome) if isinstance(outcome, AuthError) else self._answers.about(outcome) + server_time
            for outcome in outcomes
        ]

    def refresh_each(self, calls: Sequence[Call]) -> list[Answer]:
        """Spend refresh tokens."""

        def work(requests: Sequence[api.RefreshRequest]) -> Sequence[SessionTokens | AuthError]:
            return self.stories.refresh.each([request.refresh_token for request in requests], _latest(calls))

        outcomes = _each(api.RefreshRequest.FromString, calls, work)
        server_time = timestamp(self.clock())
        return [
            self._refusal(_true_reason(outcome, call))
            if isinstance(outcome, AuthError)
            else api.RefreshResponse(tokens=session_tokens(outcome), server_time=server_time).SerializeToString()
            for outcome, call in zip(outcomes, calls, strict=True)
        ]

    def logout_each(self, calls: Sequence[Call]) -> list[Answer]:
        """End sessions."""
        requests = [_logout_request(call) for call in calls]
        sound = [request for request in requests if not isinstance(request, AuthError)]
        ended = iter(self.stories.logout.each(sound, _latest(calls)))
        outcomes = [request if isinstance(request, AuthError) else next(ended) for request in requests]
        return [
            self._refusal(_true_reason(outcome, call))
            if isinstance(outcome, AuthError)
            else api.LogoutResponse(ended_sessions=outcome).SerializeToString()
            for outcome, call in zip(outcomes, calls, strict=True)
        ]

    def _refusal(self, error: AuthError) -> grpc.Status:
        if isinstance(error, StorageUnavailable):
            self.on_unavailable(error)
        error.forget_frames()
        return final_status(error)


def _or_refused(answer_all: Answerer) -> Answerer:
    """Return what answers calls, all with one refusal where none can be answered: nobody knows what time it is."""

    def answers(calls: Sequence[Call]) -> Sequence[Answer]:
        try:
            return answer_all(calls)
        except AuthError as error:
            return [final_status(error)] * len(calls)

    return answers


def _each(
    parse: Callable[[bytes], M], calls: Sequence[Call], work: Callable[[Sequence[M]], Sequence[T | AuthError]]
) -> list[T | AuthError]:
    """Return what comes of each call: of the work for all that are messages, in their order."""
    requests = [_decoded(parse, call) for call in calls]
    found = iter(work([request for request in requests if not isinstance(request, AuthError)]))
    return [request if isinstance(request, AuthError) else next(found) for request in requests]


def _decoded(parse: Callable[[bytes], M], call: Call) -> M | AuthError:
    try:
        return parse(call.message or b"")
    except DecodeError:
        return unparsable()


def _ends_its_own_session(call: Call) -> bool:
    """Tell whether a Logout ends the session that calls and no other; one that ends many would keep others waiting."""
    try:
        request = api.LogoutRequest.FromString(call.message or b"")
    except DecodeError:
        return False
    return not request.session_id and request.scope in (api.LOGOUT_SCOPE_UNSPECIFIED, api.LOGOUT_SCOPE_THIS)


def _logout_request(call: Call) -> LogoutRequest | AuthError:
    try:
        request = _decoded(api.LogoutRequest.FromString, call)
        return request if isinstance(request, AuthError) else logout_request(request, call.metadata)
    except AuthError as error:
        return error


def _latest(calls: Sequence[Call]) -> Deadline:
    # Whoever has more time carries on for the others. The wait counts from when a call came, so that it does not begin
    # anew after that of those before it in line.
    latest = max(min(call.until, call.since + WAIT_SECONDS) for call in calls)
    return Deadline(latest, lambda: not any(call.is_active() for call in calls))


def _true_reason(error: AuthError, call: Call) -> AuthError:
    """Return what a call has met. One that had time left has met a busy database, not its deadline."""
    return StorageUnavailable() if isinstance(error, DeadlineTooShort) and call.until > time.monotonic() else error
