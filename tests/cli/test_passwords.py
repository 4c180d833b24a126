"""`authservice passwords`, the file of breached passwords, and `users set-password`."""

import contextlib
import hashlib
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from authservice.security.breached_file import BreachedFile
from tests.cli.conftest import Run
from tests.faults.processes import wait_until


@pytest.fixture
def dump(tmp_path: Path) -> str:
    """Return a dump of three passwords, one of them frequent."""
    digests = {hashlib.sha1(text.encode()).hexdigest().upper(): count for text, count in (("a", 2), ("b", 1), ("c", 9))}
    text = "".join(f"{digest}:{digests[digest]}\r\n" for digest in sorted(digests))
    (tmp_path / "dump.txt").write_text(text)
    return text


def test_the_file_is_made_without_any_database(run: Run, dump: str, tmp_path: Path) -> None:
    done = run("passwords", "build-breached", "dump.txt", "breached.bin")
    assert (done.returncode, done.stdout) == (0, "breached.bin has 3 breached passwords.\n")
    assert BreachedFile(tmp_path / "breached.bin").has(hashlib.sha1(b"b").digest())
    assert {path.name for path in tmp_path.iterdir()} == {"dump.txt", "breached.bin"}


def test_a_dump_may_come_through_a_pipe_and_rare_ones_be_left_out(run_apart: Run, dump: str, tmp_path: Path) -> None:
    done = run_apart("passwords", "build-breached", "-", "breached.bin", "--least-count", "2", stdin=dump)
    assert (done.returncode, done.stdout) == (0, "breached.bin has 2 breached passwords.\n")
    assert not BreachedFile(tmp_path / "breached.bin").has(hashlib.sha1(b"b").digest())


def test_whoever_waits_at_a_terminal_sees_how_far_it_is(dump: str, tmp_path: Path) -> None:
    terminal, theirs = pty.openpty()
    command = [sys.executable, "-m", "authservice", "passwords", "build-breached", "dump.txt", "breached.bin"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=theirs) as building:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # EIO: nobody has the other end any more.
            while more := os.read(terminal, 1000):
                shown += more
        assert building.stdout
        assert building.stdout.read() == b"breached.bin has 3 breached passwords.\n"
    os.close(terminal)
    assert b"Reading the dump" in shown
    assert b"100%" in shown


def test_an_interrupted_command_leaves_no_part_of_a_file(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "authservice", "passwords", "build-breached", "-", "breached.bin"]
    with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as building:
        wait_until(lambda: list(tmp_path.iterdir()), 60, "the file is begun")
        building.send_signal(signal.SIGINT)
        assert building.wait(60) == 130
        assert building.stderr
        assert b"Interrupted" in building.stderr.read()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "target", "says"),
    [
        ("password\n", "breached.bin", "Line 1 is not"),
        ("", "no/folder/breached.bin", "No such file or directory"),
    ],
)
def test_what_cannot_be_made_is_said(run: Run, tmp_path: Path, text: str, target: str, says: str) -> None:
    (tmp_path / "dump.txt").write_text(text)
    done = run("passwords", "build-breached", "dump.txt", target)
    assert done.returncode == 1
    assert says in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["dump.txt"]


def test_a_setting_that_names_no_such_file_is_named(run: Run, tmp_path: Path) -> None:
    assert run("migrate").returncode == 0
    done = run("users", "list", AUTHSERVICE_PASSWORD_BREACHED_FILE="breached.bin")
    assert done.returncode == 3
    assert "AUTHSERVICE_PASSWORD_BREACHED_FILE: breached.bin: No such file" in done.stderr


def test_the_doctor_tells_what_is_in_the_file_and_what_is_wrong_with_it(run: Run, dump: str, tmp_path: Path) -> None:
    run("migrate")
    run("passwords", "build-breached", "dump.txt", "breached.bin")
    variable = {"AUTHSERVICE_PASSWORD_BREACHED_FILE": "breached.bin"}
    assert re.search(r"breached passwords +ok +3 in breached\.bin", run("doctor", **variable).stdout)
    (tmp_path / "breached.bin").write_bytes(b"")
    done = run("doctor", **variable)
    failed = [line for line in done.stdout.splitlines() if "failed" in line]
    assert (done.returncode, len(failed)) == (1, 1)
    assert "build the file again" in failed[0]


def test_a_one_time_password_alone_is_on_standard_output(run: Run) -> None:
    run("users", "create", "ada", "--password-stdin", stdin="quiet copper lantern 47 rivers\n")
    made = run("users", "set-password", "ADA")
    assert made.returncode == 0
    assert re.fullmatch(r"[a-z2-9]{5}(-[a-z2-9]{5}){3}\n", made.stdout)
    assert "ADA can log in with it once, until 2" in made.stderr
    assert made.stdout.strip() not in made.stderr
    assert run("users", "set-password", "ada").stdout != made.stdout
    nobody = run("users", "set-password", "eve")
    assert (nobody.returncode, nobody.stdout) == (1, "")
    assert "There is no user eve" in nobody.stderr
