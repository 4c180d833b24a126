"""CSV files of users, and what an import has to say about its rows."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TextIO

import click

from authservice.domain.user_import import ForeignUser, Remark


def rows_of(file: TextIO, columns: tuple[str, str, str | None]) -> Iterator[ForeignUser]:
    """Yield the users of a CSV file whose first line names its columns. Raises ClickException.

    Args:
        columns: those of the user name, the hash, and the e-mail address if there is one.
    """
    reader = csv.DictReader(file, strict=True)
    try:
        there = reader.fieldnames or ()
        for name in filter(None, columns):
            if name not in there:
                raise click.ClickException(f"The file has no column {name}. Its first line has {', '.join(there)}.")
        for row in reader:
            user_name, password_hash, email = (row[name] or "" if name else "" for name in columns)
            yield ForeignUser(reader.line_num, user_name, password_hash, email)
    except csv.Error as error:
        raise click.ClickException(f"Line {reader.line_num} of the file is no CSV: {error}.") from None
    except UnicodeDecodeError:
        raise click.ClickException(f"The file is not UTF-8, somewhere after line {reader.line_num}.") from None


class Report:
    """The file with what has to be known about rows, made with the first of them. Lives as long as one import."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: TextIO | None = None

    def add(self, remarks: tuple[Remark, ...]) -> None:
        """Write down remarks, so that they are there also where the import is interrupted."""
        if not remarks:
            return
        if self._file is None:
            self._file = self.path.open("w", encoding="utf-8", newline="")
            csv.writer(self._file).writerow(("row", "user name", "refused", "why"))
        rows = ((each.number, each.user_name, "yes" if each.is_refused else "no", each.text) for each in remarks)
        csv.writer(self._file).writerows(rows)
        self._file.flush()

    @property
    def is_written(self) -> bool:
        """Whether there is anything in it."""
        return self._file is not None

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()


def size_of(file: BinaryIO) -> int | None:
    """Return how many bytes a file has, or None for a pipe."""
    if not file.seekable():
        return None
    size = file.seek(0, 2)
    file.seek(0)
    return size
