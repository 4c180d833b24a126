"""A session's tokens stay on this machine or under TLS, and out of every text."""

import logging
from pathlib import Path

import grpc
import pytest
from authclient import LoginNeeded, Session

from tests.clients.calling.calls import call, refused
from tests.clients.guarded import UNAVAILABLE
from tests.clients.stand_ins import Hands
from tests.clients.token_server import TokenServer, away, over
from tests.observed import PASSWORD
from tests.rpc.authority import Authority

ELSEWHERE = ["example.com:443", "10.0.0.1:1", "0.0.0.0:1", "[::2]:1", "localhost.example.com:1", "dns:///example.com:1"]
ELSEWHERE += ["127.0.0.1.example.com:1", "ipv4:10.0.0.1:1", "127.0.0.1:1,10.0.0.1:1", "localhost:1@example.com:1", ":1"]
ELSEWHERE += [
    "dns:///example.com:1",
    "ipv4:10.0.0.1:1",
    "127.0.0.1:1,10.0.0.1:1",
    "localhost:1@example.com:1",
    ":1",
]
HERE = ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1", "unix:/tmp/none.sock"]


@pytest.mark.parametrize("address", ELSEWHERE)
def test_no_token_leaves_this_machine_in_the_clear(caller: Session, address: str) -> None:
    with pytest.raises(ValueError, match="in the clear"):
        Session(address)
    with pytest.raises(ValueError, match="in the clear"):
        caller.channel(address)
    Session(address, insecure=True).close()
    caller.channel(address, insecure=True).close()


@pytest.mark.parametrize("address", HERE)
def test_plaintext_stays_possible_on_this_machine(caller: Session, address: str) -> None:
    Session(address).close()
    caller.channel(address).close()


def test_call_credentials_work_over_tls_and_only_there(tmp_path: Path, hands: Hands) -> None:
    authority = Authority(tmp_path, "our-ca")
    cert, key = (file.read_bytes() for file in authority.issue("server"))
    trusted = grpc.ssl_channel_credentials(authority.cert_file.read_bytes())
    name = (("grpc.ssl_target_name_override", "localhost"),)
    tls = grpc.ssl_server_credentials([(key, cert)])
    with TokenServer() as plain, TokenServer(tls) as server:  # noqa: SIM117
        with Session(plain.address, monotonic=hands) as caller:
            caller.login("ada", PASSWORD)
            both = grpc.composite_channel_credentials(trusted, caller.call_credentials())
            with grpc.secure_channel(server.address, both, name) as channel:
                assert call(channel) == [b"access-1"]
                hands.now += 899
                assert call(channel) == [b"access-2"]
                caller.logout()
                assert refused(lambda: call(channel)).code() is UNAVAILABLE
            with caller.channel(f"localhost:{server.port}", credentials=trusted) as channel:
                caller.login("ada", PASSWORD)
                assert call(channel) == [b"access-3"]


def test_tokens_are_in_no_log_and_no_text(
    server: TokenServer, caller: Session, shop_channel: grpc.Channel, hands: Hands, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    texts = [repr(caller), repr(caller._keeping._holding.require()), str(caller._keeping._holding.require())]
    server.refuses = {"access-1", "access-2"}
    texts.append(str(refused(lambda: call(shop_channel))))
    server.on_refresh = away
    hands.now += 899
    texts.append(str(refused(lambda: call(shop_channel))))
    server.on_refresh = over
    with pytest.raises(LoginNeeded) as caught:
        call(shop_channel)
    texts += [str(caught.value), repr(caught.value), caplog.text]
    assert not any(secret in text for text in texts for secret in ("access-", "refresh-", PASSWORD))
