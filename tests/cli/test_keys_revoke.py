"""`authservice keys revoke`: a key that somebody else may have is worth nothing within two seconds, everywhere."""

import contextlib
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
import structlog
from authclient import Trust
from click.testing import CliRunner, Result

from authservice import bootstrap
from authservice.cli.root import command
from authservice.config import Settings
from authservice.domain.deadline import Deadline
from authservice.domain.errors import TokenInvalid
from authservice.domain.signing_key import KeyState, RotationPlan
from authservice.usecases.trust.rotate_keys import NoSuchKey
from tests.clients.guarded import Guarded, Outcome, handler
from tests.clients.scripted import bearer
from tests.conftest import CHEAPEST, MASTER_KEY, RecordedAudit
from tests.faults.processes import ServerProcess, two_running_servers, wait_until
from tests.faults.seeding import Seeder
from tests.observed import refresh, refusal, verify

REFUSED_WITHIN = 2.0
"""Seconds after the command has said that the key is removed."""
SOON = 10.0
STATES = ("pending", "active", "retired")

Revoke = Callable[..., Result]


@pytest.fixture
def seeds(settings: Settings) -> Iterator[Seeder]:
    """Yield a service whose keys may be rotated at once."""
    plan = RotationPlan(publish_for=timedelta(0))
    service = bootstrap.assemble(settings, audit=RecordedAudit(), hash_cost=CHEAPEST, rotation=plan)
    yield Seeder(service)
    service.close()


@pytest.fixture
def keys(settings: Settings, tmp_path: Path) -> Iterator[Revoke]:
    """Yield what runs `authservice keys` in this process."""
    before = structlog.get_config()
    environment = {
        "AUTHSERVICE_DATABASE_URL": settings.database_address().get_secret_value(),
        "AUTHSERVICE_DATA_DIR": str(tmp_path),
        "AUTHSERVICE_MASTER_KEY": MASTER_KEY,
        "AUTHSERVICE_BCRYPT_COST": "10",
    }
    yield lambda *arguments, stdin="": CliRunner().invoke(command, ["keys", *arguments], input=stdin, env=environment)
    structlog.configure(**before)


def states(seeds: Seeder) -> Counter[str]:
    """Return how many keys there are in each state."""
    return Counter(key.state.value for key in seeds.service.trust.rotate_keys.all(Deadline.after(SOON)))


def kid_in(seeds: Seeder, state: str) -> str:
    """Return the id of the one key in a state."""
    (kid,) = [key.kid for key in seeds.service.trust.rotate_keys.all(Deadline.after(SOON)) if key.state.value == state]
    return kid


@pytest.mark.parametrize("state", STATES)
def test_after_each_revocation_one_key_signs_and_one_is_pending(seeds: Seeder, keys: Revoke, state: str) -> None:
    service = seeds.service
    session = seeds.sessions(seeds.user("ada"), 1)[0]  # signed by the key that is about to be retired
    service.trust.rotate_keys.rotate(Deadline.after(SOON))
    kid, pending = kid_in(seeds, state), kid_in(seeds, "pending")
    done = keys("revoke", kid, "--yes")
    assert (done.exit_code, done.stdout) == (0, f"Key {kid} is removed.\n")
    left = {key.kid: key.state for key in service.trust.rotate_keys.all(Deadline.after(SOON))}
    assert kid not in left
    assert states(seeds) == Counter(active=1, pending=1, **({} if state == "retired" else {"retired": 1}))
    if state == "active":
        assert left[pending] is KeyState.ACTIVE, "the one that everybody knows already"
    service.trust.keys.reload()
    if state == "retired":
        with pytest.raises(TokenInvalid):
            service.auth.verify(session.access_token, Deadline.after(SOON))
    else:
        assert service.auth.verify(session.access_token, Deadline.after(SOON)).session_id == session.session_id
    fresh = service.auth.refresh(session.refresh_token, Deadline.after(SOON))
    assert service.auth.verify(fresh.access_token, Deadline.after(SOON)).session_id == session.session_id
    audited = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    assert ("signing_key_revoked", kid, state) in [
        (event["audit"], event["kid"], event.get("state")) for event in audited
    ]


@pytest.mark.parametrize("backend", ["sqlite"])
@pytest.mark.parametrize("kid", ["-7CvAbCdEfGhIjKl", "-hCvAbCdEfGhIjKl", "--yesCdEfGhIjKl-"])
def test_a_key_id_that_begins_like_an_option_is_a_key_id(keys: Revoke, kid: str) -> None:
    done = keys("revoke", kid, "--yes")
    assert isinstance(done.exception, NoSuchKey)
    assert kid in str(done.exception)


