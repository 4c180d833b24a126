"""A guarded service in a process of its own: `python -m tests.rpc.account.guarded_process PORT`.

It follows the authentication service at that port, prints its own, and lasts until its standard input ends.
"""

import sys
from typing import Any

from authclient import Trust

from tests.clients.eventually import SOON
from tests.clients.guarded import Guarded, every_kind


def _echo(requests: list[bytes], _context: Any) -> list[bytes]:
    return requests


def _serve(port: str) -> None:
    with Trust(f"127.0.0.1:{port}", audience="internal") as trust:
        assert trust.wait_until_ready(SOON)
        with Guarded(trust, every_kind(_echo)) as guarded:
            print(guarded.port, flush=True)
            sys.stdin.read()


if __name__ == "__main__":
    _serve(sys.argv[1])
