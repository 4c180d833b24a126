"""The end of a server and of its workers: asked for, or suffered."""

import itertools
import threading
import time
from pathlib import Path

import grpc
import pytest
from authapi.v1 import auth_service_pb2 as api
from authapi.v1 import auth_service_pb2_grpc as rpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.faults.final_state import require_final_state
from tests.faults.load import Load, progress
from tests.faults.processes import NOT_SERVING, SERVING, ServerProcess, running_server, wait_until
from tests.faults.seeding import Seeder
from tests.observed import PASSWORD, Refusal, verify

SLOW_COST = 13
"""A hash of about half a second, to have a call in flight for that long."""


@pytest.mark.parametrize("backend", ["sqlite"])
def test_k5_sigterm_says_not_serving_lets_a_login_finish_refuses_new_calls_and_exits_with_0(
    database_url: str, seeds: Seeder, tmp_path: Path
) -> None:
    user = seeds.user("ada")
    alive = seeds.sessions(user, 1)[0]
    with (
        running_server(database_url, tmp_path / "server", bcrypt_cost=SLOW_COST) as server,
        server.plain_channel() as channel,
    ):
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())  # type: ignore[attr-defined]
        assert next(watch).status == SERVING
        # The seeded hash is cheap: the login is recorded at once, then its hash is renewed at the slow cost.
        login = rpc.AuthServiceStub(channel).Login.future(api.LoginRequest(user_name_or_email="ada", password=PASSWORD))
        wait_until(lambda: '"audit": "login"' in server.stderr(), 10, "the login at work")
        server.terminate()
        assert next(watch).status == NOT_SERVING
        assert not login.done(), "health has to change while calls are still running"
        wait_until(lambda: _is_turned_away(server, alive.access_token), 10, "new calls UNAVAILABLE")
        assert not login.done(), "new calls are refused while old ones are finished"
        tokens = login.result().tokens
        watch.cancel()
        assert server.exit_code() == 0
        assert "Traceback" not in server.stderr()
        assert "workers_do_not_stop" not in server.stderr()
        server.start()
        with server.stub() as stub:
            assert verify(stub, tokens.access_token).user_id == str(user.id)


TURNED_AWAY = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
"""A call that reaches grpc in the instant of its end is CANCELLED there, before any handler, and not executed."""


def _is_turned_away(server: ServerProcess, access_token: str) -> bool:
    with server.stub(patient=False) as stub:
        return _is_refused(stub, access_token, TURNED_AWAY)


def _is_refused(stub: rpc.AuthServiceStub, access_token: str, codes: set[grpc.StatusCode]) -> bool:
    """Verify; tell whether the answer was one of these codes. Any other refusal fails."""
    try:
        verify(stub, access_token)
    except grpc.RpcError as error:
        if Refusal(error).code not in codes:
            raise
        return True
    return False


@pytest.mark.parametrize("backend", ["mariadb"])
def test_k5_restarts_under_load_answer_unavailable_at_worst_and_lose_nothing(
    database_url: str, seeds: Seeder, tmp_path: Path
) -> None:
    with running_server(database_url, tmp_path / "server", workers=2) as server:
        load = Load(server, seeds, "ada", to_end=600)
        with load.running() as history:
            progress(history, 30)
            begin = time.monotonic()
            server.terminate()
            code = server.exit_code()
            ended = time.monotonic() - begin
            server.start()
            progress(history, 30)
        print(f"K5: ended in {ended:.2f} s under load; {len(history.refusals)} refusals; {history.summary()}")
        assert (code, [each for each in history.wrong if "CANCELLED" not in each]) == (0, [])
        # The callers wait while nobody listens, and on a busy machine that may be longer than their time.
        assert {refusal.code for _, refusal in history.refusals} <= {*TURNED_AWAY, grpc.StatusCode.DEADLINE_EXCEEDED}
        with server.stub() as stub:
            require_final_state(stub, history, seeds)


@pytest.mark.parametrize("backend", ["sqlite"])
def test_k1_workers_whose_parent_was_killed_end_by_themselves_and_free_the_port(
    database_url: str, tmp_path: Path
) -> None:
    with running_server(database_url, tmp_path / "server", workers=2) as server:
        workers = server.workers()
        server.kill_parent()
        wait_until(lambda: not any(map(_runs, workers)), 10, "the end of orphaned workers")
        server.start()


@pytest.mark.parametrize("backend", ["sqlite"])
def test_k1_a_worker_that_dies_is_replaced_and_the_others_serve_meanwhile(
    database_url: str, seeds: Seeder, tmp_path: Path
) -> None:
    alive = seeds.sessions(seeds.user("ada"), 1)[0].access_token
    with running_server(database_url, tmp_path / "server", workers=2) as server:
        before = server.workers()
        stop, refused = threading.Event(), itertools.count()

        def client() -> None:
            with server.stub() as stub:
                while not stop.is_set():
                    if _is_refused(stub, alive, {grpc.StatusCode.UNAVAILABLE}):
                        next(refused)

        clients = [threading.Thread(target=client) for _ in range(4)]
        for thread in clients:
            thread.start()
        try:
            server.kill_worker(before[0])
            wait_until(lambda: len(set(server.workers()) - set(before)) == 1, 10, "a new worker")
            assert before[1] in server.workers()
            server.wait_serving(5)
        finally:
            stop.set()
            for thread in clients:
                thread.join()
        # Those that the dead worker was answering, one for each client at most. All others went to the survivor.
        assert next(refused) <= len(clients)


@pytest.mark.parametrize("backend", ["sqlite"])
def test_a_second_server_on_the_same_port_is_refused(database_url: str, tmp_path: Path) -> None:
    with running_server(database_url, tmp_path / "server") as server:
        second = ServerProcess(database_url, tmp_path / "second")
        second.port = server.port
        try:
            message = str(refusal_to_start(second))
        finally:
            second.kill_all()
        assert f"Cannot listen on 127.0.0.1:{server.port}" in message
        assert server.health() == SERVING


def refusal_to_start(server: ServerProcess) -> AssertionError:
    """Start a server that must not start; return what it said."""
    with pytest.raises(AssertionError, match="ended with") as refused:
        server.start()
    return refused.value


def _runs(pid: int) -> bool:
    # An orphan that has ended may wait for whoever inherited it to take note.
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
