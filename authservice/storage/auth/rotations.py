"""Rotating refresh tokens, many at a time."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from authservice.domain.session import PASSWORD_ALONE, Session, SessionEnd
from authservice.domain.tokens import RefreshToken
from authservice.domain.user import User, UserName
from authservice.storage.columns import packed, unpacked
from authservice.storage.wording import as_moment, as_moment_or_none, as_parameter, change, rows

# Locked in the order of their ids, so that two such calls do not wait for each other.
_SESSIONS = """
    SELECT id, user_id, client_label, authenticated_at, idle_end, absolute_end, refresh_hash, generation, spent_hash,
    rotated_at, ended_at, token_end, end_reason, spent_at, opened_at, auth_methods, idle_seconds, network
    FROM sessions{forced} WHERE id IN ({places}) ORDER BY id{locked}
"""
_OWNERS = """
    SELECT users.id, name, canonical_name, email, password_hash, created_at, registration_key, disabled_at, generation,
    secret_generation, role
    FROM users{forced} LEFT JOIN user_roles{forced} ON user_id = users.id WHERE users.id IN ({places})
"""
# In this order: MySQL reads what it has just written.
_ROTATE = """
    UPDATE sessions{forced} SET spent_hash = refresh_hash, refresh_hash = CASE id {cases} END,
    generation = generation + 1, rotated_at = {place}, spent_at = CASE id {cases} END,
    idle_end = CASE id {cases} END, token_end = CASE id {cases} END
    WHERE id IN ({places}) AND refresh_hash IN ({places}) AND ended_at IS NULL AND idle_end > {place}
"""


def hold_each(connection: Connection, session_ids: set[UUID]) -> dict[UUID, tuple[Session, User]]:
    """Return sessions with their users, the sessions locked until the transaction ends."""
    # The sessions first: a read that does not lock would fix what this transaction sees before the locks are granted.
    asked = sorted(each.bytes for each in session_ids)
    held = [_to_session(row) for row in rows(connection, _SESSIONS, len(asked), asked)]
    owners = _users(connection, {session.user_id for session in held})
    return {session.id: (session, owners[session.user_id]) for session in held}


def rotate_each(connection: Connection, rotations: Sequence[tuple[RefreshToken, Session]], now: datetime) -> int:
    """Spend tokens: one conditional update, whose row count says how many."""
    moment, after = as_parameter(now), [session for _, session in rotations]
    parameters = _each(after, lambda session: session.refresh_hash)
    parameters += [moment]
    parameters += _each(after, lambda session: packed(session.spent_at))
    parameters += _each(after, lambda session: as_parameter(session.idle_end))
    parameters += _each(after, lambda session: as_parameter(session.token_end or session.absolute_end))
    parameters += [spent.session_id.bytes for spent, _ in rotations]
    parameters += [spent.hash for spent, _ in rotations]
    return change(connection, _ROTATE, len(rotations), [*parameters, moment])


def _each(sessions: Sequence[Session], value: Callable[[Session], object]) -> list[object]:
    """Return the parameters of `{cases}`: what is to be of each session."""
    return [part for session in sessions for part in (session.id.bytes, value(session))]


def _users(connection: Connection, user_ids: set[UUID]) -> dict[UUID, User]:
    """Return some users. Each comes in as many rows as they have roles."""
    asked = [each.bytes for each in user_ids]
    found: dict[bytes, Any] = {}
    roles: dict[bytes, list[str]] = {}
    for row in rows(connection, _OWNERS, len(asked), asked) if asked else ():
        found[row[0]] = row[:-1]
        roles.setdefault(row[0], []).extend([row[-1].decode()] if row[-1] else [])
    users = (_to_user(row, tuple(sorted(roles[key]))) for key, row in found.items())
    return {user.id: user for user in users}


def _to_session(row: Any) -> Session:
    session_id, user_id, label, authenticated, idle_end, absolute_end, current, generation, spent, *later = row
    rotated, ended, token_end, reason, spent_at, opened, methods, idle, network = later
    return Session(
        UUID(bytes=session_id),
        UUID(bytes=user_id),
        label,
        as_moment(authenticated),
        as_moment(idle_end),
        as_moment(absolute_end),
        current,
        generation,
        spent,
        as_moment_or_none(rotated),
        as_moment_or_none(ended),
        as_moment_or_none(token_end),
        SessionEnd(reason.decode()) if reason else None,
        unpacked(spent_at),
        as_moment_or_none(opened),
        tuple(methods.decode().split()) if methods else PASSWORD_ALONE,
        timedelta(seconds=idle) if idle else None,
        network.decode() if network else "",
    )


def _to_user(row: Any, roles: tuple[str, ...]) -> User:
    user_id, name, canonical, email, password_hash, created, registration_key, *later = row
    disabled, generation, secret_generation = later
    return User(
        UUID(bytes=user_id),
        UserName(name, canonical.decode()),
        email,
        password_hash.decode(),
        as_moment(created),
        registration_key,
        as_moment_or_none(disabled),
        generation,
        roles,
        secret_generation,
    )
