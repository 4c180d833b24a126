"""What becomes of an exception: the exit code, and words that say what to do."""

from pathlib import Path

import pymysql
import pytest
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from authservice.cli.databases import COULD_NOT, NO_DATABASE, WRONG_SETTINGS
from authservice.cli.failures import failure_of
from authservice.config import ConfigError
from authservice.domain.errors import AuthError, Conflict, InvalidInput, StorageUnavailable, Violation
from authservice.storage import schema
from authservice.storage.engine import open_engine
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


def test_exit_code_4_is_for_what_is_away_and_the_rest_is_told_in_the_servers_words() -> None:
    exists = OperationalError("", None, pymysql.err.OperationalError(1050, "Table 'users' already exists"))
    assert failure_of(exists) == (COULD_NOT, "The database says 1050: Table 'users' already exists.")
    denied = StorageUnavailable()
    denied.__cause__ = OperationalError("", None, pymysql.err.OperationalError(1142, "INSERT command denied"))
    code, text = failure_of(denied) or (0, "")
    assert (code, text) == (
        WRONG_SETTINGS,
        "The database says 1142: INSERT command denied. Grant the rights that the README lists.",
    )
    for number in (2003, 2013, 1040, 1053, 1047, 3032, 3797):
        code, text = failure_of(pymysql.err.OperationalError(number, "reason")) or (0, "")
        assert (code, f"({number}: reason)" in text) == (NO_DATABASE, True)


@pytest.mark.parametrize(
    ("number", "words", "remedy"),
    [
        (1146, "Table 'authservice.users' doesn't exist", "Restore what `authservice migrate` made."),
        (1524, "Plugin 'mysql_native_password' is not loaded", "Give the user there another way to log in"),
        (3159, "Connections using insecure transport are prohibited", "Set AUTHSERVICE_DATABASE_CA_FILE."),
        (1175, "You are using safe update mode", ""),
    ],
)
def test_what_an_operator_can_put_right_is_told_with_the_servers_number_and_words(
    number: int, words: str, remedy: str
) -> None:
    code, text = failure_of(pymysql.err.OperationalError(number, words)) or (0, "")
    assert code == WRONG_SETTINGS
    assert text.startswith(f"The database says {number}: {words}. {remedy}".rstrip())


def test_words_of_the_driver_itself_are_told_without_a_number() -> None:
    code, text = failure_of(pymysql.err.OperationalError("Couldn't receive server's public key")) or (0, "")
    assert (code, "(Couldn't receive server's public key)" in text) == (NO_DATABASE, True)


def test_l1_words_of_a_server_that_repeat_what_was_sent_are_left_out() -> None:
    error = pymysql.err.IntegrityError(1062, "Duplicate entry 'canary' for key 'users.name'")
    assert failure_of(error) == (COULD_NOT, "The database says 1062.")


@pytest.mark.parametrize(
    ("content", "code", "says"),
    [
        (None, WRONG_SETTINGS, "unable to open database file. Correct AUTHSERVICE_DATA_DIR"),
        (b"no database" * 100, WRONG_SETTINGS, "file is not a database. Correct"),
    ],
)
def test_an_sqlite_file_that_cannot_be_used_is_not_away(
    tmp_path: Path, content: bytes | None, code: int, says: str
) -> None:
    path = tmp_path / "folder" if content is None else tmp_path / "file"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    engine = open_engine(f"sqlite:///{path}", pool_size=1)
    with pytest.raises(SQLAlchemyError) as met:
        schema.current(engine)
    engine.dispose()
    found, text = failure_of(met.value) or (0, "")
    assert (found, says in text) == (code, True), text


def test_a_fault_of_ours_is_nobodys_mistake() -> None:
    assert failure_of(KeyError("x")) is None
