"""`authservice users import`: accounts of another application, with the password hashes that it has."""

import contextlib
import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, TypeAlias

import click
import pymysql
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from authservice.cli.asking import interruptible, pasted_secret
from authservice.cli.databases import trouble_with
from authservice.cli.opening import service
from authservice.cli.progress import progress
from authservice.cli.user_files import Report, rows_of, size_of
from authservice.domain.user_import import ForeignUser, ImportStep
from authservice.storage.foreign_table import ForeignTable, ForeignTableUnusable

Columns: TypeAlias = tuple[str, str, str | None]
Source: TypeAlias = tuple[Iterator[ForeignUser], int | None, Callable[[int], int]]
"""Rows, how much there is of them in all, and how much of that has been read after so many rows."""


@click.command("import")
@click.argument("file", type=click.File("rb"), required=False)
@click.option("--from", "address", metavar="URL", help="Read a table, at mysql://user@host/database or sqlite:///file.")
@click.option("--table", help="The table to read there.")
@click.option("--name-column", default="username", show_default=True, help="The column with the user name.")
@click.option("--hash-column", default="password", show_default=True, help="The column with the bcrypt hash.")
@click.option("--email-column", help="The column with the e-mail address. Without it none are imported.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option(
    "--report",
    "report_path",
    default="import-report.csv",
    show_default=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write which rows were refused, and why.",
)
def import_users(
    file: BinaryIO | None,
    address: str | None,
    table: str | None,
    name_column: str,
    hash_column: str,
    email_column: str | None,
    dry_run: bool,
    report_path: Path,
) -> None:
    """Import accounts with their bcrypt hashes, from a CSV FILE (`-` is standard input) or from a database's table.

    People log in with the passwords that they have. The password of the other database is asked for, or read from the
    first line of standard input. Repeating an import is harmless: accounts that are there are left alone. Exit code 1
    if rows were refused.
    """
    if (file is None) == (address is None) or (address is None) != (table is None):
        raise click.UsageError("Name a CSV file, or a database with --from and --table.")
    columns = name_column, hash_column, email_column
    opened = _table(address, table, columns) if address and table else _file(file, columns)
    report = Report(report_path)
    with (
        service() as authservice,
        opened as (rows, total, done),
        contextlib.closing(report),
        interruptible(),
        progress("Importing", total) as told,
    ):
        steps = authservice.admin.import_users(rows, is_trial=dry_run)
        counts = _run(steps, report, lambda count: told(done(count)))
    _say(counts, report, is_trial=dry_run)


def _run(steps: Iterator[ImportStep], report: Report, told: Callable[[int], None]) -> tuple[int, int, int]:
    """Return how many rows were imported, present and refused."""
    imported = present = refused = 0
    for step in steps:
        report.add(step.remarks)
        imported, present, refused = imported + step.imported, present + step.present, refused + step.refused
        told(imported + present + refused)
    return imported, present, refused


def _say(counts: tuple[int, int, int], report: Report, *, is_trial: bool) -> None:
    imported, present, refused = counts
    would = " would be" if is_trial else ""
    click.echo(f"{imported}{would} imported, {present} there already, {refused} refused.")
    if report.is_written:
        click.echo(f"{report.path} says which rows, and why.", err=True)
    if refused:
        sys.exit(1)


@contextlib.contextmanager
def _file(file: BinaryIO | None, columns: Columns) -> Iterator[Source]:
    assert file is not None
    total = size_of(file)
    text = io.TextIOWrapper(file, "utf-8-sig", newline="")
    yield rows_of(text, columns), total, lambda _: file.tell() if total else 0
    text.detach()


@contextlib.contextmanager
def _table(address: str, table: str, columns: Columns) -> Iterator[Source]:
    url = _with_password(address)
    with _blamed_on_the_source():
        source = ForeignTable(url, table, columns)
        total = source.count()
    try:
        yield _rows(source), total, lambda count: count
    finally:
        source.close()


def _rows(source: ForeignTable) -> Iterator[ForeignUser]:
    rows = source.rows()
    while True:
        with _blamed_on_the_source():  # And not on this service's own database, to which the rows go.
            row = next(rows, None)
        if row is None:
            return
        yield row


@contextlib.contextmanager
def _blamed_on_the_source() -> Iterator[None]:
    try:
        yield
    except ForeignTableUnusable as unusable:
        raise click.ClickException(str(unusable)) from None
    except (SQLAlchemyError, pymysql.MySQLError) as error:
        raise click.ClickException(f"The database at --from: {trouble_with(error).what}") from None


def _with_password(address: str) -> URL:
    try:
        url = make_url(address)
    except ArgumentError:
        raise click.UsageError("--from looks like mysql://user@host:3306/database.") from None
    if url.password is not None:
        raise click.UsageError("Leave the password out of --from: others could see it. It is asked for.")
    if not url.username:
        return url
    password = pasted_secret(f"Password of {url.username} at {url.host} (it is not shown)").rstrip("\r\n")
    return url.set(password=password)
