"""`authservice users import`: leaving an application on Express, bcrypt and MySQL, and files of others."""

import csv
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import bcrypt
import pytest
from sqlalchemy import URL, make_url

from authservice import bootstrap
from authservice.config import Settings
from authservice.domain.deadline import Deadline
from authservice.domain.errors import CredentialsInvalid
from authservice.domain.tokens import SessionTokens
from authservice.usecases.auth.login import Credentials
from tests.cli.conftest import Run
from tests.conftest import CHEAPEST
from tests.mariadb import connect

USERS = (
    ("ada", "ada@example.com", "s3cret", "2a"),  # bcrypt.js writes $2a$,
    ("Björn", "bjorn@example.com", "päßwörd and more", "2b"),  # node.bcrypt.js $2b$,
    ("carol", None, "x" * 80, "2y"),  # and PHP $2y$.
)
EXPRESS = """
    CREATE TABLE users (
        id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
        username VARCHAR(255) NOT NULL UNIQUE,
        email VARCHAR(255) UNIQUE,
        password VARCHAR(255) NOT NULL,
        created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
    ) CHARACTER SET utf8mb4
"""


def hash_of(password: str, prefix: str = "2b") -> str:
    text = bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(CHEAPEST)).decode()
    return text.replace("$2b$", f"${prefix}$")


@pytest.fixture
def application(new_mariadb_url: Callable[[], str]) -> URL:
    """Return the database of such an application, with its users."""
    url = make_url(new_mariadb_url())
    with closing(connect(url, autocommit=True, charset="utf8mb4")) as connection:
        cursor = connection.cursor()
        cursor.execute(EXPRESS)
        for name, email, password, prefix in USERS:
            row = (name, email, hash_of(password, prefix))
            cursor.execute("INSERT INTO users (username, email, password) VALUES (%s, %s, %s)", row)
        cursor.execute("INSERT INTO users (username, password) VALUES ('eve@example.com', %s)", (hash_of("x"),))
        cursor.execute("INSERT INTO users (username, password) VALUES ('mallory', 'canary-of-md5')")
    return url


@pytest.fixture
def from_there(application: URL) -> tuple[tuple[str, ...], str]:
    """Return the arguments, and what is typed for the password."""
    address = application.set(drivername="mysql")._replace(password=None).render_as_string()
    return (
        ("users", "import", "--from", address, "--table", "users", "--email-column", "email"),
        f"{application.password or ''}\n",
    )


def log_in(tmp_path: Path, name: str, password: str) -> str:
    service = bootstrap.assemble(Settings(data_dir=tmp_path / "data"), hash_cost=CHEAPEST)  # type: ignore[call-arg]
    try:
        opened = service.auth.login(Credentials(name, password), Deadline.after(20))
        assert isinstance(opened, SessionTokens)
        return opened.access_token
    finally:
        service.close()


def report_of(tmp_path: Path) -> list[dict[str, str]]:
    with (tmp_path / "import-report.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_c6_people_leave_an_express_application_without_a_new_password(
    run: Run, tmp_path: Path, from_there: tuple[tuple[str, ...], str]
) -> None:
    arguments, typed = from_there
    run("migrate")
    tried = run(*arguments, "--dry-run", stdin=typed)
    assert (tried.returncode, tried.stdout) == (1, "3 would be imported, 0 there already, 2 refused.\n")
    assert json.loads(run("users", "list", "--json").stdout) == []
    done = run(*arguments, stdin=typed)
    assert (done.returncode, done.stdout) == (1, "3 imported, 0 there already, 2 refused.\n")
    for name, email, password, _ in USERS:
        assert log_in(tmp_path, name, password)
        assert email is None or log_in(tmp_path, email, password)
        with pytest.raises(CredentialsInvalid):
            log_in(tmp_path, name, f"!{password}")
    assert [(row["row"], row["user name"], row["refused"]) for row in report_of(tmp_path)] == [
        ("4", "eve@example.com", "yes"),
        ("5", "mallory", "yes"),
    ]
    assert "canary" not in (tmp_path / "import-report.csv").read_text() + done.stdout + done.stderr
    assert run(*arguments, stdin=typed).stdout == "0 imported, 3 there already, 2 refused.\n"


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"--table": "people"}, "There is no table people"),
        ({"--name-column": "login"}, "has no column login. It has id, username, email, password, created_at."),
        ({"--from": "mysql://nobody@127.0.0.1:1/shop"}, "The database at --from: The database does not answer"),
        ({"--from": "postgresql://127.0.0.1/shop"}, "Export the table of any other database as CSV"),
        ({"--from": "sqlite:///nowhere.db"}, "There is no database"),
    ],
)
def test_what_is_wrong_with_the_source_is_said(
    run: Run, from_there: tuple[tuple[str, ...], str], changed: dict[str, str], says: str
) -> None:
    arguments, typed = from_there
    run("migrate")
    given = dict(zip(arguments[2::2], arguments[3::2], strict=True)) | changed
    done = run("users", "import", *(part for pair in given.items() for part in pair), stdin=typed)
    assert done.returncode == 1
    assert says in done.stderr


