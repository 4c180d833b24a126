"""Addresses of the authentication service: where tokens may travel in the clear, and what people write by mistake."""

from collections.abc import Callable

import grpc
import pytest
from authclient import Session, Trust
from authclient import aio as asynchronous
from authclient._wire.channels import open_aio_channel, open_channel

CLIENTS: dict[str, Callable[..., object]] = {
    "Trust": lambda address, **options: Trust(address, audience="internal", **options),
    "Session": Session,
    "aio.Session": asynchronous.Session,
}


@pytest.fixture(params=CLIENTS)
def connect(request: pytest.FixtureRequest) -> Callable[..., object]:
    """Return what takes an address, each in turn."""
    return CLIENTS[request.param]


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1:1",
        "127.9.9.9:1",
        "localhost:1",
        "[::1]:1",
        "unix:/run/auth",
        "unix:///run/auth",
        "unix-abstract:auth",
        "ipv4:127.0.0.1:1",
        "ipv4:127.0.0.1:1,127.0.0.2:1",
        "ipv6:[::1]:1",
        "dns:localhost:1",
        "dns:///127.0.0.1:1",
        "dns:///localhost:1",
    ],
)
def test_plaintext_is_for_this_machine(address: str) -> None:
    open_channel(address, None, insecure=False).close()


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1:50051",
        "auth:50051",
        "0.0.0.0:50051",
        "[::]:50051",
        "[2001:db8::1]:50051",
        "localhost.example.com:50051",
        "127.0.0.1.example.com:50051",
        "dns:///auth:50051",
        "dns://127.0.0.1/auth:50051",
        "ipv4:10.0.0.1:50051",
        "ipv4:127.0.0.1:1,10.0.0.1:1",
        "ipv6:[::1]:1,[2001:db8::1]:1",
        "127.0.0.1:1,10.0.0.1:1",
        "unixes:1",
        "xds:///auth",
        "2130706433:1",
    ],
)
def test_plaintext_to_another_machine_is_refused_unless_somebody_says_it_is_fine(
    address: str, connect: Callable[..., object]
) -> None:
    with pytest.raises(ValueError, match="another machine"):
        connect(address)
    open_channel(address, None, insecure=True).close()


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "", "localhost", "auth", "[::1]", "::1", "127.0.0.1:", "auth:grpc", "dns:///auth", "ipv4:127.0.0.1"],
)
@pytest.mark.parametrize("insecure", [False, True])
def test_an_address_without_a_port_is_said_to_be_one(
    address: str, insecure: bool, connect: Callable[..., object]
) -> None:
    with pytest.raises(ValueError, match="names no port; write host:port, such as 127") as caught:
        connect(address, insecure=insecure)
    assert str(caught.value).startswith(repr(address))
    with pytest.raises(ValueError, match="names no port"):
        open_aio_channel(address, None, insecure)


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        ("http://127.0.0.1:50051", "is a URL; write host:port"),
        ("https://auth.example", "is a URL; write host:port"),
        ("127.0.0.1:99999", "names port 99999; ports go from 1 to 65535"),
        ("dns:///auth:65536", "names port 65536"),
        ("127.0.0.1:0", "names port 0"),
        ("::1:50051", r"does not tell address from port; write \[::1\]:50051"),
        ("ipv6:::1:50051", r"does not tell address from port; write \[::1\]:50051"),
        ("127.0.0.1:50051\n", "has a space or a line break in it"),
    ],
)
@pytest.mark.parametrize("credentials", [None, grpc.ssl_channel_credentials()], ids=["plaintext", "TLS"])
def test_what_is_no_address_is_refused_in_words_that_help(
    address: str, complaint: str, credentials: grpc.ChannelCredentials | None, connect: Callable[..., object]
) -> None:
    with pytest.raises(ValueError, match=complaint):
        connect(address, credentials=credentials)


@pytest.mark.parametrize("address", ["auth.example", "auth.example:443", "dns:///auth.example", "[2001:db8::1]"])
def test_with_tls_the_port_may_be_the_usual_one(address: str) -> None:
    open_channel(address, grpc.ssl_channel_credentials(), insecure=False).close()


@pytest.mark.parametrize("address", [50051, None, b"127.0.0.1:50051", ("127.0.0.1", 50051)])
def test_what_is_no_text_is_refused(address: object, connect: Callable[..., object]) -> None:
    with pytest.raises(TypeError, match="is no address; write host:port, such as 127"):
        connect(address)


def test_a_channel_of_the_other_kind_is_no_address() -> None:
    with grpc.insecure_channel("127.0.0.1:1") as channel, pytest.raises(TypeError, match="is no address"):
        asynchronous.Session(channel)  # type: ignore[arg-type]


@pytest.mark.parametrize("credentials", ["ca.pem", b"-----BEGIN CERTIFICATE-----", True])
def test_credentials_that_are_none_are_refused(credentials: object, connect: Callable[..., object]) -> None:
    with pytest.raises(TypeError, match=r"credentials must be what grpc\.ssl_channel_credentials"):
        connect("auth.example:443", credentials=credentials)
