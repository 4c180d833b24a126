"""The stores in memory: what a transaction promises, with dictionaries. Passes the same contract as the real ones."""

import copy
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from authservice.domain.deadline import Deadline
from authservice.domain.errors import UserNameTaken
from authservice.domain.revocation import LATE, Revocation, least_token_end
from authservice.domain.session import Session, SessionEnd, Standing
from authservice.domain.signing_key import KeyState, SigningKey
from authservice.domain.tokens import RefreshToken
from authservice.domain.user import User, UserSummary
from authservice.ports import Transaction

T = TypeVar("T")


@dataclass
class Rows:
    """Everything that is stored."""

    users: dict[UUID, User] = field(default_factory=dict)
    email_claims: dict[str, UUID] = field(default_factory=dict)
    sessions: dict[UUID, Session] = field(default_factory=dict)
    attempts: dict[bytes, tuple[int, datetime]] = field(default_factory=dict)
    signing_keys: dict[str, SigningKey] = field(default_factory=dict)
    sealed_secrets: dict[str, bytes] = field(default_factory=dict)
    revocations: list[Revocation] = field(default_factory=list)
    next_seq: int = 1


class MemoryDatabase:
    """Runs transactions one after the other; one that raises leaves nothing behind."""

    def __init__(self) -> None:
        self._rows = Rows()
        self._turn = threading.Lock()

    def transact(
        self, work: Callable[[Transaction], T], deadline: Deadline, settle: Callable[[T, T], T] | None = None
    ) -> T:
        """Run `work` on a copy and keep the copy if it returns."""
        with self._turn:
            deadline.require(0.0)
            draft = copy.deepcopy(self._rows)
            result = work(MemoryTransaction(draft))
            self._rows = draft
            return result

    def judge(self, session_id: UUID, user_id: UUID, generation: int, now: datetime, deadline: Deadline) -> Standing:
        """Say what a token is worth."""
        with self._turn:
            deadline.require(0.0)
            session, user = self._rows.sessions.get(session_id), self._rows.users.get(user_id)
            if session is None or user is None or session.user_id != user_id:
                return Standing.SESSION_OVER
            if not session.is_live(now) or not user.is_active:
                return Standing.SESSION_OVER
            return Standing.GOOD if generation >= user.generation else Standing.OUTDATED

    def after(self, seq: int) -> list[Revocation]:
        """Return the rules with a higher number."""
        return [rule for rule in self._rows.revocations if rule.seq > seq]

    def counted_after(self, seq: int, now: datetime) -> tuple[list[Revocation], int]:
        """Return the same, and of the same rows how many rules matter at `now`."""
        rules = self._rows.revocations  # Once: a transaction puts other rows in their place.
        return [rule for rule in rules if rule.seq > seq], len(_mattering(rules, now))

    def all(self, now: datetime) -> list[Revocation]:
        """Return every rule that still matters at `now`."""
        return _mattering(self._rows.revocations, now)


def _mattering(rules: list[Revocation], now: datetime) -> list[Revocation]:
    return [rule for rule in rules if rule.token_end > least_token_end(now)]


class MemoryTransaction:
    """The stores on one set of rows."""

    def __init__(self, rows: Rows) -> None:
        self.users = MemoryUsers(rows)
        self.sessions = MemorySessions(rows)
        self.attempts = MemoryAttempts(rows)
        self.signing_keys = MemorySigningKeys(rows)
        self.sealed_secrets = MemorySealedSecrets(rows)
        self.expired = MemoryExpired(rows)


