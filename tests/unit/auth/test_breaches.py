"""C4: passwords from breaches, by a file that was made from a dump and by a service that is asked for ranges."""

import hashlib
import random
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from authservice.domain.errors import FieldRejected, PasswordCheckUnavailable
from authservice.security.breach_range import BreachRange
from authservice.security.breached_file import BreachedFile, BreachedFileUnusable, DumpUnusable, build
from authservice.security.password_policy import Breaches, LookUpFailed, PasswordPolicy
from authservice.security.password_rules import GuessabilityRules

GOOD = "quiet copper lantern 47 rivers"
FULL_WIDTH = "ｑuiet copper lantern 47 rivers"
LEAKED = "seven amber kettles hum at dawn"


def sha1(text: str) -> bytes:
    return hashlib.sha1(text.encode()).digest()


def dump(*passwords: str, count: int = 3) -> list[bytes]:
    """Return the lines of a dump, as they are published."""
    return [f"{digest.hex().upper()}:{count}\r\n".encode() for digest in sorted(map(sha1, passwords))]


def policy(source: Breaches, *, must_answer: bool = False) -> tuple[PasswordPolicy, list[LookUpFailed]]:
    failures: list[LookUpFailed] = []
    return PasswordPolicy(GuessabilityRules(), (source,), must_answer, failures.append), failures


def test_c4_a_file_knows_what_was_in_the_dump_and_nothing_else(tmp_path: Path) -> None:
    numbers = random.Random(7)
    leaked = [numbers.randbytes(12).hex() for _ in range(1000)]
    other = [numbers.randbytes(12).hex() for _ in range(1000)]
    assert build(dump(*leaked), tmp_path / "breached.bin") == 1000
    file = BreachedFile(tmp_path / "breached.bin")
    assert file.count() == 1000
    assert all(file.has(sha1(each)) for each in leaked)
    assert not any(file.has(sha1(each)) for each in other)


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_c4_the_first_and_the_last_entry_are_found(tmp_path: Path, count: int) -> None:
    leaked = [f"{LEAKED} {number}" for number in range(count)]
    build(dump(*leaked), tmp_path / "breached.bin")
    assert [BreachedFile(tmp_path / "breached.bin").has(sha1(each)) for each in leaked] == [True] * count
    assert not BreachedFile(tmp_path / "breached.bin").has(b"\0" * 20)
    assert not BreachedFile(tmp_path / "breached.bin").has(b"\xff" * 20)


def test_what_was_seen_seldom_may_be_left_out(tmp_path: Path) -> None:
    lines = sorted(dump("often", count=100) + dump("seldom", count=9))
    assert build(lines, tmp_path / "breached.bin", least_count=10) == 1
    assert BreachedFile(tmp_path / "breached.bin").has(sha1("often"))


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([b"hello\n"], "Line 1 is not"),
        ([*dump("a"), b"\n"], "Line 2 is not"),
        ([b"8846F7EAEE8FB117AD06BDD830B7586C:17\n"], "SHA-1"),  # of NTLM, which Have I Been Pwned has as well
        ([dump("a")[0].replace(b":", b" ")], "Line 1 is not"),
        (dump("a", "b")[::-1], "Line 2 is out of order"),
    ],
)
def test_a_dump_that_is_none_is_refused_and_leaves_what_was_there(
    tmp_path: Path, lines: list[bytes], says: str
) -> None:
    target = tmp_path / "breached.bin"
    build(dump(LEAKED), target)
    with pytest.raises(DumpUnusable, match=says):
        build(lines, target)
    assert BreachedFile(target).has(sha1(LEAKED))
    assert list(tmp_path.iterdir()) == [target]


def test_a_newer_file_counts_at_once(tmp_path: Path) -> None:
    target = tmp_path / "breached.bin"
    build(dump("other"), target)
    file = BreachedFile(target)
    assert not file.has(sha1(LEAKED))
    build(dump(LEAKED), target)
    assert file.has(sha1(LEAKED))


@pytest.mark.parametrize("damage", ["gone", "cut", "longer", "another", "empty", "newer"])
def test_a_file_that_is_not_whole_is_not_believed(tmp_path: Path, damage: str) -> None:
    target = tmp_path / "breached.bin"
    build(dump(LEAKED, "other"), target)
    whole = target.read_bytes()
    newer = whole[:17] + b"\x02" + whole[18:]
    damaged = {"cut": whole[:-1], "longer": whole + b"x", "another": b"x" * 48, "empty": b"", "newer": newer}
    target.unlink() if damage == "gone" else target.write_bytes(damaged[damage])
    with pytest.raises(BreachedFileUnusable, match=str(target)):
        BreachedFile(target).has(sha1(LEAKED))


