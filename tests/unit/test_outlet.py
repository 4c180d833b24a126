"""Log lines leave by a thread of their own, whatever becomes of who reads them."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from authservice.serving import outlet
from authservice.serving.outlet import MOST_BYTES, Outlet

PATIENCE = 30.0
LINE = "x" * 1023 + "\n"


def missed(count: int) -> str:
    return f"missed {count}\n"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlet, "RETRY_SECONDS", 0.01)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Yield both ends of a pipe. Whoever waits for the reader is released at the end."""
    read, write = os.pipe()
    yield read, write
    os.close(read)


def lines_from(descriptor: int, count: int) -> list[str]:
    found = b""
    while found.count(b"\n") < count or not found.endswith(b"\n"):
        found += os.read(descriptor, 65536)
    return found.decode().splitlines()


def test_lines_leave_whole_and_in_their_order(pipe: tuple[int, int]) -> None:
    out = Outlet(pipe[1], missed)
    for number in range(100):
        out.write(f"{number}\n")
    assert lines_from(pipe[0], 100) == [str(number) for number in range(100)]


def test_nobody_waits_for_a_pipe_that_nobody_reads_and_what_does_not_fit_is_told(pipe: tuple[int, int]) -> None:
    out = Outlet(pipe[1], missed)
    written = 2 * MOST_BYTES // len(LINE)
    for _ in range(written):  # Would never come to an end if one of them waited.
        out.write(LINE)
    found: list[str] = []
    while len(found) < written:  # One that was dropped is found in a notice.
        for line in lines_from(pipe[0], 1):
            found += [line] if line.startswith("x") else ["dropped"] * int(line.split()[1])
    assert set(found) == {LINE.rstrip(), "dropped"}, "no line is in pieces"
    assert found.count("dropped") <= MOST_BYTES // len(LINE)


def test_what_is_written_again_begins_with_how_much_is_missing(pipe: tuple[int, int]) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    out = Outlet(full, missed)
    out.write("first\n")
    for _ in range(MOST_BYTES // len(LINE) + 10):
        out.write(LINE)
    os.dup2(pipe[1], full)  # The disk has room again.
    found = lines_from(pipe[0], 6)
    assert found[0] == "first"
    assert "missed 11" in found[:6]


def test_a_pipe_that_somebody_reads_again_gets_what_has_waited(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    out = Outlet(os.open(path, os.O_WRONLY), missed)
    os.close(reader)
    out.write("to nobody\n")
    out.drain(0.05)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reader, True)
    assert lines_from(reader, 1) == ["to nobody"]
    os.close(reader)


def test_a_pipe_whose_other_users_do_not_wait_is_waited_for(pipe: tuple[int, int]) -> None:
    os.set_blocking(pipe[1], False)
    out = Outlet(pipe[1], missed)
    for _ in range(256):  # Four times what a pipe holds.
        out.write(LINE)
    assert lines_from(pipe[0], 256) == [LINE.rstrip()] * 256


def test_many_threads_share_one(pipe: tuple[int, int]) -> None:
    out = Outlet(pipe[1], missed)

    def write(name: int) -> None:
        for number in range(200):
            out.write(f"{name} {number}\n")

    threads = [threading.Thread(target=write, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    found = lines_from(pipe[0], 1600)
    for thread in threads:
        thread.join()
    for name in range(8):
        mine = [line for line in found if line.startswith(f"{name} ")]
        assert mine == [f"{name} {number}" for number in range(200)]


def test_a_process_that_ends_gives_its_last_lines_a_moment_and_no_more(pipe: tuple[int, int]) -> None:
    out = Outlet(pipe[1], missed)
    out.write("last\n")
    out.drain(PATIENCE)
    os.set_blocking(pipe[0], False)
    assert os.read(pipe[0], 100) == b"last\n"
    for _ in range(100):
        out.write(LINE)
    out.drain(0.05)  # Nobody reads.
