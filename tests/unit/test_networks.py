"""Where a call comes from: by its connection, or by the word of proxies that were named."""

import time
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

import pytest
from structlog.testing import capture_logs

from authservice.transport.networks import Networks


@dataclass
class Context:
    """What a call says of itself."""

    at: str
    metadata: Any = ()

    @classmethod
    def of(cls, at: str, metadata: Any = ()) -> Any:
        return cls(at, metadata)

    def peer(self) -> str:
        return self.at

    def invocation_metadata(self) -> Any:
        return self.metadata


@pytest.mark.parametrize(
    ("peer", "network"),
    [
        ("ipv4:127.0.0.1:50051", "127.0.0.1"),
        ("ipv6:%5B::1%5D:50051", "::/64"),
        ("ipv6:[2001:db8:1:2:3:4:5:6]:1", "2001:db8:1:2::/64"),
        ("ipv6:%5Bfe80::1%25eth0%5D:1", "fe80::/64"),
        ("ipv6:%5B::ffff:192.0.2.7%5D:1", "192.0.2.7"),
        ("unix:/run/auth.sock", ""),
        ("unix:", ""),
        ("", ""),
        ("ipv4:nonsense:1", ""),
    ],
)
def test_a_network_is_an_ipv4_address_or_the_64_bits_that_one_customer_has_of_ipv6(peer: str, network: str) -> None:
    assert Networks().of(Context.of(peer)) == network


@pytest.mark.parametrize(
    ("entries", "network"),
    [
        (["198.51.100.7"], "198.51.100.7"),
        (["203.0.113.9, 198.51.100.7"], "198.51.100.7"),  # What stands before is the caller's own word.
        (["203.0.113.9", "198.51.100.7"], "198.51.100.7"),
        (["198.51.100.7, 10.1.1.1"], "198.51.100.7"),  # Two proxies in a row.
        (["198.51.100.7:4711"], "198.51.100.7"),
        (["[2001:db8:1:2::9]:4711"], "2001:db8:1:2::/64"),
        (["2001:db8:1:2::9"], "2001:db8:1:2::/64"),
        (["10.2.2.2, 10.1.1.1"], "10.0.0.5"),
        (["198.51.100.7, nonsense"], "10.0.0.5"),
        ([""], "10.0.0.5"),
        ([], "10.0.0.5"),
    ],
)
def test_a8_a_named_proxy_says_who_calls(entries: list[str], network: str) -> None:
    context = Context.of("ipv4:10.0.0.5:5000", tuple(("x-forwarded-for", entry) for entry in entries))
    assert Networks((ip_network("10.0.0.0/8"),)).of(context) == network


def test_a8_nobody_elses_word_counts() -> None:
    forged = (("x-forwarded-for", "198.51.100.7"),)
    assert Networks((ip_network("10.0.0.0/8"),)).of(Context.of("ipv4:192.0.2.1:5000", forged)) == "192.0.2.1"
    assert Networks().of(Context.of("ipv4:10.0.0.5:5000", forged)) == "10.0.0.5"


def test_it_is_said_once_an_hour_where_every_login_comes_from_one_network(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(0, 10**9, 30))
    monkeypatch.setattr(time, "monotonic", lambda: next(now))
    networks = Networks()
    with capture_logs() as lines:
        for _ in range(600):
            networks.of_attempt(Context.of("ipv4:10.0.0.5:5000"))
        assert lines
        assert {line["event"] for line in lines} == {"one_network"}
        said = len(lines)
        for number in range(600):
            networks.of_attempt(Context.of(f"ipv4:10.0.0.{number % 2}:5000"))
    assert len(lines) <= said + 1, "those before the second network came"
