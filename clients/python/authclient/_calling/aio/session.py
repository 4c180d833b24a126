"""A session of an asyncio caller. See authclient.Session."""

import asyncio
import concurrent.futures
import contextlib
import functools
import os
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, cast

import grpc
from authapi.v1 import auth_service_pb2 as api
from authapi.v1.second_factor_pb2 import Challenge

from authclient._calling.aio.attached import attach
from authclient._calling.challenges import SecondFactorNeeded, is_for_a_code
from authclient._calling.held_tokens import AIO_BEFORE_FORK, OTHER_LOOP, HeldTokens, Holding, LoginNeeded
from authclient._calling.keeping import AwaitRefresh, Keeping, Pause, Send, Steps
from authclient._calling.line import Line
from authclient._calling.renewal import Counter
from authclient._waiting.steps import in_task
from authclient._wire.channels import NEVER_RESENT, OF_ITS_OWN, check_target, open_aio_channel
from authclient._wire.metadata import bearer
from authclient._wire.times import MONOTONIC


class Session:
    """Keeps one login alive, for the tasks of one event loop. Everything else as authclient.Session.

    May be made where no loop runs, such as at the top of a module: it connects in the loop that uses it first, and anew
    in another one once that is closed. Likewise it may be made before a fork, but not used before it: what grpc has for
    asyncio does not outlive a fork.

    Args:
        address: `host:port` of the authentication service, or an asyncio channel to it.

    Raises:
        RuntimeError: from `login` in a child of a process that has used it; from each use while another event loop
            that has used it is open.
    """

    def __init__(
        self,
        address: str | grpc.aio.Channel,
        *,
        credentials: grpc.ChannelCredentials | None = None,
        insecure: bool = False,
        observer: Counter | None = None,
        monotonic: Callable[[], float] = MONOTONIC,
    ) -> None:
        self._given = address if isinstance(address, grpc.aio.Channel) else None
        if self._given is None:
            check_target(address, credentials, insecure)
        self._open = functools.partial(open_aio_channel, cast(str, address), credentials, insecure)
        self._observer = observer
        self._monotonic = monotonic
        self._holding = Holding()
        self._home: _Home | None = None
        self._pid = os.getpid() if self._given else None

    async def __aenter__(self) -> "Session":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection to the authentication service. The session itself lives on; `logout` ends it."""
        home = self._home
        if self._given is None and home and self._pid == os.getpid() and home.is_here():
            for channel in home.line.close():
                await channel.close()
            if refresh := home.keeping.refresh:
                refresh.cancel()
                await asyncio.wait([refresh])

    async def login(
        self,
        user_name_or_email: str,
        password: str,
        client_label: str = "",
        *,
        second_factor: Callable[[Challenge], Awaitable[str]] | None = None,
    ) -> None:
        """Open a session. Raises grpc.aio.AioRpcError as AuthService.Login and CompleteLogin answer it.

        Raises SecondFactorNeeded as authclient.Session does. `second_factor` is awaited.
        """
        try:
            keeping = self._keeping
        except LoginNeeded as child:
            raise RuntimeError(str(child)) from None
        challenge = await in_task(keeping.login(user_name_or_email, password, client_label), _wait)
        if challenge is None:
            return
        if second_factor is None or not is_for_a_code(challenge):
            raise SecondFactorNeeded(challenge)
        await self.complete_login(challenge, await second_factor(challenge))

    async def complete_login(self, challenge: Challenge, code: str) -> tuple[str, ...]:
        """Open the session that `login` has begun. Returns recovery codes as authclient.Session does."""
        return await in_task(self._keeping.complete_login(challenge, code), _wait)

    async def step_up(self, *, password: str | None = None, code: str | None = None) -> None:
        """Have the user prove once more who they are, by one of the two, for calls that ask for it."""
        await in_task(self._keeping.step_up(password, code), _wait)

    async def logout(self, scope: api.LogoutScope.ValueType = api.LOGOUT_SCOPE_THIS) -> int:
        """End the session, and others of the user as the scope says. Returns how many ended."""
        return await in_task(self._keeping.logout(scope), _wait)

    async def access_token(self) -> str:
        """Return a token that is good for a while. Raises LoginNeeded, or AioRpcError if the service is away."""
        return await in_task(self._keeping.access_token(), _wait)

    async def replace(self, refused: str) -> str:
        """Return another token of the same session than one that a service has refused.

        Raises as `access_token`, and ValueError if the refused token is of a session before the last `login`.
        """
        return await in_task(self._keeping.replacement(refused), _wait)

    def channel(
        self, address: str, *, credentials: grpc.ChannelCredentials | None = None, insecure: bool = False
    ) -> grpc.aio.Channel:
        """Return a channel to a service on which every call carries the token.

        Raises ValueError if the token would leave this machine in the clear, unless `insecure`.
        """
        return self.attach(
            lambda interceptors: open_aio_channel(address, credentials, insecure, interceptors=interceptors)
        )

    def attach(self, make: Callable[[list[grpc.aio.ClientInterceptor]], grpc.aio.Channel]) -> grpc.aio.Channel:
        """Return a channel that you make yourself, with the token on every call. What is done is as in authclient.

        asyncio's channels take interceptors only when they are made, so `make` is called with them:

            session.attach(lambda interceptors: grpc.aio.secure_channel(address, ca, interceptors=interceptors))
        """
        return attach(make, self, self._observer)

    def call_credentials(self) -> grpc.CallCredentials:
        """Return credentials for `grpc.composite_channel_credentials`, where no interceptor can be had.

        They go by the event loop that runs now.
        """
        loop = asyncio.get_running_loop()

        def plugin(_context: grpc.AuthMetadataContext, callback: grpc.AuthMetadataPluginCallback) -> None:
            def tell(token: concurrent.futures.Future[str]) -> None:
                try:
                    callback((bearer(token.result()),), None)
                except Exception as error:
                    callback((), error)

            asking = self.access_token()
            try:
                # grpc asks in a thread of its own.
                asyncio.run_coroutine_threadsafe(asking, loop).add_done_callback(tell)
            except RuntimeError as error:  # The loop is closed.
                asking.close()
                callback((), error)

        return grpc.metadata_call_credentials(plugin)  # type: ignore[arg-type]  # a function will do

    @property
    def _keeping(self) -> Keeping:
        """What is kept in the running loop. Raises LoginNeeded in a child of the process that has used it."""
        if self._pid not in (None, os.getpid()):
            raise LoginNeeded(AIO_BEFORE_FORK.format(pid=self._pid))
        home = self._home
        if home is None or home.loop.is_closed():
            home = self._home = self._settle()
        if not home.is_here():
            raise RuntimeError(OTHER_LOOP)
        return home.keeping

    def _settle(self) -> "_Home":
        """Return what is needed in the running loop."""
        self._pid = os.getpid()
        if self._given is None:
            anew = functools.partial(self._open, NEVER_RESENT + OF_ITS_OWN)
            line = Line(self._open(NEVER_RESENT), anew, _hang_up)
        else:
            line = Line(self._given)
        keeping = Keeping(line, self._monotonic, _begin, self._holding)
        return _Home(asyncio.get_running_loop(), line, keeping)


class _Home(NamedTuple):
    """What a session has in the event loop that uses it."""

    loop: asyncio.AbstractEventLoop
    line: Line[grpc.aio.Channel]
    keeping: Keeping

    def is_here(self) -> bool:
        """Tell whether that loop is the one that runs now."""
        return self.loop is asyncio.get_running_loop()


_hanging_up: "set[asyncio.Task[None]]" = set()
"""Tasks that nobody awaits, and that the event loop alone would lose."""


def _hang_up(channel: grpc.aio.Channel) -> None:
    """Close a channel, in a task of its own. Where the event loop is over, so are its connections."""
    with contextlib.suppress(RuntimeError):
        closing = asyncio.get_running_loop().create_task(channel.close())
        _hanging_up.add(closing)
        closing.add_done_callback(_hanging_up.discard)


def _begin(steps: Steps[HeldTokens]) -> "asyncio.Task[HeldTokens]":
    """Begin a refresh, in a task of its own, so that it goes on if those who wait for it do not."""
    refresh = asyncio.get_running_loop().create_task(in_task(steps, _wait))
    refresh.add_done_callback(_heard)
    return refresh


def _heard(refresh: "asyncio.Task[HeldTokens]") -> None:
    """Take notice of a failure, even if nobody waits for the token."""
    if not refresh.cancelled():
        refresh.exception()


async def _wait(step: Send | Pause | AwaitRefresh) -> Any:
    match step:
        case Send():
            return await step.begin()
        case Pause():
            return await asyncio.sleep(step.seconds)
        case AwaitRefresh():
            await asyncio.wait([step.refresh], timeout=step.seconds)
            if not step.refresh.done() or step.refresh.cancelled():
                raise asyncio.TimeoutError
            return step.refresh.result()
