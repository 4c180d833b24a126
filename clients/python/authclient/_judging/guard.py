"""What the interceptors for synchronous and asyncio servers have in common."""

from collections.abc import Callable
from typing import Protocol

from authclient._judging.judge import Judge
from authclient._judging.observer import Observer, contain, log
from authclient._judging.rules import EXEMPT_METHODS, Policy, Rule
from authclient._judging.verified import Ask, Verified
from authclient._wire.metadata import Metadata, bearer_token
from authclient._wire.refusals import Refused

RENEW_METHOD = "/authapi.v1.StreamService/RenewStream"
RENEW_RULE = Rule()
"""Anyone with a good token; which stream it may renew is decided by that stream's own rule."""


class Authority(Protocol):
    """Where a guard learns what tokens are worth. Trust is one; see there."""

    judge: Judge
    observer: Observer
    patience: float
    monotonic: Callable[[], float]

    @property
    def is_ready(self) -> bool: ...
    def view_age(self) -> float: ...
    def wait_until_ready(self, timeout: float) -> bool: ...
    async def until_ready(self, timeout: float) -> bool: ...
    def ask(self, question: Ask, timeout: float) -> Verified: ...
    async def ask_async(self, question: Ask, timeout: float) -> Verified: ...
    def listen(self, listener: Callable[[], None]) -> None: ...


class Guard:
    """Judges the calls of one server.

    Args:
        policy: the rules of its methods.
    """

    def __init__(self, policy: Policy, trust: Authority) -> None:
        self.trust = trust
        self._policy = policy

    def is_exempt(self, method: str) -> bool:
        """Tell whether a method is one that anyone may call, of a service whose .proto has no rules."""
        return method in EXEMPT_METHODS

    def rule(self, method: str) -> Rule | None:
        """Return the rule of a method, or None if it is to be refused."""
        return self._policy.rule(method)

    def staleness(self, rule: Rule) -> float:
        """Return how many seconds old the view may be for a rule."""
        return self.trust.judge.max_staleness if rule.max_staleness is None else rule.max_staleness

    def start(self, rule: Rule, metadata: Metadata) -> Verified | Ask:
        """Return who is calling, or what to ask first. Raises Refused."""
        return self.judge(rule, bearer_token(metadata))

    def judge(self, rule: Rule, token: str) -> Verified | Ask:
        """Return whose token it is, or that Verify has to be asked. Raises Refused."""
        return self.trust.judge.judge(token, self.staleness(rule))

    def admit(self, method: str, rule: Rule, verified: Verified, *, asked: bool) -> None:
        """Raise Refused unless the rule lets the caller in."""
        contain(self.trust.observer.judged, method, asked=asked)
        self.trust.judge.admit(verified, rule)

    def refuse(self, method: str, rule: Rule | None, error: Exception) -> Refused | None:
        """Return how a call is refused, or None if its rule lets it pass all the same."""
        if not isinstance(error, Refused):
            log.error("the guard of %s failed; the call is refused", method, exc_info=error)
        refused = error if isinstance(error, Refused) else Refused("VERIFICATION_UNAVAILABLE")
        log.debug("%s is refused: %s: %s", method, refused.reason, refused)
        enforced = not (rule and rule.observe)
        contain(self.trust.observer.refused, method, refused.reason, enforced=enforced)
        return refused if enforced else None