def test_a_password_in_the_address_is_refused_before_anybody_else_sees_more_of_it(run: Run) -> None:
    run("migrate")
    done = run("users", "import", "--from", "mysql://reader:canary@127.0.0.1/shop", "--table", "users")
    assert (done.returncode, "canary" in done.stderr) == (2, False)
    assert "Leave the password out" in done.stderr


@pytest.mark.parametrize("arguments", [(), ("--from", "sqlite:///x"), ("-", "--from", "sqlite:///x", "--table", "y")])
def test_one_source_is_named(run: Run, arguments: tuple[str, ...]) -> None:
    assert run("users", "import", *arguments).returncode == 2


def test_a_file_is_imported_with_the_columns_that_it_has(run: Run, tmp_path: Path) -> None:
    lines = [
        "\ufefflogin,mail,bcrypt,shoe size",
        f"ada,ada@example.com,{hash_of('s3cret')},37",
        f'"b\nob",,{hash_of("x")},',
    ]
    (tmp_path / "users.csv").write_text("\r\n".join(lines), encoding="utf-8")
    run("migrate")
    columns = ("--name-column", "login", "--hash-column", "bcrypt", "--email-column", "mail")
    done = run("users", "import", "users.csv", *columns, "--report", "why.csv")
    assert (done.returncode, done.stdout) == (1, "1 imported, 0 there already, 1 refused.\n")
    assert (tmp_path / "why.csv").read_text().count("user name contains characters") == 1
    assert log_in(tmp_path, "ada@example.com", "s3cret")
    assert not (tmp_path / "import-report.csv").exists()


def test_a_file_may_come_through_a_pipe_and_leaves_no_report_where_nothing_is_wrong(
    run: Run, run_apart: Run, tmp_path: Path
) -> None:
    run("migrate")
    done = run_apart("users", "import", "-", stdin=f"username,password\nada,{hash_of('s3cret')}\n")
    assert (done.returncode, done.stdout) == (0, "1 imported, 0 there already, 0 refused.\n")
    assert {path.name for path in tmp_path.iterdir()} == {"data"}
    assert log_in(tmp_path, "ada", "s3cret")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no column username"),
        (b"name,password\nada,x\n", "no column username. Its first line has name, password"),
        (b'username,password\nada,"x\n', "is no CSV"),
        (b"username,password\n\xff\xfe,x\n", "not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_said(run: Run, tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "users.csv").write_bytes(content)
    run("migrate")
    done = run("users", "import", "users.csv")
    assert done.returncode == 1
    assert says in done.stderr


def test_a_table_in_sqlite_is_read_and_not_changed(run: Run, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        connection.execute("CREATE TABLE users (username TEXT, password BLOB)")
        connection.execute("INSERT INTO users VALUES ('ada', ?)", (hash_of("s3cret").encode(),))
        connection.commit()
    before = (tmp_path / "shop.db").read_bytes()
    run("migrate")
    done = run("users", "import", "--from", "sqlite:///shop.db", "--table", "users")
    assert done.stdout == "1 imported, 0 there already, 0 refused.\n"
    assert log_in(tmp_path, "ada", "s3cret")
    assert (tmp_path / "shop.db").read_bytes() == before
