"""An authentication service that cannot be heard: where, why, how often that is said, and that it is back."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import grpc
import pytest

from tests.clients.auth_server import AuthServer
from tests.clients.eventually import SOON, eventually
from tests.clients.scripted import first_answer
from tests.clients.stand_ins import Hands, Heard
from tests.clients.trusts import NewTrust
from tests.clients.view.addresses import black_hole, free_port
from tests.rpc.authority import Authority


class Certificates(NamedTuple):
    """What both sides show and trust."""

    server: grpc.ServerCredentials
    server_that_asks: grpc.ServerCredentials
    trusting: grpc.ChannelCredentials
    trusting_others: grpc.ChannelCredentials
    shown_to_server: grpc.ChannelCredentials


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("certificates")
    ours, others = Authority(folder, "ours"), Authority(folder, "others")

    def read(issued: tuple[Path, Path]) -> tuple[bytes, bytes]:
        cert_file, key_file = issued
        return key_file.read_bytes(), cert_file.read_bytes()

    root, pairs = ours.cert_file.read_bytes(), [read(ours.issue("server"))]
    return Certificates(
        grpc.ssl_server_credentials(pairs),
        grpc.ssl_server_credentials(pairs, root, require_client_auth=True),
        grpc.ssl_channel_credentials(root),
        grpc.ssl_channel_credentials(others.cert_file.read_bytes()),
        grpc.ssl_channel_credentials(root, *read(ours.issue("client"))),
    )


@pytest.fixture(autouse=True)
def causes_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let attempts be short, and the cause of their failure come when it comes."""
    monkeypatch.setattr("authclient._view.watch.CONNECT_SECONDS", 0.1)
    monkeypatch.setattr("authclient._view.watch.CAUSE_SECONDS", SOON)


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """Yield what the log says, with its level; also of what is to come."""
    caplog.set_level(logging.INFO, "authclient")
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(f"{record.levelname}: {record.getMessage()}")  # type: ignore[method-assign]
    logging.getLogger("authclient").addHandler(handler)
    yield lines
    logging.getLogger("authclient").removeHandler(handler)


def a_server(credentials: grpc.ServerCredentials | None, host: str = "localhost") -> AuthServer:
    """Return a server; by its ordinary name it is one that certificates of the tests are for."""
    return AuthServer(host=host, credentials=credentials)  # type: ignore[abstract]  # it plays what is needed


@pytest.mark.parametrize(
    ("serving", "calling", "cause"),
    [
        ("server", None, "plaintext: plaintext is spoken to a server that speaks TLS, or no gRPC; "),
        (None, "trusting", "TLS: TLS is spoken to a server that speaks plaintext; "),
        ("server", "trusting_others", "TLS: the server's certificate is not by an authority that is trusted here: "),
        ("server_that_asks", "trusting", "TLS: the server ended the connection, maybe because it wants a certificate "),
    ],
    ids=["plaintext to TLS", "TLS to plaintext", "another authority", "no client certificate"],
)
def test_what_is_wrong_with_the_connection_is_said(
    certificates: Certificates,
    new_trust: NewTrust,
    said: list[str],
    serving: str | None,
    calling: str | None,
    cause: str,
) -> None:
    # Where no certificate is looked at, the name would only bring a second address, of which grpc may tell instead.
    host = "localhost" if serving and calling else "127.0.0.1"
    with a_server(certificates._asdict().get(serving or ""), host) as server:
        new_trust(server, credentials=certificates._asdict().get(calling or ""))
        eventually(lambda: said, "a warning")
        assert said[0].startswith("WARNING: the authentication service does not say what is revoked")
        assert f"({server.address}, {cause}" in said[0]


