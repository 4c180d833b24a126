"""What commands share: the settings, the assembled service, and tables."""

import contextlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from authservice import bootstrap, config, logs
from authservice.config import Settings
from authservice.domain.deadline import Deadline

COMMAND_SECONDS = 30.0
PIPE_WIDTH = 240
"""Columns of a table that goes into a file or a pipe, so that nothing is folded there."""

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def deadline() -> Deadline:
    """Return how long a command may take."""
    return Deadline.after(COMMAND_SECONDS)


@contextlib.contextmanager
def service(settings: Settings | None = None) -> Iterator[bootstrap.Service]:
    """Yield the service on a database that is known to be migrated. Raises ConfigError, SchemaNotCurrent."""
    settings = settings or config.load()
    logs.configure(settings.log_level, settings.log_format)  # What operators do belongs into the audit log too.
    with bootstrap.migrated_engine(settings):
        pass  # Its engine is for the schema alone; the service opens its own.
    assembled = bootstrap.assemble(settings)
    try:
        yield assembled
    finally:
        assembled.close()


def show(columns: Sequence[str], rows: Sequence[Sequence[Any]], as_json: bool) -> None:
    """Print rows as a table, or as a JSON list of objects."""
    if as_json:
        click.echo(json.dumps([dict(zip(columns, row, strict=True)) for row in rows], indent=2, default=str))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    console = Console()
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    console.print(table, markup=False)
