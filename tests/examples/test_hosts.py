"""The listings of a page in the programs that it names: web servers, a queue of tasks, a reloader, green threads.

These programs are in an environment of their own, whose folder `AUTHSERVICE_TEST_HOSTS` names; `make hosts` makes it.
"""

import os
import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.examples.pages import BESIDE, named_blocks
from tests.examples.programs import CALL_SECONDS, START_SECONDS, AuthProcess, Program, free_address
from tests.faults.processes import wait_until

BIN = Path(os.environ["AUTHSERVICE_TEST_HOSTS"]).resolve() / "bin"
ANSWER = re.compile(r"(\d+) has a token of \d+ characters\n")

Start = Callable[..., Program]


@pytest.fixture
def listings(tmp_path: Path, auth: AuthProcess) -> Path:
    """Return a folder with the listings of the page, for the authentication service that runs."""
    folder = tmp_path / "listings"
    folder.mkdir()
    for name, text in named_blocks(BESIDE).items():
        (folder / name).write_text(text.replace("127.0.0.1:50051", auth.address))
    return folder


def within(listings: Path, *command: str | Path, **settings: str) -> Sequence[str | Path]:
    """Return a command of the hosts that finds the listings."""
    program, *arguments = command
    return ["env", f"PYTHONPATH={listings}", *(f"{k}={v}" for k, v in settings.items()), BIN / program, *arguments]


def page_of(address: str) -> str | None:
    """Return what a web server shows, or None if it does not."""
    try:
        with urllib.request.urlopen(f"http://{address}/", timeout=CALL_SECONDS) as answer:  # loopback
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        pytest.fail(error.read().decode()[:2000])
    except OSError:
        return None


def pids_that_answer(address: str, program: Program) -> set[str]:
    """Return which processes answer twenty requests, once there is an answer."""
    wait_until(lambda: page_of(address), START_SECONDS, f"an answer: {program.output()}")
    found = [ANSWER.fullmatch(page_of(address) or "") for _ in range(20)]
    assert all(found), program.output()
    return {each[1] for each in found if each}


@pytest.mark.parametrize("options", [[], ["--preload"], ["-k", "gthread", "--threads", "4", "--preload"]], ids=str)
def test_a_session_works_in_gunicorn(listings: Path, start: Start, options: list[str]) -> None:
    address = free_address()
    program = start(*within(listings, "gunicorn", "-w", "2", "-b", address, *options, "shop_wsgi"))
    assert pids_that_answer(address, program)
    assert "Traceback" not in program.output()


def test_a_session_works_in_green_workers(listings: Path, start: Start) -> None:
    address = free_address()
    program = start(*within(listings, "gunicorn", "-w", "2", "-b", address, "-k", "gevent", "shop_green"))
    assert pids_that_answer(address, program)
    assert "Traceback" not in program.output()


@pytest.mark.parametrize("options", [[], ["--workers", "2"], ["--reload"]], ids=str)
def test_a_session_works_in_uvicorn(listings: Path, start: Start, options: list[str]) -> None:
    address = free_address()
    program = start(*within(listings, "uvicorn", "--port", address.rpartition(":")[2], *options, "shop_asgi:app"))
    assert pids_that_answer(address, program)
    assert "Traceback" not in program.output()


def test_a_session_works_in_tasks_of_celery(listings: Path, start: Start, tmp_path: Path) -> None:
    settings = {"BROKER": "filesystem://", "RESULTS": f"file://{tmp_path}"}
    (listings / "celeryconfig.py").write_text(
        f"broker_transport_options = {{'data_folder_in': '{tmp_path}', 'data_folder_out': '{tmp_path}'}}\n"
    )
    with (listings / "jobs.py").open("a") as jobs:
        jobs.write('\napp.config_from_object("celeryconfig")\n')
    worker = start(*within(listings, "celery", "-A", "jobs", "worker", "-c", "2", **settings))
    work = "import jobs; print([jobs.token_length.delay().get(timeout=30) > 100 for _ in range(8)])"
    done = subprocess.run(
        [*map(str, within(listings, "python", "-c", work, **settings))],
        check=False,
        capture_output=True,
        text=True,
        timeout=CALL_SECONDS,
        cwd=tmp_path,
    )
    assert done.stdout == f"{[True] * 8}\n", done.stderr + worker.output()


def test_a_session_works_under_the_reloader_of_django(listings: Path, start: Start) -> None:
    address = free_address()
    program = start(*within(listings, "django-admin", "runserver", "--settings", "web", address))
    before = pids_that_answer(address, program)
    (listings / "caller.py").write_text((listings / "caller.py").read_text() + "\n# changed\n")
    os.utime(listings / "caller.py", (time.time() + 2, time.time() + 2))
    wait_until(lambda: (page_of(address) or "").split(" ")[0] not in {*before, ""}, START_SECONDS, "it is reloaded")


GREEN = """
from gevent import monkey; monkey.patch_all()
{told}
import gevent
from authclient import Refused, Session, Trust
trust, session = Trust("{auth}", audience="internal"), Session("{auth}")
print(trust.wait_until_ready(20))
session.login("ada", "quiet copper lantern 47 rivers")
token = session.access_token()
session.logout()
with gevent.Timeout(20):
    while True:
        try:
            trust.judge.judge(token, 10)
        except Refused as refused:
            print(refused.reason)
            break
        gevent.sleep(0.01)
trust.close()
session.close()
"""
TOLD = "import grpc.experimental.gevent; grpc.experimental.gevent.init_gevent()"


def green(auth: AuthProcess, told: str, program: str = GREEN) -> "subprocess.CompletedProcess[str]":
    text = program.format(told=told, auth=auth.address)
    return subprocess.run(
        [BIN / "python", "-c", text], check=False, capture_output=True, text=True, timeout=CALL_SECONDS
    )


def test_a_trust_hears_of_a_logout_among_green_threads(auth: AuthProcess) -> None:
    done = green(auth, TOLD)
    assert done.stdout == "True\nSESSION_ENDED\n", done.stderr


@pytest.mark.parametrize("what", ['Trust("{auth}", audience="internal")', 'Session("{auth}")'])
def test_what_would_hang_is_refused_with_what_to_do(auth: AuthProcess, what: str) -> None:
    program = "from gevent import monkey; monkey.patch_all()\nfrom authclient import Session, Trust\n" + what
    done = green(auth, "", program)
    assert done.returncode == 1
    assert "grpc.experimental.gevent.init_gevent()" in done.stderr.splitlines()[-1]
