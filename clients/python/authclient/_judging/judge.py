"""Whether a call is let through: docs/local-verification.md, step by step.

Nothing here waits. Where the authentication service has to be asked, `judge` returns what to ask, and the caller of
this module does so in its own way, blocking or not.
"""

from authclient._judging.knowledge import Knowledge
from authclient._judging.observer import log
from authclient._judging.rules import Rule
from authclient._judging.verified import Ask, Known, Verified, known_by
from authclient._tokens.remembered import Remembered
from authclient._tokens.verifier import ForeignToken, TokenVerifier, UnknownKey
from authclient._wire.refusals import Refused
from authclient._wire.times import check_seconds

LEEWAY = 30.0
"""Seconds that two clocks may be apart."""
MAX_STALENESS = 10.0
"""Seconds; for rules that leave it open."""
MAX_KEY_AGE = 3600.0
"""Seconds that a key set is used after it was last known to be current."""
KEYS_ARE_KNOWN = 10.0
"""Seconds. In a younger key set an unknown key is no key: keys are published before they sign."""
CACHED_TOKENS = 16384
"""Tokens whose signatures need no second look, at least. An eighth more, the most that are kept, take 11 MB."""


class Judge:
    """Judges calls to one service. Safe for many threads.

    Args:
        issuer: the only accepted `iss`.
        audience: the only accepted `aud`.
        max_staleness: seconds, for rules that leave it open.
        max_key_age: seconds that keys are used after they were last known to be current.

    Raises:
        ValueError: issuer or audience is empty, or a time is negative.
        TypeError: one of them is no text, or no number.
    """

    def __init__(
        self,
        knowledge: Knowledge,
        issuer: str,
        audience: str,
        *,
        max_staleness: float = MAX_STALENESS,
        max_key_age: float = MAX_KEY_AGE,
    ) -> None:
        check_seconds("max_staleness", max_staleness)
        check_seconds("max_key_age", max_key_age)
        self.knowledge = knowledge
        self.max_staleness = max_staleness
        self._max_key_age = max_key_age
        self._verifier = TokenVerifier(issuer, audience, knowledge.find_key)
        self._has_warned = False
        self._read_once = Remembered(self._read, Verified, CACHED_TOKENS)

    @property
    def signatures_checked(self) -> int:
        """How many tokens were seen for the first time."""
        return self._read_once.reads

    def judge(self, token: str, max_staleness: float | None, *, may_be_outdated: bool = False) -> Verified | Ask:
        """Return whose token it is, or that Verify has to be asked. Raises Refused.

        Args:
            max_staleness: seconds that the view may be old; None is as old as the judge lets it be.
            may_be_outdated: let a token be from before a change of what it says about the user.
        """
        knowledge = self.knowledge
        if knowledge.key_age() > self._max_key_age:
            return self._question(token)
        try:
            verified = self._read_once(token)
            key = verified.known.key
            if key is None or knowledge.keys.get(key.kid) is not key:
                verified = Verified(token, self._read(token))
        except UnknownKey:
            if knowledge.is_shared_secret or max(knowledge.view_age(), knowledge.key_age()) > KEYS_ARE_KNOWN:
                return self._question(token)
            raise
        age = knowledge.view_age()  # Before the view is looked at, which may grow younger meanwhile.
        self.check(verified.known, may_be_outdated=may_be_outdated)
        limit = self.max_staleness if max_staleness is None else max_staleness
        if age > limit or not limit:
            return Ask(token, verified.known)
        return verified

    def check(self, known: Known, *, may_be_outdated: bool = False) -> None:
        """Raise Refused if the time of a token is over or has not come, or it is revoked, as far as is known here."""
        knowledge = self.knowledge
        now = knowledge.now()
        if now - LEEWAY >= known.ends:
            raise Refused("TOKEN_EXPIRED")
        if now + LEEWAY < known.begins:
            raise Refused("TOKEN_NOT_YET_VALID")
        view = knowledge.view
        if known.session_id in view.sessions:
            raise Refused("SESSION_ENDED")
        if not may_be_outdated and known.generation < view.generations.get(known.user_id, 0):
            raise Refused("TOKEN_OUTDATED")

    def admit(self, known: Known, rule: Rule) -> None:
        """Raise Refused unless the rule lets this caller in."""
        if rule.any_role and rule.any_role.isdisjoint(known.roles):
            raise Refused("ROLE_MISSING")
        if rule.mfa and not known.has_mfa:
            raise Refused("MFA_REQUIRED")
        if rule.max_auth_age is None:
            return
        if self.knowledge.now() - LEEWAY > known.authenticated_at + rule.max_auth_age:
            raise Refused("AUTHENTICATION_TOO_OLD")

    def _question(self, token: str) -> Ask:
        """Return what to ask about a token that cannot be judged here. Raises Refused if no key could make it good."""
        try:
            self._verifier.read_unsigned(token)
        except ForeignToken as foreign:
            self._warn_of(foreign)
            raise
        return Ask(token)

    def _read(self, token: str) -> Known:
        keys = self.knowledge.keys
        try:
            claims = self._verifier.read(token)
        except ForeignToken as foreign:
            self._warn_of(foreign)
            raise
        key = keys.get(claims.key_id)
        if key is None or self.knowledge.find_key(claims.key_id) is not key:  # Changed between two lines.
            raise UnknownKey("TOKEN_INVALID", "its key was replaced")
        return known_by(key, claims)

    def _warn_of(self, foreign: ForeignToken) -> None:
        """Say once what is nearly always a wrong setting, and else looks like callers with bad tokens."""
        if not self._has_warned:
            self._has_warned = True
            log.warning(
                "tokens are refused, because they are of issuer %.100r for audience %.100r; "
                "here, only issuer %r and audience %r are accepted",
                foreign.issuer,
                foreign.audience,
                self._verifier.issuer,
                self._verifier.audience,
            )
