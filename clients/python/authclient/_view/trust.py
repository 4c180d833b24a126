"""What one process knows about tokens, and where it asks about the rest."""

import functools
import time
from collections.abc import Callable

import grpc

from authclient._judging import judge as judging
from authclient._judging.authority import Following
from authclient._judging.judge import Judge
from authclient._judging.knowledge import Knowledge
from authclient._judging.observer import Observer
from authclient._judging.verified import Ask, Verified
from authclient._tokens.key_sets import SHARED_SECRET_ID
from authclient._tokens.keys import VerificationKey
from authclient._tokens.weak_secrets import known_weakness_of
from authclient._view.asking import Asking
from authclient._view.connection import Connection
from authclient._view.diagnosis import Server
from authclient._view.forks import Forks
from authclient._view.hearing import Hearing
from authclient._view.outage import Outage
from authclient._view.watch import Watch
from authclient._waiting.green import require_grpc_patched
from authclient._wire.channels import NEVER_RESENT, OF_ITS_OWN, open_channel
from authclient._wire.times import MONOTONIC, check_seconds


class Trust:
    """What one process knows about tokens, kept up to date in the background. Lives as long as the process.

    Starts without the authentication service and goes on trying to reach it. Must be made after a fork: one that was
    made before it warns in the child, guards no new server there and answers no question.

    Args:
        address: `host:port` of the authentication service, or a channel to it, with NEVER_RESENT among its options.
            A connection that dies without a word is replaced within seconds; a channel of yours is not.
        audience: the only `aud` that is accepted; whatever the authentication service issues for you.
        issuer: the only accepted `iss`.
        credentials: how to reach the service; None for plaintext, which is for loopback only.
        insecure: allow plaintext to another machine.
        shared_secret: the JWT_SECRET of the authentication service, where it signs with that.
        max_staleness: seconds that the view may be old, for rules that leave it open.
        max_key_age: seconds that keys are used after they were last known to be current.
        patience: seconds that calls may wait for the first view, counted from the first that does.
        observer: hears of the connection and of each decision.

    Raises:
        ValueError: issuer or audience is empty, a time is negative, plaintext would leave this machine, or the shared
            secret is one that somebody with a token could find.
        TypeError: something is of another type; the text says what to write.
        RuntimeError: gevent has patched threads, and grpc has not been told.
    """

    def __init__(
        self,
        address: str | grpc.Channel,
        *,
        audience: str,
        issuer: str = "authservice",
        credentials: grpc.ChannelCredentials | None = None,
        insecure: bool = False,
        shared_secret: bytes | None = None,
        max_staleness: float = judging.MAX_STALENESS,
        max_key_age: float = judging.MAX_KEY_AGE,
        patience: float = 2.0,
        observer: Observer | None = None,
        monotonic: Callable[[], float] = MONOTONIC,
        clock: Callable[[], float] = time.time,
    ) -> None:
        require_grpc_patched()
        check_seconds("patience", patience)
        self.knowledge = Knowledge(monotonic, clock)
        self.judge = Judge(self.knowledge, issuer, audience, max_staleness=max_staleness, max_key_age=max_key_age)
        self.observer = observer or Observer()
        secret = _key_of(shared_secret) if shared_secret else None
        if isinstance(address, grpc.Channel):
            self._connection = Connection(address)
        else:
            open_one = functools.partial(open_channel, address, credentials, insecure)
            self._connection = Connection(open_one(NEVER_RESENT), lambda: open_one(NEVER_RESENT + OF_ITS_OWN))
        hearing = Hearing()
        self._asking = Asking(self._connection, hearing)
        server = Server(address, credentials is not None) if isinstance(address, str) else None
        outage = Outage(server, monotonic)
        self._watch = Watch(self._connection, hearing, self.knowledge, secret, self.observer, outage, monotonic)
        self._following = Following(self._watch.ready, patience, self.listen, self._watch.unwatched_seconds)
        self._forks = Forks("Trust")
        self._watch.start()

    def __enter__(self) -> "Trust":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the background work. Calls are judged by what is known until that is too old."""
        if self._forks.is_child():
            return
        self._forks.forget()
        self._watch.close()
        self._connection.close()

    @property
    def following(self) -> Following | None:
        """How the view comes. Raises RuntimeError in a child that was forked, where it does not come."""
        self._forks.require_parent()
        return self._following

    def view_age(self) -> float:
        """Return how many seconds ago the knowledge of revocations was complete; infinite if it never was."""
        return self.knowledge.view_age()

    @property
    def signatures_checked(self) -> int:
        """How many tokens were seen for the first time."""
        return self.judge.signatures_checked

    @property
    def is_ready(self) -> bool:
        """Whether there was a complete view once."""
        return bool(self._watch.ready)

    def wait_until_ready(self, timeout: float) -> bool:
        """Wait for the first complete view. Tells whether it is there. Raises as `following`."""
        self._forks.require_parent()
        return self._watch.ready.wait(timeout)

    async def until_ready(self, timeout: float) -> bool:
        """As `wait_until_ready`, for asyncio."""
        self._forks.require_parent()
        return await self._watch.ready.wait_async(timeout)

    def ask(self, question: Ask, timeout: float) -> Verified:
        """Return whose token it is, as Verify says. Raises Refused, and as `following`."""
        self._forks.require_parent()
        return self._asking.ask(question, timeout)

    async def ask_async(self, question: Ask, timeout: float) -> Verified:
        """As `ask`, for asyncio."""
        self._forks.require_parent()
        return await self._asking.ask_async(question, timeout)

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each change of the view, and twice a second. It must not wait."""
        self._watch.listen(listener)


def _key_of(secret: bytes) -> VerificationKey:
    """Return the key that a shared secret is. Raises ValueError, as `serve` refuses it, where others know it too."""
    key = VerificationKey(SHARED_SECRET_ID, "HS256", secret)
    if weakness := known_weakness_of(secret):
        raise ValueError(
            f"shared_secret {weakness}: others could make tokens with it. Set another JWT_SECRET at the authentication "
            "service, such as the output of `openssl rand -base64 48`, and here."
        )
    return key
