"""Audit events: what each may hold, the lines they become, and the one table of them."""

import importlib
import inspect
import io
import json
import pkgutil
import re
import typing
from dataclasses import FrozenInstanceError
from enum import EnumType
from pathlib import Path
from types import NoneType, UnionType
from typing import Any
from uuid import UUID

import pytest
import structlog

from authservice import logs
from authservice.domain import events
from authservice.domain.events import AuditEvent, Name, Personal
from authservice.domain.session import Scope

ROOT = Path(__file__).parents[2]
MODULES = [
    importlib.import_module(module.name)
    for module in pkgutil.iter_modules(events.__path__, "authservice.domain.events.")
]
ALL: list[type[AuditEvent]] = [
    found
    for module in MODULES
    for found in vars(module).values()
    if inspect.isclass(found) and issubclass(found, AuditEvent) and found is not AuditEvent
]
ENVELOPE = {"audit", "event", "level", "timestamp", "exception"}
"""What a line of the log has beside the facts."""
KINDS = (UUID, int, bool, NoneType, Name, Personal)
each = pytest.mark.parametrize("event", ALL, ids=lambda event: event.name)


def kinds(event: type[AuditEvent]) -> dict[str, tuple[Any, ...]]:
    """Return what each fact of an event may be."""
    hints = typing.get_type_hints(event, include_extras=True)
    del hints["name"]
    return {name: typing.get_args(hint) if isinstance(hint, UnionType) else (hint,) for name, hint in hints.items()}


def row(event: type[AuditEvent]) -> str:
    """Return the row of the table."""
    facts = [
        f"`{name}`" + " (personal)" * (Personal in allowed) + " or null" * (NoneType in allowed)
        for name, allowed in kinds(event).items()
    ]
    when = " ".join((inspect.getdoc(event) or "").split())
    return f"| `{event.name}` | {', '.join(facts)} | {when} |"


@each
def test_text_in_an_event_is_personal_or_the_name_of_a_thing(event: type[AuditEvent]) -> None:
    for name, allowed in kinds(event).items():
        strange = [kind for kind in allowed if kind not in KINDS and not isinstance(kind, EnumType)]
        assert not strange, f"{name} is none of what domain/events/roots.py has words for"


@each
def test_no_fact_has_a_name_that_the_line_has_already(event: type[AuditEvent]) -> None:
    assert ENVELOPE.isdisjoint(kinds(event))


@each
def test_every_event_is_one_that_a_story_records(event: type[AuditEvent]) -> None:
    assert getattr(events, event.__name__, None) is event, "domain/events/__init__.py has every event"
    stories = "".join(path.read_text() for path in (ROOT / "authservice/usecases").rglob("*.py"))
    assert re.search(rf"record\(\s*events\.{event.__name__}\(", stories), "no story records it"


def test_no_two_events_have_one_name() -> None:
    assert len(ALL) >= 15
    assert len({event.name for event in ALL}) == len(ALL)


def test_the_table_is_what_the_code_says() -> None:
    (table,) = re.findall(
        r"^\| event \| facts \| when \|\n\| --- \| --- \| --- \|\n((?:\|.*\n)+)", page(), re.MULTILINE
    )
    shown, real = set(table.splitlines()), {row(event) for event in ALL}
    assert not (real - shown), "missing from the table of docs/operations.md:\n" + "\n".join(sorted(real - shown))
    assert not (shown - real), "no event, or another one:\n" + "\n".join(sorted(shown - real))


def page() -> str:
    return (ROOT / "docs/operations.md").read_text()


def test_an_event_is_one_line_with_its_name_and_its_facts_as_plain_values() -> None:
    written, before = io.StringIO(), structlog.get_config()
    logs.configure("info", "json", written)
    audit, session_id = logs.LogAudit(), UUID(int=7)
    audit.record(events.Logout(session_id=session_id, target=Scope.OTHERS, ended=2))
    audit.record(events.Logout(session_id=session_id, target=session_id, ended=0))
    audit.record(events.LoginRefused(user_id=None))
    structlog.configure(**before)
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    assert all(line.pop("timestamp") for line in lines)
    session = "00000000-0000-0000-0000-000000000007"
    assert lines == [
        {"level": "info", "event": "audit", **facts}
        for facts in (
            {"audit": "logout", "session_id": session, "target": "others", "ended": 2},
            {"audit": "logout", "session_id": session, "target": session, "ended": 0},
            {"audit": "login_refused", "user_id": None},
        )
    ]


def test_what_has_happened_cannot_be_changed() -> None:
    event = events.UserEnabled(user_id=UUID(int=7))
    with pytest.raises(FrozenInstanceError):
        event.user_id = UUID(int=8)  # type: ignore[misc]
