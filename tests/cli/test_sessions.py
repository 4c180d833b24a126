"""`authservice sessions`: what operators see and end."""

import json
from pathlib import Path

import pytest
from uuid6 import uuid7

from authservice import bootstrap
from authservice.config import Settings
from tests.cli.conftest import Run
from tests.conftest import CHEAPEST
from tests.faults.seeding import Seeder

AUDITED = {"AUTHSERVICE_LOG_LEVEL": "info", "AUTHSERVICE_LOG_FORMAT": "json"}


@pytest.fixture
def sessions(run: Run, tmp_path: Path) -> list[str]:
    """Return the ids of two sessions of Ada and one of Bob."""
    assert run("migrate").returncode == 0
    settings = Settings(data_dir=tmp_path / "data")  # type: ignore[call-arg]
    service = bootstrap.assemble(settings, hash_cost=CHEAPEST)
    seeds = Seeder(service)
    opened = [*seeds.sessions(seeds.user("ada"), 2), *seeds.sessions(seeds.user("bob"), 1)]
    service.close()
    return [str(tokens.session_id) for tokens in opened]


def listed(run: Run, name: str) -> set[str]:
    answer = run("sessions", "list", name, "--json")
    assert answer.returncode == 0, answer
    return {row["id"] for row in json.loads(answer.stdout)}


def audited(stderr: str) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in stderr.splitlines() if '"audit"' in line]
    return [line for line in lines if line["audit"] == "sessions_ended_by_operator"]


def test_the_sessions_of_a_user_are_listed(run: Run, sessions: list[str]) -> None:
    assert listed(run, "ADA") == set(sessions[:2])
    assert listed(run, "bob") == {sessions[2]}


def test_one_is_ended_by_its_id_and_a_repetition_says_so(run: Run, sessions: list[str]) -> None:
    first = run("sessions", "end", "--session", sessions[0], **AUDITED)
    assert first.stdout == f"Session {sessions[0]} ended.\n"
    assert [event["session_id"] for event in audited(first.stderr)] == [sessions[0]]
    assert run("sessions", "end", "--session", sessions[0]).stdout == f"Session {sessions[0]} had ended already.\n"
    assert listed(run, "ada") == {sessions[1]}


def test_those_of_a_user_are_ended_together(run: Run, sessions: list[str]) -> None:
    assert run("sessions", "end", "--user", "ada").stdout == "2 live sessions of ada ended.\n"
    assert (listed(run, "ada"), listed(run, "bob")) == (set(), {sessions[2]})


def test_everybodys_are_ended_after_a_question(run: Run, sessions: list[str]) -> None:
    refused = run("sessions", "end", "--everybody", stdin="n\n")
    assert (refused.returncode, listed(run, "bob")) == (1, {sessions[2]})
    done = run("sessions", "end", "--everybody", "--yes", **AUDITED)
    assert done.stdout == "3 live sessions ended.\n"
    assert [event["ended"] for event in audited(done.stderr)] == [3]
    assert listed(run, "ada") | listed(run, "bob") == set()
    assert run("sessions", "end", "--everybody", "--yes").stdout == "0 live sessions ended.\n"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "Say which"),
        (("--user", "ada", "--everybody"), 2, "Say which"),
        (("--session", "x"), 1, "is no id of a session"),
        (("--user", "nobody"), 1, "There is no user nobody"),
        (("--user", "no body"), 1, "is no user name"),
    ],
)
def test_what_cannot_be_ended_is_said(
    run: Run, sessions: list[str], arguments: tuple[str, ...], code: int, said: str
) -> None:
    answer = run("sessions", "end", *arguments)
    assert answer.returncode == code
    assert said in answer.stderr
    assert listed(run, "ada") == set(sessions[:2])


def test_a_session_that_does_not_exist_is_named(run: Run, sessions: list[str]) -> None:
    unknown = str(uuid7())
    answer = run("sessions", "end", "--session", unknown)
    assert (answer.returncode, unknown in answer.stderr) == (1, True)
