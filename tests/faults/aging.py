"""Servers whose connections come of age."""

import time

import grpc
from authclient import Session

from tests.observed import PASSWORD

AGE, GRACE = 1.0, 2.0
"""Seconds that a connection lives, and that its calls are given after that."""
AGES = {"max_connection_age": AGE, "connection_grace": GRACE}


def was_cut_rightly(begin: float) -> bool:
    """Tell whether a call that has failed, begun at this monotonic time, took long: a hash on a busy machine.

    The grace begins on the server, and callers who have not heard of it yet begin calls that get the rest of it.
    """
    return time.monotonic() - begin >= GRACE / 2


def log_in(session: Session, name: str) -> None:
    """Log in, and again where a connection's grace was over before the login was.

    Hashes stand back behind all else that runs on the machine, and a Session leaves it to the user to log in again.
    """
    while True:
        begin = time.monotonic()
        try:
            return session.login(name, PASSWORD)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE or not was_cut_rightly(begin):
                raise
