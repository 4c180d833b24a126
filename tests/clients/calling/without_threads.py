"""A process that may start no more threads while a refresh is due: `python -m ...without_threads ADDRESS`."""

import os
import resource
import sys
import threading
from collections.abc import Callable

from authclient import Session

from tests.clients.eventually import eventually
from tests.clients.stand_ins import Hands
from tests.observed import PASSWORD

NOBODY = 65534


def is_at_limit() -> bool:
    try:
        threading.Thread(target=int).start()
    except RuntimeError:
        return True
    return False


def tell(token: Callable[[], str]) -> None:
    """Print a token, or why there is none."""
    try:
        print(token())
    except Exception as error:
        print(repr(error))


def main() -> None:
    hands = Hands(1000.0)
    with Session(sys.argv[1], monotonic=hands) as caller, caller.channel(sys.argv[1]):
        caller.login("ada", PASSWORD)
        if os.getuid() == 0:  # The limit is not for the superuser.
            os.setgroups([])
            os.setuid(NOBODY)
        before = resource.getrlimit(resource.RLIMIT_NPROC)
        resource.setrlimit(resource.RLIMIT_NPROC, (0, before[1]))
        print("at the limit" if is_at_limit() else "threads can be started")
        hands.now += 800
        tell(caller.access_token)
        hands.now += 99
        tell(caller.access_token)
        hands.now += 800
        tell(caller.access_token)
        resource.setrlimit(resource.RLIMIT_NPROC, before)
        tell(caller.access_token)
        eventually(lambda: caller._keeping.refresh is None, "the refresh is over")
        tell(caller.access_token)


if __name__ == "__main__":
    main()