@pytest.mark.parametrize("backend", ["sqlite"])
def test_an_unknown_key_and_a_doubtful_operator_change_nothing(seeds: Seeder, keys: Revoke) -> None:
    before = seeds.service.trust.rotate_keys.all(Deadline.after(SOON))
    done = keys("revoke", "no-such-key")
    assert isinstance(done.exception, NoSuchKey)
    assert done.output == "", "nothing is asked about it"
    active = kid_in(seeds, "active")
    done = keys("revoke", active, stdin="n\n")
    assert done.exit_code == 1
    assert f"Every access token signed with {active} will be refused." in done.stderr
    assert keys("revoke").exit_code == 2
    assert seeds.service.trust.rotate_keys.all(Deadline.after(SOON)) == before
    assert keys("revoke", active, stdin="y\n").exit_code == 0
    assert active not in {key.kid for key in seeds.service.trust.rotate_keys.all(Deadline.after(SOON))}


@pytest.mark.parametrize("backend", ["sqlite"])
def test_who_revokes_twice_in_a_row_is_told_that_services_do_not_know_the_next_key_yet(
    seeds: Seeder, keys: Revoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "was published" not in keys("revoke", kid_in(seeds, "pending"), "--yes").stderr, "it signed nothing"
    active, pending = kid_in(seeds, "active"), kid_in(seeds, "pending")
    done = keys("revoke", active, "--yes")
    assert done.stdout == f"Key {active} is removed.\n"
    assert re.search(rf"^The key that signs now, {pending}, was published [0-2]\.\d seconds ago\.", done.stderr, re.M)
    assert "within 2 seconds" in done.stderr
    monkeypatch.setattr("authservice.cli.trust.PUBLISHED_FIRST", 0.0)  # as if it had been there for long
    assert "was published" not in keys("revoke", pending, "--yes").stderr


def test_revocations_and_rotations_at_once_leave_one_key_that_signs_and_one_pending(seeds: Seeder) -> None:
    rotate_keys = seeds.service.trust.rotate_keys

    def revoke(kid: str) -> None:
        with contextlib.suppress(NoSuchKey):  # Another one was faster.
            rotate_keys.revoke(kid, Deadline.after(SOON))

    with ThreadPoolExecutor(6) as pool:
        for _ in range(5):
            kids = [key.kid for key in rotate_keys.all(Deadline.after(SOON))]
            works = [pool.submit(revoke, kid) for kid in kids * 2]
            works.append(pool.submit(rotate_keys.ensure, Deadline.after(SOON)))
            for work in works:
                work.result()
            rotate_keys.ensure(Deadline.after(SOON))
            assert {state: count for state, count in states(seeds).items() if state != "retired"} == {
                "active": 1,
                "pending": 1,
            }


@pytest.mark.parametrize("backend", ["mariadb"])
def test_y3_every_server_and_every_service_refuses_a_revoked_keys_tokens_within_two_seconds(
    database_url: str, seeds: Seeder, keys: Revoke, tmp_path: Path
) -> None:
    sessions = seeds.sessions(seeds.user("ada"), 2)
    with ExitStack() as stack:
        servers = stack.enter_context(two_running_servers(tmp_path, database_url))
        stubs = [stack.enter_context(server.stub()) for server in servers]
        services = [stack.enter_context(_service(stack, server)) for server in servers]

        def accepted(token: str) -> list[bool]:
            return [_is_verified(stub, token) for stub in stubs] + [
                _call(each, token).reason is None for each in services
            ]

        tokens = [session.access_token for session in sessions]
        assert [accepted(token) for token in tokens] == [[True] * 4] * 2
        assert keys("revoke", kid_in(seeds, "active"), "--yes").exit_code == 0
        removed_at = time.monotonic()
        wait_until(lambda: not any(any(accepted(token)) for token in tokens), REFUSED_WITHIN, "refused everywhere")
        print(f"Y3: refused by two servers and two services {time.monotonic() - removed_at:.2f} s after the revocation")
        for token in tokens:
            assert [refusal(verify, stub, token).reason for stub in stubs] == ["TOKEN_INVALID"] * 2
            assert [_call(each, token).reason for each in services] == ["TOKEN_INVALID"] * 2
        for stub, session in zip(stubs, sessions, strict=True):
            fresh = refresh(stub, session.refresh_token).access_token
            assert accepted(fresh) == [True] * 4
        assert [any(accepted(token)) for token in tokens] == [False, False], "and it stays so"


def _service(stack: ExitStack, server: ServerProcess) -> Guarded:
    trust = stack.enter_context(Trust(f"127.0.0.1:{server.port}", audience="internal"))
    assert trust.wait_until_ready(SOON)
    return Guarded(trust, {"buy": handler("unary_unary", lambda _request, _context: b"done")})


def _call(service: Guarded, token: str) -> Outcome:
    done = service.call("unary_unary", name="buy", metadata=bearer(token))
    assert done.code in (grpc.StatusCode.OK, grpc.StatusCode.UNAUTHENTICATED), done
    return done


def _is_verified(stub: object, token: str) -> bool:
    try:
        verify(stub, token)  # type: ignore[arg-type]
    except grpc.RpcError as error:
        assert error.code() is grpc.StatusCode.UNAUTHENTICATED  # noqa: PT017  # anything else is no refusal
        return False
    return True
