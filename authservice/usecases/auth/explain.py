"""Explain: say, step by step, why a token is accepted or refused. For operators."""

from dataclasses import dataclass
from datetime import datetime

from authservice.domain.check import Check
from authservice.domain.deadline import Deadline
from authservice.domain.session import Session
from authservice.domain.tokens import Identity
from authservice.domain.user import User
from authservice.ports import (
    Clock,
    Database,
    Examination,
    Transaction,
)


@dataclass(frozen=True, slots=True)
class Explain:
    """Judges a token as Verify does, and goes on after the first failure."""

    database: Database[Transaction]
    examine: Examination
    clock: Clock

    def __call__(self, token: str, deadline: Deadline) -> tuple[list[Check], Identity | None]:
        """Return what each step has come to, and whose token it is if its signature is good.

        Raises StorageUnavailable.
        """
        now = self.clock()
        keys = self.database.read(lambda tx: tx.signing_keys.all(), deadline)
        # Outside of any transaction: an unknown key makes this process read its keys again, in one of its own.
        checks, identity = self.examine(token, keys, now)
        if identity is None:
            return [*checks, Check("session", None, "nobody can be believed to be its owner")], None
        found = self.database.read(lambda tx: tx.sessions.get(identity.session_id), deadline)
        checks.append(_session(found, identity, now))
        if found:
            checks.append(_generation(found[1], identity))
        return checks, identity


def _session(found: tuple[Session, User] | None, identity: Identity, now: datetime) -> Check:
    if found is None or found[1].id != identity.user_id:
        return Check("session", False, f"{identity.session_id} is no session of this user, or was deleted long ago")
    session, user = found
    if session.ended_at:
        why = session.end_reason.value if session.end_reason else "unknown"
        return Check("session", False, f"ended {session.ended_at.isoformat(timespec='seconds')}, reason {why}")
    if not user.is_active:
        return Check("session", False, "the user is disabled")
    if not session.is_live(now):
        return Check("session", False, f"expired {session.idle_end.isoformat(timespec='seconds')}")
    return Check("session", True, f"live until {session.idle_end.isoformat(timespec='seconds')} if not refreshed")


def _generation(user: User, identity: Identity) -> Check:
    if identity.generation >= user.generation:
        return Check("generation", True, f"{identity.generation} is the user's newest")
    return Check(
        "generation", False, f"{identity.generation} is older than {user.generation}: the roles have changed; refresh"
    )