class MemoryUsers:
    """See ports.Users."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def add(self, user: User) -> User:
        holder = self.by_name(user.name.canonical)
        if holder is not None:
            if holder.is_same_registration(user):
                return holder
            raise UserNameTaken
        self._rows.users[user.id] = user
        if user.email:
            self._rows.email_claims.setdefault(user.email, user.id)
        return user

    def by_name(self, canonical: str) -> User | None:
        return next((user for user in self._rows.users.values() if user.name.canonical == canonical), None)

    def by_email(self, email: str) -> User | None:
        owner = self._rows.email_claims.get(email)
        return self._rows.users[owner] if owner else None

    def lock(self, user_id: UUID) -> User | None:
        return self._rows.users.get(user_id)

    def replace_password_hash(self, user_id: UUID, old: str, new: str) -> bool:
        user = self._rows.users.get(user_id)
        if user is None or user.password_hash != old:
            return False
        self._rows.users[user_id] = replace(user, password_hash=new)
        return True

    def set_disabled(self, user_id: UUID, at: datetime | None) -> None:
        self._rows.users[user_id] = replace(self._rows.users[user_id], disabled_at=at)

    def grant(self, user_id: UUID, role: str, now: datetime) -> bool:
        user = self._rows.users[user_id]
        self._rows.users[user_id] = replace(user, roles=tuple(sorted({*user.roles, role})))
        return role not in user.roles

    def take(self, user_id: UUID, role: str) -> bool:
        user = self._rows.users[user_id]
        self._rows.users[user_id] = replace(user, roles=tuple(held for held in user.roles if held != role))
        return role in user.roles

    def begin_generation(self, user_id: UUID) -> int:
        user = self._rows.users[user_id]
        self._rows.users[user_id] = replace(user, generation=user.generation + 1)
        return user.generation + 1

    def page(self, after: str, limit: int, now: datetime) -> list[UserSummary]:
        users = sorted(self._rows.users.values(), key=lambda user: user.name.canonical.encode())
        count = MemorySessions(self._rows).count_live
        return [
            UserSummary(
                user.id,
                user.name.typed,
                user.email,
                user.created_at,
                user.disabled_at,
                count(user.id, now),
                user.roles,
            )
            for user in users
            if user.name.canonical.encode() > after.encode()
        ][:limit]


class MemorySessions:
    """See ports.Sessions."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def add(self, session: Session) -> None:
        self._rows.sessions.setdefault(session.id, session)

    def get(self, session_id: UUID) -> tuple[Session, User] | None:
        session = self._rows.sessions.get(session_id)
        return (session, self._rows.users[session.user_id]) if session else None

    def rotate(
        self, token: RefreshToken, successor: RefreshToken, now: datetime, idle_end: datetime, token_end: datetime
    ) -> bool:
        session = self._rows.sessions.get(token.session_id)
        if session is None or session.refresh_hash != token.hash or not session.is_live(now):
            return False
        self._rows.sessions[session.id] = replace(
            session,
            refresh_hash=successor.hash,
            spent_hash=token.hash,
            generation=successor.generation,
            rotated_at=now,
            idle_end=min(idle_end, session.absolute_end),
            token_end=min(token_end, session.absolute_end),
        )
        return True

    def end(self, session_id: UUID, reason: SessionEnd, now: datetime) -> int:
        return self._end([session_id], reason, now)

    def end_each(self, session_ids: set[UUID], reason: SessionEnd, now: datetime) -> set[UUID]:
        live = {key for key in session_ids if key in self._rows.sessions and self._rows.sessions[key].is_live(now)}
        self._end(sorted(live), reason, now)
        return live

    def end_all(self, user_id: UUID, reason: SessionEnd, now: datetime, keep: UUID | None = None) -> int:
        own = [session.id for session in self._rows.sessions.values() if session.user_id == user_id]
        return self._end([session_id for session_id in own if session_id != keep], reason, now)

    def outdate_tokens(self, user_id: UUID, generation: int, now: datetime) -> None:
        own = [session for session in self._rows.sessions.values() if session.user_id == user_id]
        if own:
            self._revoke(user_id, generation, max(each.token_end or each.absolute_end for each in own), now)

    def count_live(self, user_id: UUID, now: datetime) -> int:
        return sum(session.user_id == user_id and session.is_live(now) for session in self._rows.sessions.values())

    def _end(self, session_ids: list[UUID], reason: SessionEnd, now: datetime) -> int:
        live = [key for key in session_ids if key in self._rows.sessions and self._rows.sessions[key].is_live(now)]
        for session_id in live:
            session = self._rows.sessions[session_id] = replace(
                self._rows.sessions[session_id], ended_at=now, end_reason=reason
            )
            self._revoke(session_id, 0, session.token_end or session.absolute_end, now)
        return len(live)

    def _revoke(self, subject: UUID, min_generation: int, token_end: datetime, now: datetime) -> None:
        if token_end > now - LATE:
            self._rows.revocations.append(Revocation(self._rows.next_seq, subject, min_generation, token_end))
            self._rows.next_seq += 1


class MemoryAttempts:
    """See ports.Attempts."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def count(self, subject: bytes, now: datetime, keep_until: datetime) -> int:
        failures = self._rows.attempts.get(subject, (0, now))[0] + 1
        self._rows.attempts[subject] = (failures, keep_until)
        return failures

    def clear(self, subject: bytes) -> None:
        self._rows.attempts.pop(subject, None)


class MemorySigningKeys:
    """See ports.SigningKeys."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def all(self) -> list[SigningKey]:
        return sorted(self._rows.signing_keys.values(), key=lambda key: (key.created_at, key.kid))

    def add(self, key: SigningKey) -> bool:
        if any(other.state is KeyState.PENDING for other in self._rows.signing_keys.values()):
            return False
        self._rows.signing_keys[key.kid] = key
        return True

    def move(self, kid: str, before: KeyState, after: KeyState, now: datetime) -> bool:
        key = self._rows.signing_keys.get(kid)
        taken = after is not KeyState.RETIRED and any(k.state is after for k in self._rows.signing_keys.values())
        if key is None or key.state is not before or taken:
            return False
        moved = replace(key, state=after)
        if after is KeyState.ACTIVE:
            moved = replace(moved, activated_at=now)
        if after is KeyState.RETIRED:
            moved = replace(moved, retired_at=now)
        self._rows.signing_keys[kid] = moved
        return True

    def remove(self, kid: str) -> None:
        self._rows.signing_keys.pop(kid, None)

    def reseal(self, kid: str, sealed_private: bytes) -> None:
        self._rows.signing_keys[kid] = replace(self._rows.signing_keys[kid], sealed_private=sealed_private)


class MemorySealedSecrets:
    """See ports.SealedSecrets."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def all(self) -> dict[str, bytes]:
        return dict(self._rows.sealed_secrets)

    def add(self, purpose: str, sealed: bytes, now: datetime) -> None:
        self._rows.sealed_secrets.setdefault(purpose, sealed)

    def reseal(self, purpose: str, sealed: bytes) -> None:
        self._rows.sealed_secrets[purpose] = sealed


class MemoryExpired:
    """See ports.Expired."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def purge(self, now: datetime, limit: int) -> int:
        sessions = [key for key, session in self._rows.sessions.items() if session.absolute_end <= now][:limit]
        attempts = [key for key, (_, expires_at) in self._rows.attempts.items() if expires_at <= now][:limit]
        rules = [rule for rule in self._rows.revocations if rule.token_end <= now][:limit]
        self._rows.revocations = [rule for rule in self._rows.revocations if rule not in rules]
        for session_id in sessions:
            del self._rows.sessions[session_id]
        for subject in attempts:
            del self._rows.attempts[subject]
        return len(sessions) + len(attempts) + len(rules)