@pytest.mark.parametrize("calling", [None, "trusting"])
def test_so_is_that_nothing_listens(
    certificates: Certificates, new_trust: NewTrust, said: list[str], calling: str | None
) -> None:
    address = f"127.0.0.1:{free_port()}"
    new_trust(address, credentials=certificates._asdict().get(calling or ""))
    eventually(lambda: said, "a warning")
    assert f"({address}, {'TLS' if calling else 'plaintext'}: nothing listens there; " in said[0]


@pytest.mark.parametrize("calling", [None, "trusting"])
def test_and_that_nobody_answers(
    certificates: Certificates,
    new_trust: NewTrust,
    said: list[str],
    monkeypatch: pytest.MonkeyPatch,
    calling: str | None,
) -> None:
    monkeypatch.setattr("authclient._view.watch.CAUSE_SECONDS", 0.1)  # There is none to wait for.
    with black_hole() as address:
        new_trust(address, credentials=certificates._asdict().get(calling or ""))
        eventually(lambda: said, "a warning")
    assert f"({address}, {'TLS' if calling else 'plaintext'}: there is no answer; " in said[0]


def test_a_name_of_another_machine_counts_as_a_bad_certificate(
    certificates: Certificates, new_trust: NewTrust, said: list[str]
) -> None:
    with a_server(certificates.server) as server:
        new_trust(f"127.0.0.1:{server.port}", credentials=certificates.trusting)
        eventually(lambda: said, "a warning")
    assert "TLS: the server's certificate does not count here; " in said[0]


def test_with_the_right_certificates_there_is_nothing_to_say(
    certificates: Certificates, new_trust: NewTrust, said: list[str]
) -> None:
    with a_server(certificates.server_that_asks) as server:
        trust = new_trust(server, credentials=certificates.shown_to_server)
        assert trust.wait_until_ready(SOON)
        eventually(lambda: said, "the connection")
    assert said[0] == "INFO: the authentication service says what is revoked"


def test_a_stream_that_falls_silent_is_no_answer(
    scripted: AuthServer, new_trust: NewTrust, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("authclient._view.watch.SILENCE_SECONDS", 0.3)
    new_trust(scripted)
    scripted.next_watch().say(first_answer())
    eventually(lambda: len(said) >= 2, "the loss")
    assert f"({scripted.address}, plaintext: there is no answer; StatusCode.CANCELLED: nothing was heard" in said[1]


def test_a_stream_that_the_server_ends_is_no_slip_in_the_settings(
    scripted: AuthServer, new_trust: NewTrust, said: list[str]
) -> None:
    new_trust(scripted)
    scripted.next_watch().say(first_answer()).end()
    eventually(lambda: len(said) >= 2, "the loss")
    assert f"({scripted.address}, plaintext: StatusCode.UNAVAILABLE: " in said[1]


def test_an_outage_is_told_once_a_minute_and_once_when_it_is_over(
    new_trust: NewTrust, heard: Heard, said: list[str], hands: Hands
) -> None:
    server = AuthServer()  # type: ignore[abstract]  # what it does not play answers UNIMPLEMENTED
    server.port, server.uptime = free_port(), hands
    trust = new_trust(server, monotonic=hands)

    def more_losses() -> None:
        before = len(heard.losses)
        eventually(lambda: len(heard.losses) >= before + 2, "two more attempts")

    more_losses()
    hands.now += 59
    more_losses()
    assert [line[:8] for line in said] == ["WARNING:"]
    hands.now += 1
    more_losses()
    assert [line[:8] for line in said] == ["WARNING:"] * 2
    assert all("nothing listens there" in line for line in said)
    with server:
        assert trust.wait_until_ready(SOON)
        eventually(lambda: heard.connections, "the report")
    assert said[2] == f"INFO: the authentication service says again what is revoked ({server.address})"


def test_a_channel_that_was_given_is_called_so(new_trust: NewTrust, said: list[str]) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{free_port()}") as channel:
        trust = new_trust(channel)
        eventually(lambda: said, "a warning")
        trust.close()
    assert "(the channel that was given: nothing listens there; " in said[0]
