"""The port that the workers share: at every address of the host, and what is said where it cannot be had."""

import contextlib
import socket
import threading
from typing import Any

import pytest

from authservice.serving import port as module
from authservice.serving.port import CannotListen, reserve_port

V4, V6, ELSEWHERE = ("127.0.0.1", 0), ("::1", 0, 0, 0), ("192.0.2.1", 0)
FAMILIES = {2: socket.AF_INET, 4: socket.AF_INET6}


def resolve(monkeypatch: pytest.MonkeyPatch, *places: tuple[Any, ...]) -> None:
    """Have a name mean these addresses."""
    found = [(FAMILIES[len(place)], socket.SOCK_STREAM, 6, "", place) for place in places]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_named: found)


def test_a_name_is_held_at_all_of_its_addresses_by_one_port(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve(monkeypatch, V6, V4, V6)
    with contextlib.closing(reserve_port("both", 0)) as reserved:
        assert reserved.addresses == (f"[::1]:{reserved.port}", f"127.0.0.1:{reserved.port}")
        with pytest.raises(CannotListen, match="Stop the other program"):
            reserve_port("both", reserved.port)


def test_an_address_of_a_name_that_this_machine_does_not_have_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve(monkeypatch, ELSEWHERE, V4)
    with contextlib.closing(reserve_port("near-and-far", 0)) as reserved:
        assert reserved.addresses == (f"127.0.0.1:{reserved.port}",)


def test_a_name_of_another_machine_is_said_to_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve(monkeypatch, ELSEWHERE)
    with pytest.raises(CannotListen) as refused:
        reserve_port("far", 50051)
    assert str(refused.value) == (
        "Cannot listen on far:50051: Cannot assign requested address (far is 192.0.2.1). "
        "Choose a --host that is an address of this machine."
    )


def test_one_address_that_is_taken_is_enough_to_refuse_and_nothing_stays_held(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve(monkeypatch, V4, V6)
    with socket.socket(socket.AF_INET6) as other:
        other.bind(V6)
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(CannotListen, match=r"Address already in use \(both is 127.0.0.1, \[::1\]\)"):
            reserve_port("both", port)
    reserve_port("127.0.0.1", port).close()


@pytest.mark.parametrize("host", ["no.such.host.invalid", "x" * 70])
def test_a_name_that_means_nothing_is_said_to_mean_nothing(host: str) -> None:
    with pytest.raises(CannotListen, match=f"Cannot listen on {host}:50051: .*Correct the --host"):
        reserve_port(host, 50051)


def test_a_port_that_this_user_may_not_have_is_no_other_program(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(module, "_held", forbidden)
    with pytest.raises(CannotListen, match="Choose a --port of 1024 or more"):
        reserve_port("127.0.0.1", 80)


def test_a_port_is_waited_for_while_those_who_had_it_leave() -> None:
    had = reserve_port("127.0.0.1", 0)
    leaving = threading.Timer(0.3, had.close)
    leaving.start()
    try:
        reserve_port("127.0.0.1", had.port).close()
    finally:
        leaving.join()
