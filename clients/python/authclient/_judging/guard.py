"""The order in which a call is judged, in every kind of server."""

import time
from collections.abc import Generator
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar

from authclient._judging.authority import Authority
from authclient._judging.observer import contain, log
from authclient._judging.rules import EXEMPT_METHODS, Policy, Rule
from authclient._judging.verified import Ask, Verified
from authclient._waiting.readiness import Readiness
from authclient._wire.metadata import Metadata, bearer_token
from authclient._wire.refusals import Refused

ASK_SECONDS = 5.0
"""How long Verify may take."""
SPARE_SECONDS = 0.05
"""What is left of a caller's deadline for the answer, when the authentication service takes too long to be asked."""


class Call(Protocol):
    """What is asked of a call. The contexts of grpc's servers are such."""

    def invocation_metadata(self) -> Any: ...
    def time_remaining(self) -> float | None: ...


class AwaitView(NamedTuple):
    """The step of waiting for the first view. It comes to whether there is one."""

    ready: Readiness
    seconds: float


class AskVerify(NamedTuple):
    """The step of asking Verify. It comes to whose token it is, or to Refused."""

    question: Ask
    seconds: float


Step: TypeAlias = AwaitView | AskVerify
Result = TypeVar("Result")
Steps: TypeAlias = Generator[Step, Any, Result]


class Guard:
    """Judges the calls of one server. See `_waiting.steps` for what returns steps.

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

    def admission(self, method: str, rule: Rule, metadata: Metadata) -> Verified | Ask | None:
        """Return who is calling, or None where nobody has to say or the rule only observes. Raises Refused.

        Where that is not known here, returns what to ask; `admission_after` goes on from there.
        """
        if rule.is_public:
            return None
        found = None
        try:
            found = self.start(rule, metadata)
            if not isinstance(found, Ask):
                self.admit(method, rule, found, asked=False)
        except Exception as error:
            self._overlook(method, rule, error)
        return found

    def admission_after(self, method: str, rule: Rule, question: Ask, call: Call) -> Steps[Verified | None]:
        """Return who is calling, or None where the rule only observes, after asking. Raises Refused."""
        verified = None
        try:
            verified = yield from self.settlement(rule, question, call)
            self.admit(method, rule, verified, asked=True)
        except Exception as error:
            self._overlook(method, rule, error)
        return verified

    def start(self, rule: Rule, metadata: Metadata) -> Verified | Ask:
        """Return who is calling, or what to ask first. Raises Refused."""
        return self.trust.judge.judge(bearer_token(metadata), rule.max_staleness)

    def settlement(self, rule: Rule, question: Ask, call: Call) -> Steps[Verified]:
        """Return whose token it is, as Verify says, or the view if that comes in time. Raises Refused."""
        until = time.monotonic() + _patience(call.time_remaining())
        following = self.trust.following
        if following and not following.ready:
            patience = following.ready.left(following.patience)
            is_ready = yield AwaitView(following.ready, min(patience, until - time.monotonic()))
            found = self.trust.judge.judge(question.token, rule.max_staleness) if is_ready else question
            if not isinstance(found, Ask):
                return found
        verified: Verified = yield AskVerify(question, until - time.monotonic())
        return verified

    def admit(self, method: str, rule: Rule, verified: Verified, *, asked: bool) -> None:
        """Raise Refused unless the rule lets the caller in."""
        contain(self.trust.observer.judged, method, asked=asked)
        self.trust.judge.admit(verified.known, rule)

    def refuse(self, method: str, rule: Rule | None, error: Exception) -> Refused | None:
        """Return how a call is refused, or None if its rule lets it pass all the same."""
        if not isinstance(error, Refused):
            log.error("the guard of %s failed; the call is refused", method, exc_info=error)
        refused = error if isinstance(error, Refused) else Refused("VERIFICATION_UNAVAILABLE")
        log.debug("%s is refused: %s: %s", method, refused.reason, refused)
        enforced = not (rule and rule.observe)
        contain(self.trust.observer.refused, method, refused.reason, enforced=enforced)
        return refused if enforced else None

    def _overlook(self, method: str, rule: Rule, error: Exception) -> None:
        """Let a call pass all the same if its rule only observes. Raises Refused if it does more."""
        if refused := self.refuse(method, rule, error):
            raise refused from None


def _patience(remaining: float | None) -> float:
    """Return how many seconds asking may take in a call with so many left; None is no deadline."""
    return ASK_SECONDS if remaining is None else max(0.0, min(remaining - SPARE_SECONDS, ASK_SECONDS))
