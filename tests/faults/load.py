"""Clients that make all five calls at once until told to stop, and remember every answer.

Each call has one of three outcomes: done, refused, or unknown because the answer never came. A done write has to be
there afterwards, an unknown one has to be wholly there or wholly not, and a refusal for any reason but that the server
is away is wrong.
"""

import contextlib
import itertools
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar
from uuid import UUID

import grpc
from authapi.v1 import auth_service_pb2_grpc as rpc

from authservice.domain.tokens import SessionTokens
from tests.faults.processes import ServerProcess, wait_until
from tests.faults.seeding import Seeder
from tests.observed import Refusal, login, logout, refresh, register, verify

T = TypeVar("T")
Stub = rpc.AuthServiceStub

REFRESHERS = 3
CHAINS_EACH = 100
"""So many that none is refreshed so often that its token would stay."""
RECOVERY_SECONDS = 25.0
"""Less than the grace window of a spent refresh token."""
PROGRESS_SECONDS = 120
"""Some of it takes hashes, which stand back behind all else that runs on the machine."""
STOP_SECONDS = 0.1
"""How often a client that has nothing to do looks whether it is told to stop."""
_NO_ANSWER = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


@dataclass
class Chain:
    """The refreshes of one session, one after another."""

    session_id: UUID
    token: str = field(repr=False)
    steps: int = 0


