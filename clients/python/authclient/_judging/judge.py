"""Whether a call is let through: docs/local-verification.md, step by step.

Nothing here waits. Where the authentication service has to be asked, `judge` returns what to ask, and the caller of
this module does so in its own way, blocking or not.
"""

import functools
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeAlias

from authapi.v1 import auth_service_pb2 as api

from authclient._judging.identity import Caller, Identity
from authclient._judging.knowledge import Knowledge
from authclient._judging.observer import log
from authclient._judging.rules import Rule
from authclient._tokens.claims import LATEST_GENERATION, Claims
from authclient._tokens.keys import VerificationKey
from authclient._tokens.verifier import ForeignToken, TokenVerifier, UnknownKey, check_form, payload
from authclient._wire.refusals import Refused

LEEWAY = 30.0
"""Seconds that two clocks may be apart."""
MAX_STALENESS = 10.0
"""Seconds; for rules that leave it open."""
MAX_KEY_AGE = 3600.0
"""Seconds that a key set is used after it was last known to be current."""
KEYS_ARE_KNOWN = 10.0
"""Seconds. In a younger key set an unknown key is no key: keys are published before they sign."""
CACHED_TOKENS = 16384
"""Tokens whose signatures need no second look. About 40 MB."""

Metadata: TypeAlias = Iterable[tuple[str, str | bytes]]


@dataclass(frozen=True, slots=True)
class Verified:
    """What never changes about a token: it is well formed, and `key` signed it. Times are seconds since the epoch.

    `key` is None where Verify vouches for the token.
    """

    caller: Caller
    key: VerificationKey | None
    generation: int
    begins: float
    ends: float
    roles: frozenset[str]
    authenticated_at: float
    has_mfa: bool


@dataclass(frozen=True, slots=True)
class Ask:
    """The token has to be shown to Verify. `verified` is what is known of it here, if anything is."""

    token: str = field(repr=False)
    verified: Verified | None = None

    def settle(self, answer: api.Identity) -> Verified:
        """Return whose token it is, after Verify has accepted it."""
        return self.verified or _from_answer(self.token, answer)


