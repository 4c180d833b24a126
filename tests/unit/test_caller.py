"""Where a call comes from, by what grpc says of its peer."""

import pytest

from authservice.transport.caller import network_of


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
    assert network_of(peer) == network
