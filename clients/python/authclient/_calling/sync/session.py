"""A session of a caller: log in once, and every channel made from it sends a token that is good."""

import concurrent.futures
import functools
import os
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import grpc
from authapi.v1 import auth_service_pb2 as api
from authapi.v1.second_factor_pb2 import Challenge

from authclient._calling.challenges import SecondFactorNeeded, is_for_a_code
from authclient._calling.held_tokens import BEFORE_FORK, CHANNEL_BEFORE_FORK, REFRESH_SECONDS, HeldTokens, LoginNeeded
from authclient._calling.keeping import AwaitRefresh, Keeping, Pause, Send, Steps
from authclient._calling.line import Line
from authclient._calling.renewal import Counter
from authclient._calling.sync.attached import attach
from authclient._waiting.green import require_grpc_patched
from authclient._waiting.steps import in_thread
from authclient._wire.channels import NEVER_RESENT, OF_ITS_OWN, open_channel
from authclient._wire.metadata import bearer
from authclient._wire.times import MONOTONIC


class Session:
    """Keeps one login alive, refreshing when a token is needed and the one at hand is getting old. For many threads.

    The tokens are of the process that has logged in. In a child that was forked everything but `login` raises
    LoginNeeded, until `login` was called there.

    Args:
        address: `host:port` of the authentication service, or a channel to it.
        credentials: how to reach it; None for plaintext, which is for loopback only.
        insecure: allow plaintext to another machine.
        observer: hears of renewals of streams that an error has ended, as `authclient.prometheus.Metrics` does.

    Raises:
        ValueError: plaintext would leave this machine, or the text is no address.
        TypeError: address or credentials are of another type.
        RuntimeError: gevent has patched threads, and grpc has not been told.
    """

    def __init__(
        self,
        address: str | grpc.Channel,
        *,
        credentials: grpc.ChannelCredentials | None = None,
        insecure: bool = False,
        observer: Counter | None = None,
        monotonic: Callable[[], float] = MONOTONIC,
    ) -> None:
        require_grpc_patched()
        self._given = address if isinstance(address, grpc.Channel) else None
        self._open = functools.partial(open_channel, cast(str, address), credentials, insecure)
        self._observer = observer
        self._monotonic = monotonic
        self._home = self._begin()

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection to the authentication service. The session itself lives on; `logout` ends it."""
        home = self._home
        if self._given is None and home.is_here():
            for channel in home.line.close():
                channel.close()
            if refresh := home.keeping.refresh:
                refresh.join(REFRESH_SECONDS)

    def login(
        self,
        user_name_or_email: str,
        password: str,
        client_label: str = "",
        *,
        second_factor: Callable[[Challenge], str] | None = None,
    ) -> None:
        """Open a session. Raises grpc.RpcError as AuthService.Login and CompleteLogin answer it.

        Raises SecondFactorNeeded where a second factor is asked for and `second_factor` does not say what to answer, or
        an authenticator app has to be set up first. Raises RuntimeError in a child that was forked, where the session
        was given a channel of its parent.

        Args:
            second_factor: answers a challenge with a code of the user's app or a recovery code. Called once.
        """
        if not self._home.is_here():
            self._begin_in_child()
        challenge = in_thread(self._keeping.login(user_name_or_email, password, client_label), _wait)
        if challenge is None:
            return
        if second_factor is None or not is_for_a_code(challenge):
            raise SecondFactorNeeded(challenge)
        self.complete_login(challenge, second_factor(challenge))

    def complete_login(self, challenge: Challenge, code: str) -> tuple[str, ...]:
        """Open the session that `login` has begun. Raises grpc.RpcError as AuthService.CompleteLogin answers it.

        Returns the recovery codes, to be shown to the user, if this has set an authenticator app up; otherwise none.

        Args:
            challenge: of the SecondFactorNeeded that `login` has raised.
        """
        return in_thread(self._keeping.complete_login(challenge, code), _wait)

    def step_up(self, *, password: str | None = None, code: str | None = None) -> None:
        """Have the user prove once more who they are, by one of the two, for calls that ask for it.

        The next calls carry a token that says so. Raises LoginNeeded, ValueError for both or neither, and
        grpc.RpcError as AuthService.StepUp answers it.
        """
        in_thread(self._keeping.step_up(password, code), _wait)

    def logout(self, scope: api.LogoutScope.ValueType = api.LOGOUT_SCOPE_THIS) -> int:
        """End the session, and others of the user as the scope says. Returns how many ended. Raises grpc.RpcError."""
        return in_thread(self._keeping.logout(scope), _wait)

    def access_token(self) -> str:
        """Return a token that is good for a while. Raises LoginNeeded, or grpc.RpcError if the service is away."""
        return in_thread(self._keeping.access_token(), _wait)

    def replace(self, refused: str) -> str:
        """Return another token of the same session than one that a service has refused.

        Raises as `access_token`, and ValueError if the refused token is of a session before the last `login`.
        """
        return in_thread(self._keeping.replacement(refused), _wait)

    def channel(
        self,
        address: str,
        *,
        credentials: grpc.ChannelCredentials | None = None,
        insecure: bool = False,
    ) -> grpc.Channel:
        """Return a channel to a service on which every call carries the token.

        Raises ValueError if the token would leave this machine in the clear, unless `insecure`.
        """
        return self.attach(open_channel(address, credentials, insecure, is_instrumented=True))

    def attach(self, channel: grpc.Channel) -> grpc.Channel:
        """Return a channel that you have made yourself, with the token on every call.

        A call whose token is refused is sent once more with a new token of the same session, unless it streams requests
        or is a future. Streams are renewed before their token expires.
        """
        return attach(channel, self, self._observer)

    def call_credentials(self) -> grpc.CallCredentials:
        """Return credentials for `grpc.composite_channel_credentials`, where no interceptor can be had."""

        def plugin(_context: grpc.AuthMetadataContext, callback: grpc.AuthMetadataPluginCallback) -> None:
            try:
                callback((bearer(self.access_token()),), None)
            except Exception as error:
                callback((), error)

        return grpc.metadata_call_credentials(plugin)  # type: ignore[arg-type]  # a function will do

    @property
    def _keeping(self) -> Keeping:
        """What is kept in this process. Raises LoginNeeded in a child of the one that it was begun in."""
        if not self._home.is_here():
            raise LoginNeeded(BEFORE_FORK.format(pid=self._home.pid))
        return self._home.keeping

    def _begin(self) -> "_Home":
        """Return what is needed in this process, holding no tokens."""
        if self._given is None:
            anew = functools.partial(self._open, NEVER_RESENT + OF_ITS_OWN)
            line = Line(self._open(NEVER_RESENT), anew, lambda channel: channel.close())
        else:
            line = Line(self._given)
        return _Home(os.getpid(), line, Keeping(line, self._monotonic, _Refresh))

    def _begin_in_child(self) -> None:
        if self._given is not None:
            raise RuntimeError(CHANNEL_BEFORE_FORK.format(pid=self._home.pid))
        self._of_parent = self._home  # Kept, because grpc may hang where a channel of the parent is closed in a child.
        self._home = self._begin()


class _Home(NamedTuple):
    """What a session has in the process that uses it."""

    pid: int
    line: Line[grpc.Channel]
    keeping: Keeping

    def is_here(self) -> bool:
        """Tell whether that process is this one."""
        return self.pid == os.getpid()


class _Refresh(threading.Thread):
    """A refresh under way. In a thread of its own, so that nobody who can do without waits for it.

    Raises RuntimeError if the process may start no more threads.
    """

    def __init__(self, steps: Steps[HeldTokens]) -> None:
        super().__init__(name="authclient-refresh", daemon=True)
        self.tokens: concurrent.futures.Future[HeldTokens] = concurrent.futures.Future()
        self._steps = steps
        self.start()

    def run(self) -> None:
        try:
            self.tokens.set_result(in_thread(self._steps, _wait))
        except BaseException as error:
            self.tokens.set_exception(error)

    def done(self) -> bool:
        """Tell whether it is over."""
        return self.tokens.done()


def _wait(step: Send | Pause | AwaitRefresh) -> Any:
    match step:
        case Send():
            return step.begin()
        case Pause():
            return time.sleep(step.seconds)
        case AwaitRefresh():
            return step.refresh.tokens.result(step.seconds)
