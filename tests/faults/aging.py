"""Servers whose connections come of age."""

import time

import grpc
from authclient import Session

from tests.observed import PASSWORD

AGE, GRACE = 1.0, 2.0
"""Seconds that a connection lives, and that its calls are given after that."""
AGES = {"max_connection_age": AGE, "connection_grace": GRACE}
LOGIN_SECONDS = 60.0


def log_in(session: Session, name: str) -> None:
    """Log in, again and again where a connection's grace is over before the login is.

    Hashes stand back behind all else that runs on the machine, and a Session leaves it to the user to log in again.
    """
    begin = time.monotonic()
    while True:
        try:
            return session.login(name, PASSWORD)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE or time.monotonic() - begin > LOGIN_SECONDS:
                raise
