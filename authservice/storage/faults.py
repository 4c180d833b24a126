"""What a database error means for the transaction that met it."""

import sqlite3
from enum import Enum

import pymysql
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from authservice.storage.error_numbers import State, state_of

DATABASE_ERRORS = (SQLAlchemyError, sqlite3.Error, pymysql.MySQLError)
"""What SQLAlchemy raises, and what drivers do where they are asked themselves."""


class Fault(Enum):
    """What to do about a failed transaction."""

    CONFLICT = "run it again after a moment"
    LOST = "run it again on another connection; the commit may or may not have happened"
    AWAY = "tell the caller to come back"
    UNFORESEEN = "report it"


_FAULTS = {State.CONFLICT: Fault.CONFLICT, State.LOST: Fault.LOST}
"""What is to be done in any other state is to come back later."""


def judge(error: Exception) -> Fault:
    """Say what an error of SQLAlchemy or of a driver means."""
    if isinstance(error, PoolTimeout):
        return Fault.AWAY
    if isinstance(error, DBAPIError):
        lost = Fault.LOST if error.connection_invalidated else Fault.UNFORESEEN
        cause = _judge_driver(error.orig) if error.orig else Fault.UNFORESEEN
        return cause if cause is not Fault.UNFORESEEN else lost
    return Fault.UNFORESEEN if isinstance(error, SQLAlchemyError) else _judge_driver(error)


def is_of_this_host(error: Exception) -> bool:
    """Tell whether another host of the same cluster may well do what this one refuses: it is cut off, or read-only."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return isinstance(cause, pymysql.MySQLError) and state_of(cause) in (State.CUT_OFF, State.READ_ONLY)


def _judge_driver(error: BaseException) -> Fault:
    if isinstance(error, sqlite3.Error | pymysql.MySQLError):
        state = state_of(error)
        return _FAULTS.get(state, Fault.AWAY) if state else Fault.UNFORESEEN
    return Fault.LOST if isinstance(error, OSError | EOFError) else Fault.UNFORESEEN