class Judge:
    """Judges calls to one service. Safe for many threads.

    Args:
        issuer: the only accepted `iss`.
        audience: the only accepted `aud`.
        max_staleness: seconds, for rules that leave it open.
        max_key_age: seconds that keys are used after they were last known to be current.
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
        self.knowledge = knowledge
        self.max_staleness = max_staleness
        self._max_key_age = max_key_age
        self._verifier = TokenVerifier(issuer, audience, knowledge.find_key)
        self._has_warned = False
        self._read_once = functools.lru_cache(CACHED_TOKENS)(self._read)

    @property
    def signatures_checked(self) -> int:
        """How many tokens were seen for the first time."""
        return self._read_once.cache_info().misses

    def judge(self, token: str, max_staleness: float) -> Verified | Ask:
        """Return whose token it is, or that Verify has to be asked. Raises Refused."""
        verified = self._verify(token)
        if isinstance(verified, Ask):
            return verified
        age = self.knowledge.view_age()  # Before the view is looked at, which may grow younger meanwhile.
        self.check(verified)
        if age > max_staleness or not max_staleness:
            return Ask(token, verified)
        return verified

    def check(self, verified: Verified) -> None:
        """Raise Refused if the time of a token is over or has not come, or it is revoked, as far as is known here."""
        now = self.knowledge.now()
        if now - LEEWAY >= verified.ends:
            raise Refused("TOKEN_EXPIRED")
        if now + LEEWAY < verified.begins:
            raise Refused("TOKEN_NOT_YET_VALID")
        identity, view = verified.caller.identity, self.knowledge.view
        if identity.session_id in view.sessions:
            raise Refused("SESSION_ENDED")
        if verified.generation < view.generations.get(identity.user_id, 0):
            raise Refused("TOKEN_OUTDATED")

    def admit(self, verified: Verified, rule: Rule) -> None:
        """Raise Refused unless the rule lets this caller in."""
        if rule.any_role and rule.any_role.isdisjoint(verified.roles):
            raise Refused("ROLE_MISSING")
        if rule.mfa and not verified.has_mfa:
            raise Refused("MFA_REQUIRED")
        if rule.max_auth_age is None:
            return
        if self.knowledge.now() - LEEWAY > verified.authenticated_at + rule.max_auth_age:
            raise Refused("AUTHENTICATION_TOO_OLD")

    def _verify(self, token: str) -> Verified | Ask:
        knowledge = self.knowledge
        if knowledge.key_age() > self._max_key_age:
            check_form(token)
            return Ask(token)
        try:
            verified = self._read_once(token)
            if verified.key is None or knowledge.keys.get(verified.key.kid) is not verified.key:
                verified = self._read(token)
        except UnknownKey:
            if knowledge.is_shared_secret or max(knowledge.view_age(), knowledge.key_age()) > KEYS_ARE_KNOWN:
                return Ask(token)
            raise
        return verified

    def _read(self, token: str) -> Verified:
        keys = self.knowledge.keys
        try:
            claims = self._verifier.read(token)
        except ForeignToken as foreign:
            self._warn_of(foreign)
            raise
        key = keys.get(claims.key_id)
        if key is None or self.knowledge.find_key(claims.key_id) is not key:  # Changed between two lines.
            raise UnknownKey("TOKEN_INVALID", "its key was replaced")
        return _verified(token, claims, key)

    def _warn_of(self, foreign: ForeignToken) -> None:
        """Say once what is nearly always a wrong setting, and else looks like callers with bad tokens."""
        if not self._has_warned:
            self._has_warned = True
            log.warning(
                "good tokens are refused, because they are of issuer %.100r for audience %.100r; "
                "here, only issuer %r and audience %r are accepted",
                foreign.issuer,
                foreign.audience,
                self._verifier.issuer,
                self._verifier.audience,
            )


def bearer_token(metadata: Metadata) -> str:
    """Return the token of the `authorization` entry.

    Raises Refused: TOKEN_MISSING without such an entry; TOKEN_INVALID for two, of which a proxy and a server may choose
    different ones, and for another scheme.
    """
    found = None
    for key, value in metadata:
        if key == "authorization":
            if found is not None:
                raise Refused("TOKEN_INVALID", "there are two authorization entries")
            found = value
    if found is None:
        raise Refused("TOKEN_MISSING", "there is no authorization entry")
    scheme, _, token = found.partition(" ") if isinstance(found, str) else ("", "", "")
    if not token or scheme.lower() != "bearer":
        raise Refused("TOKEN_INVALID", "the authorization entry is not a bearer token")
    return token


def _verified(token: str, claims: Claims, key: VerificationKey) -> Verified:
    identity = Identity(
        user_id=claims.user_id,
        user_name=claims.user_name,
        session_id=claims.session_id,
        roles=claims.roles,
        authenticated_at=claims.authenticated_at,
        auth_methods=claims.auth_methods,
        expires_at=claims.expires_at,
        claims=claims.raw,
    )
    return Verified(
        caller=Caller(identity, token),
        key=key,
        generation=claims.generation,
        begins=max(claims.not_before, claims.issued_at).timestamp(),
        ends=claims.expires_at.timestamp(),
        roles=frozenset(claims.roles),
        authenticated_at=claims.authenticated_at.timestamp(),
        has_mfa="mfa" in claims.auth_methods,
    )


def _from_answer(token: str, answer: api.Identity) -> Verified:
    try:
        claims = payload(token)
    except Refused:
        claims = {}
    generation = claims.get("gen")
    identity = Identity(
        user_id=answer.user_id,
        user_name=answer.user_name,
        session_id=answer.session_id,
        roles=tuple(answer.roles),
        authenticated_at=datetime.fromtimestamp(answer.auth_time.seconds, UTC),
        auth_methods=tuple(answer.auth_methods),
        expires_at=datetime.fromtimestamp(answer.expire_time.seconds, UTC),
        claims=claims,
    )
    return Verified(
        caller=Caller(identity, token),
        key=None,
        generation=generation if type(generation) is int else LATEST_GENERATION,
        begins=0.0,
        ends=float(answer.expire_time.seconds),
        roles=frozenset(answer.roles),
        authenticated_at=float(answer.auth_time.seconds),
        has_mfa="mfa" in answer.auth_methods,
    )
