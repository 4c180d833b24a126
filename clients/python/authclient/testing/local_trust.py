"""A trust that knows what an issuer in this process does, and can be made to fail."""

from collections.abc import Callable

from authclient._judging.authority import Following
from authclient._judging.judge import MAX_KEY_AGE, MAX_STALENESS, Judge
from authclient._judging.knowledge import Knowledge
from authclient._judging.observer import Observer
from authclient._judging.verified import Ask, Verified
from authclient._waiting.readiness import Readiness
from authclient._wire.refusals import Refused
from authclient.testing.issuer import Issuer


class LocalTrust:
    """Takes the place of authclient.Trust, without any thread or connection.

    Args:
        issuer: whom to trust.
        max_staleness: seconds that the view may be old, for rules that leave it open.
        observer: hears of each decision.
    """

    def __init__(
        self,
        issuer: Issuer,
        *,
        max_staleness: float = MAX_STALENESS,
        max_key_age: float = MAX_KEY_AGE,
        observer: Observer | None = None,
    ) -> None:
        self._issuer = issuer
        self.observer = observer or Observer()
        self.knowledge = Knowledge(issuer.clock, issuer.clock)
        self.judge = Judge(
            self.knowledge, issuer.issuer, issuer.audience, max_staleness=max_staleness, max_key_age=max_key_age
        )
        self.is_following = True
        self.can_ask = True
        self._listeners: list[Callable[[], None]] = []
        ready = Readiness()
        ready.announce()
        self.following: Following | None = Following(ready, 0.0, self.listen)
        issuer.listen(self._follow)
        issuer.clock.listen(self._follow)
        self._follow()

    @property
    def is_ready(self) -> bool:
        """Whether anything is known."""
        return True

    def stale(self) -> None:
        """Learn of nothing from now on, as when the stream is cut. Verify still answers."""
        self.is_following, self.can_ask = False, True

    def away(self) -> None:
        """Learn of nothing and reach nobody from now on, as when the authentication service is down."""
        self.is_following = self.can_ask = False

    def back(self) -> None:
        """Be as well informed as ever."""
        self.is_following = self.can_ask = True
        self._follow()

    def view_age(self) -> float:
        """Return how many seconds of the issuer's clock ago anything was learned."""
        return self.knowledge.view_age()

    def wait_until_ready(self, timeout: float) -> bool:
        """Return at once."""
        return True

    async def until_ready(self, timeout: float) -> bool:
        """Return at once."""
        return True

    def ask(self, question: Ask, timeout: float) -> Verified:
        """Return whose token it is, as Verify would say. Raises Refused."""
        if not self.can_ask:
            raise Refused("VERIFICATION_UNAVAILABLE")
        issuer = self._issuer
        informed = Knowledge(issuer.clock, issuer.clock)
        _learn(informed, issuer)
        found = Judge(informed, issuer.issuer, issuer.audience).judge(question.token, MAX_STALENESS)
        assert isinstance(found, Verified)
        return found

    async def ask_async(self, question: Ask, timeout: float) -> Verified:
        """As `ask`."""
        return self.ask(question, timeout)

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each change."""
        self._listeners.append(listener)

    def _follow(self) -> None:
        if self.is_following:
            _learn(self.knowledge, self._issuer)
        for listener in self._listeners:
            listener()


def _learn(knowledge: Knowledge, issuer: Issuer) -> None:
    now = issuer.clock()
    knowledge.keys = issuer.keys
    knowledge.view = issuer.view
    knowledge.complete(now, now, keys=True)
