"""Where a server is: `host:port`, or one of grpc's other targets, told from what people write by mistake."""

import ipaddress
import re

EXAMPLE = "write host:port, such as 127.0.0.1:50051"
MOST_PORT = 65535

_SCHEME = re.compile(r"(dns|ipv4|ipv6|unix|unix-abstract|vsock|xds|google-c2p):(?:///)?")
"""Of grpc's targets. Only some name a host and a port; the others are left to grpc."""
_WITH_PORT = frozenset({None, "dns", "ipv4", "ipv6"})


class NoAddress(ValueError):
    """A text is no address. The exception's text says what to write."""


def check_address(address: object, *, needs_port: bool) -> str:
    """Return the address. Raises TypeError if it is no text, and NoAddress for what is none of grpc's targets.

    Args:
        needs_port: refuse one without a port, which to grpc is port 443.
    """
    if not isinstance(address, str):
        raise TypeError(f"{address!r} is no address; {EXAMPLE}, as a text")
    if re.match("https?://", address):
        raise NoAddress(f"{address!r} is a URL; {EXAMPLE}")
    if re.search(r"\s", address):
        raise NoAddress(f"{address!r} has a space or a line break in it; {EXAMPLE}")
    scheme, places = _parts(address)
    if scheme in _WITH_PORT:
        for place in places:
            _check_place(address, place, needs_port=needs_port)
    return address


def is_loopback(address: str) -> bool:
    """Tell whether everything that a good address names is this machine."""
    scheme, places = _parts(address)
    if scheme in ("unix", "unix-abstract"):
        return True
    return scheme in _WITH_PORT and all(_is_this_machine(_host(place)) for place in places)


def _parts(address: str) -> tuple[str | None, list[str]]:
    """Return the scheme, if there is one, and the places that it is followed by."""
    match = _SCHEME.match(address)
    if not match:
        return None, [address]
    rest = address[match.end() :]
    return match[1], rest.split(",") if match[1] in ("ipv4", "ipv6") else [rest]


def _check_place(address: str, place: str, *, needs_port: bool) -> None:
    host, colon, port = place.rpartition(":")
    if _is_ip(place) or not (colon and re.fullmatch("[0-9]+", port)):
        if needs_port:
            raise NoAddress(f"{address!r} names no port; {EXAMPLE}")
        return
    if ":" in host and _is_ip(host):
        raise NoAddress(f"{address!r} does not tell address from port; write [{host}]:{port}")
    if not 0 < int(port) <= MOST_PORT:
        raise NoAddress(f"{address!r} names port {port}; ports go from 1 to {MOST_PORT}")


def _host(place: str) -> str:
    return place.rpartition(":")[0].strip("[]")


def _is_this_machine(host: str) -> bool:
    return host == "localhost" or (_is_ip(host) and ipaddress.ip_address(host).is_loopback)


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