@dataclass
class History:
    """What clients did and were answered. Each list is appended to by many threads, which lists bear."""

    registered: dict[str, str] = field(default_factory=dict)
    registrations_unknown: list[str] = field(default_factory=list)
    ended: list[SessionTokens] = field(default_factory=list)
    logouts_unknown: list[SessionTokens] = field(default_factory=list)
    chains: list[Chain] = field(default_factory=list)
    refreshes_unknown: list[UUID] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)
    verified: int = 0
    refusals: list[tuple[str, Refusal]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def refreshed(self) -> int:
        """How many refreshes were answered."""
        return sum(chain.steps for chain in self.chains)

    @property
    def done(self) -> int:
        """How many writes were acknowledged."""
        return len(self.registered) + len(self.ended) + len(self.opened) + self.refreshed

    @property
    def unknown(self) -> int:
        """How many writes got no answer."""
        return len(self.registrations_unknown) + len(self.logouts_unknown) + len(self.refreshes_unknown)

    def summary(self) -> str:
        """Return the counts of it, for people."""
        return (
            f"acknowledged {len(self.registered)} registers, {len(self.opened)} logins, {len(self.ended)} logouts, "
            f"{self.refreshed} refreshes, {self.verified} verifications; {self.unknown} writes unanswered"
        )


def idempotency_key(name: str) -> str:
    """Return the key under which a client registers a name."""
    return f"idempotency-key-of-{name}"


class Load:
    """Threads of clients, each with a connection of its own. `name` is the user who logs in."""

    def __init__(self, server: ServerProcess, seeds: Seeder, name: str, *, to_end: int) -> None:
        self._name = name
        (self._alive,) = seeds.sessions(seeds.user(name), 1)
        # A user for each kind of change: in a group of MySQL two changes at a time collide that are about one user.
        refreshers = [seeds.user(f"{name}{number}") for number in range(REFRESHERS)]
        self._chains = [
            [Chain(tokens.session_id, tokens.refresh_token) for tokens in seeds.sessions(user, CHAINS_EACH)]
            for user in refreshers
        ]
        self.history = History(chains=list(itertools.chain(*self._chains)))
        self._server = server
        self.user = seeds.user(f"{name}-ends")
        self._to_end: queue.SimpleQueue[SessionTokens] = queue.SimpleQueue()
        self.end(seeds.sessions(self.user, to_end))
        self._next = threading.Lock()
        self._numbers = itertools.count()
        self._stop = threading.Event()
        clients: list[Callable[[Stub], None]] = [self._register, self._log_in, self._log_out, self._verify]
        clients += [self._register, self._log_out]  # Two of each, so that they meet.
        clients += [self._refreshing(chains) for chains in self._chains]
        self._threads = [threading.Thread(target=self._run, args=(client,)) for client in clients]

    @contextlib.contextmanager
    def running(self) -> Iterator[History]:
        """Run all clients inside the block."""
        for thread in self._threads:
            thread.start()
        try:
            yield self.history
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join()

    def end(self, sessions: Iterable[SessionTokens]) -> None:
        """Have more sessions logged out."""
        for tokens in sessions:
            self._to_end.put(tokens)

    def _run(self, client: Callable[[Stub], None]) -> None:
        with self._server.stub() as stub:
            try:
                while not self._stop.is_set():
                    client(stub)
            except Exception as error:
                self.history.wrong.append(repr(error))

    def _register(self, stub: Stub) -> None:
        with self._next:
            name = f"user{next(self._numbers)}"
        user = self._answer("Register", lambda: register(stub, name, idempotency_key=idempotency_key(name)).user_id)
        if user is None:
            self.history.registrations_unknown.append(name)
        else:
            self.history.registered[name] = user

    def _log_out(self, stub: Stub) -> None:
        try:
            tokens = self._to_end.get(timeout=STOP_SECONDS)
        except queue.Empty:
            return
        if self._answer("Logout", lambda: logout(stub, tokens.access_token)) is None:
            self.history.logouts_unknown.append(tokens)
        else:
            self.history.ended.append(tokens)

    def _log_in(self, stub: Stub) -> None:
        if tokens := self._answer("Login", lambda: login(stub, self._name)):
            self.history.opened.append(tokens.access_token)

    def _verify(self, stub: Stub) -> None:
        identity = self._answer("Verify", lambda: verify(stub, self._alive.access_token))
        if identity:
            assert identity.session_id == str(self._alive.session_id)
            self.history.verified += 1

    def _refreshing(self, chains: list[Chain]) -> Callable[[Stub], None]:
        in_turn = itertools.cycle(chains)

        def client(stub: Stub) -> None:
            chain = next(in_turn)
            spent = chain.token
            successor = self._answer("Refresh", lambda: refresh(stub, spent).refresh_token)
            if successor is None:
                self.history.refreshes_unknown.append(chain.session_id)
                successor = self._recovered(stub, spent)
            chain.steps += successor != spent
            chain.token = successor

        return client

    def _recovered(self, stub: Stub, spent: str) -> str:
        """Ask again with the same token until there are two answers, which have to be the same."""
        answers: list[str] = []
        begin = time.monotonic()
        while len(answers) < 2:
            waited = time.monotonic() - begin
            assert waited < RECOVERY_SECONDS, f"an unanswered refresh did not recover in {waited:.0f} s"
            if successor := self._answer("Refresh", lambda: refresh(stub, spent).refresh_token):
                answers.append(successor)
        assert answers[0] == answers[1], "two successors of one refresh token"
        return answers[0]

    def _answer(self, method: str, call: Callable[[], T]) -> T | None:
        """Return the answer, or None if there was none, after as long a pause as was asked for."""
        try:
            return call()
        except grpc.RpcError as error:
            refusal = Refusal(error)
            if refusal.code not in _NO_ANSWER:
                self.history.wrong.append(f"{method}: {refusal.code} {refusal.reason} {refusal.message}")
            self.history.refusals.append((method, refusal))
            self._stop.wait(refusal.retry_after or 0)
            return None


def progress(history: History, writes: int) -> None:
    """Wait for so many acknowledged writes, at least one of each kind that takes a hash."""
    done, users, opened = history.done, len(history.registered), len(history.opened)
    wait_until(
        lambda: (
            history.wrong
            or (history.done >= done + writes and len(history.registered) > users and len(history.opened) > opened)
        ),
        PROGRESS_SECONDS,
        "progress",
    )
