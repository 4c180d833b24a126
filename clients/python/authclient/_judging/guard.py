"""What the interceptors for synchronous and asyncio servers have in common."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from authclient._judging.judge import Ask, Judge, Metadata, Verified, bearer_token
from authclient._judging.observer import Observer, contain, log
from authclient._judging.rules import EXEMPT_METHODS, Policy, Rule
from authclient._wire.refusals import Refused

STREAM_ENTRY = "authclient-stream"
"""Metadata entry by which a caller names a stream that it wants to be able to renew."""
RENEW_METHOD = "/authapi.v1.StreamService/RenewStream"
RENEW_RULE = Rule()
"""Anyone with a good token; which stream it may renew is decided by that stream's own rule."""

_FIRST = ("x-", "x_user", "remote-user", "authclient-")
"""How every one of them begins, for a quick look at each entry of each call."""
_FORGEABLE = re.compile(
    r"x-(?:user(?:-.*|id|name|info)?|auth-.*|authenticated-.*|remote-user|roles?|identity-.*|email|groups|subject"
    r"|forwarded-(?:user|email|groups|preferred-username|client-cert)|consumer-.*|credential-.*|jwt-.*"
    r"|goog-authenticated-.*|endpoint-api-userinfo|amzn-oidc-.*|ms-client-principal.*)"
    r"|x_user.*|remote-user|authclient-.*"
)


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


def is_forged(metadata: Iterable[tuple[str, str | bytes]]) -> bool:
    """Tell whether there are entries by which other systems say who is calling. Here anybody could have set them."""
    return any(key.startswith(_FIRST) and _FORGEABLE.fullmatch(key) for key, _ in metadata)


def without_forged(metadata: Iterable[tuple[str, str | bytes]]) -> tuple[tuple[str, str | bytes], ...]:
    """Return the metadata without such entries."""
    return tuple(entry for entry in metadata if not _FORGEABLE.fullmatch(entry[0]))


def stream_name(metadata: Sequence[tuple[str, str | bytes]]) -> str | None:
    """Return the name that a caller gave to a stream, if there is a usable one."""
    names = [value for key, value in metadata if key == STREAM_ENTRY]
    if len(names) == 1 and isinstance(names[0], str) and re.fullmatch(r"[A-Za-z0-9_-]{22,64}", names[0], re.ASCII):
        return names[0]
    return None
