"""From which network a call comes: by its connection, or by the word of proxies that were named."""

import ipaddress
import time
from collections import Counter
from collections.abc import Iterator
from typing import TypeAlias
from urllib.parse import unquote

import grpc
import structlog

log = structlog.get_logger()

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
FORWARDED = "x-forwarded-for"
"""The metadata entry in which a proxy says who calls; behind several, each has added who called it."""
PERIOD = 3600.0
"""Seconds over which is looked whether all logins come from one network."""
MANY = 100
"""Logins in that time that are enough to say so."""
REMEDY = "they are held up together; if it is a proxy, name it in AUTHSERVICE_TRUSTED_PROXIES"
_BITS = 64
"""What one customer of a provider has of IPv6, so that single addresses of it say nothing."""


class Networks:
    """Tells where calls come from, and warns where all come from one network. Safe for many threads.

    Args:
        proxies: those whose word counts. Anybody may send that entry, so without this nobody's does.
    """

    def __init__(self, proxies: tuple[Network, ...] = ()) -> None:
        self._proxies = proxies
        self._seen: Counter[str] = Counter()
        self._since = time.monotonic()

    def of_attempt(self, context: grpc.ServicerContext) -> str:
        """Return the network of a call that is counted by it. See `of`."""
        network = self.of(context)
        self._seen[network] += 1
        if time.monotonic() >= self._since + PERIOD:
            seen, self._seen, self._since = self._seen, Counter(), time.monotonic()
            if len(seen) == 1 and seen.total() >= MANY:
                log.warning("one_network", calls=seen.total(), remedy=REMEDY)
        return network

    def of(self, context: grpc.ServicerContext) -> str:
        """Return the network of a call: an IPv4 address, or the /64 of an IPv6 one; empty where there is none."""
        address = _of_peer(context.peer())
        if address is None:
            return ""
        if self._is_proxy(address):
            address = self._forwarded(context) or address
        return _name(address)

    def _forwarded(self, context: grpc.ServicerContext) -> Address | None:
        """Return who called the first proxy. None if a proxy has not said so."""
        # From the last to the first: what stands before the word of the first proxy is the caller's own.
        for text in reversed(list(_entries(context))):
            address = _address(text)
            if address is None or not self._is_proxy(address):
                return address
        return None

    def _is_proxy(self, address: Address) -> bool:
        return any(address in network for network in self._proxies)


def _entries(context: grpc.ServicerContext) -> Iterator[str]:
    for key, value in context.invocation_metadata():
        if key == FORWARDED:
            yield from str(value).split(",")


def _of_peer(peer: str) -> Address | None:
    """Return the address in what grpc says of a peer: `ipv4:127.0.0.1:50051`, `ipv6:%5B::1%5D:50051`, `unix:`."""
    scheme, _, rest = peer.partition(":")
    return _address(unquote(rest).rpartition(":")[0]) if scheme in {"ipv4", "ipv6"} else None


def _address(text: str) -> Address | None:
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _name(address: Address) -> str:
    if address.version == 4:
        return str(address)
    return str(ipaddress.ip_network((address, _BITS), strict=False))