def test_c4_a_breached_password_is_refused_with_a_reason_however_it_is_typed(tmp_path: Path) -> None:
    build(dump(GOOD), tmp_path / "breached.bin")
    rules, failures = policy(BreachedFile(tmp_path / "breached.bin"))
    for typed in (GOOD, FULL_WIDTH):
        with pytest.raises(FieldRejected, match="breach") as refused:
            rules.read(typed, [])
        assert refused.value.reason == "BREACHED"
    assert rules.read(LEAKED, []) == LEAKED
    assert (rules.estimate(GOOD, []).reason, rules.estimate(LEAKED, []).reason) == ("BREACHED", "")
    assert failures == []


class RangeServer(ThreadingHTTPServer):
    """A range service that also does what it should not."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str]] = []
        self.answer: Callable[[Handler], None] = lambda handler: handler.say("\r\n".join(self.lines(handler.path[-5:])))
        self.released = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/range/"

    def lines(self, prefix: str) -> list[str]:
        """Return what is known of a range, with padding."""
        known = sha1(LEAKED).hex().upper()
        padding = [f"{number:035X}:0" for number in (0, int(sha1(GOOD).hex()[5:], 16))]
        return [*padding, *([f"{known[5:]}:42"] if known.startswith(prefix) else [])]


class Handler(BaseHTTPRequestHandler):
    """One request of it."""

    server: RangeServer

    def do_GET(self) -> None:
        """Answer."""
        self.server.asked.append((self.path, self.headers.get("Add-Padding", "")))
        self.server.answer(self)

    def say(self, text: str, status: int = 200, **headers: str) -> None:
        """Send an answer."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def service() -> Iterator[RangeServer]:
    with RangeServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.released.set()
        server.shutdown()
        thread.join()


def test_c4_a_range_service_learns_five_digits_and_decides(service: RangeServer) -> None:
    rules, failures = policy(BreachRange(service.url, 30.0))
    assert rules.read(GOOD, []) == GOOD, "an entry with a count of zero is padding"
    with pytest.raises(FieldRejected, match="breach"):
        rules.read(LEAKED, [])
    digests = [sha1(each).hex().upper()[:5] for each in (GOOD, LEAKED)]
    assert service.asked == [(f"/range/{digest}", "true") for digest in digests]
    assert failures == []


def test_an_estimate_asks_no_service(service: RangeServer) -> None:
    rules, _ = policy(BreachRange(service.url, 30.0))
    assert rules.estimate(LEAKED, []).is_acceptable
    assert service.asked == []


def stall(handler: Handler) -> None:
    handler.server.released.wait()


def trickle(handler: Handler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while not handler.server.released.wait(0.05):
        handler.wfile.write(b"0")
        handler.wfile.flush()


def redirect(handler: Handler) -> None:
    handler.say("", 302, Location="/elsewhere")


FAULTS: dict[str, tuple[Callable[[Handler], None], str]] = {
    "error": (lambda handler: handler.say("", 503), "answered 503"),
    "none of it": (lambda handler: handler.say("", 404), "answered 404"),
    "redirect": (redirect, "answered 302"),
    "another page": (lambda handler: handler.say("<html>log in to this network</html>"), "range service"),
    "too long": (lambda handler: handler.say("0" * (2 << 20)), "ValueError"),
    "hangs up": (lambda handler: handler.connection.close(), "no answer"),
    "stalls": (stall, "within 0.3 s"),
    "trickles": (trickle, "within 0.3 s"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_c4_a_service_that_fails_is_passed_over_or_refuses_as_the_setting_says(
    service: RangeServer, fault: str
) -> None:
    service.answer, says = FAULTS[fault]
    seconds = 0.3 if "within" in says else 30.0
    lenient, failures = policy(BreachRange(service.url, seconds))
    assert lenient.read(LEAKED, []) == LEAKED
    (failure,) = failures
    assert says in str(failure)
    assert sha1(LEAKED).hex().upper()[:5] not in str(failure)
    strict, _ = policy(BreachRange(service.url, seconds), must_answer=True)
    with pytest.raises(PasswordCheckUnavailable):
        strict.read(LEAKED, [])


def test_a_service_that_is_not_there_is_a_failure_too() -> None:
    with socket.socket() as taken:  # By nobody who listens, and nobody else can.
        taken.bind(("127.0.0.1", 0))
        lenient, failures = policy(BreachRange(f"http://127.0.0.1:{taken.getsockname()[1]}/range/", 30.0))
        assert lenient.read(LEAKED, []) == LEAKED
    assert "refused" in str(failures[0]).lower()


def test_no_more_than_eight_look_ups_wait_for_one_that_stalls(service: RangeServer) -> None:
    all_are_there = threading.Barrier(9)

    def hold(handler: Handler) -> None:
        all_are_there.wait()
        stall(handler)
        handler.say("")

    service.answer = hold
    source = BreachRange(service.url, 60.0)
    with ThreadPoolExecutor(8) as threads:
        waiting = [threads.submit(source.has, sha1(str(number))) for number in range(8)]
        all_are_there.wait()
        with pytest.raises(LookUpFailed, match="earlier"):
            source.has(sha1("the ninth"))
        service.released.set()
        assert not any(each.result() for each in waiting)
    service.answer = lambda handler: handler.say("")
    assert not source.has(sha1("later"))
