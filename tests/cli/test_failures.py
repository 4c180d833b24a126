"""What becomes of an exception: the exit code, and words that say what to do."""

import pymysql
import pytest
from sqlalchemy.exc import OperationalError

from authservice.cli.failures import COULD_NOT, NO_DATABASE, WRONG_SETTINGS, failure_of
from authservice.config import ConfigError
from authservice.domain.errors import AuthError, Conflict, InvalidInput, StorageUnavailable, Violation
from authservice.usecases.admin.operate_users import NoSuchUser


def test_a_condition_of_the_domain_could_not_be_done_in_its_own_words() -> None:
    assert failure_of(Conflict()) == (COULD_NOT, str(Conflict()))


def test_the_nearest_class_decides_and_not_the_order_of_the_table() -> None:
    # Both are conditions of the domain as well.
    assert issubclass(StorageUnavailable, AuthError)
    assert issubclass(InvalidInput, AuthError)
    database, text = failure_of(StorageUnavailable()) or (0, "")
    assert (database, "authservice doctor" in text) == (NO_DATABASE, True)
    assert failure_of(InvalidInput(Violation("name", "is required"))) == (COULD_NOT, "name: is required")


def test_a_database_that_refuses_the_login_is_a_matter_of_settings() -> None:
    refused = OperationalError("", None, pymysql.err.OperationalError(1045, "Access denied"))
    code, text = failure_of(refused) or (0, "")
    assert (code, "DB_PASSWORD" in text) == (WRONG_SETTINGS, True)
    gone = OperationalError("", None, pymysql.err.OperationalError(2003, "no answer"))
    assert (failure_of(gone) or (0, ""))[0] == NO_DATABASE


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (ConfigError("X is wrong"), WRONG_SETTINGS, "X is wrong"),
        (PermissionError(13, "Permission denied", "/data"), WRONG_SETTINGS, "/data: Permission denied. Run as"),
        (NoSuchUser("ada"), COULD_NOT, "There is no user ada. `authservice users list`"),
    ],
)
def test_what_people_can_mend_says_how(error: Exception, code: int, words: str) -> None:
    found, text = failure_of(error) or (0, "")
    assert found == code
    assert text.startswith(words)


def test_a_fault_of_ours_is_nobodys_mistake() -> None:
    assert failure_of(KeyError("x")) is None
