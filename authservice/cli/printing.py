"""What commands print: tables for people, JSON for programs."""

import json
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def show(columns: Sequence[str], rows: Sequence[Sequence[Any]], as_json: bool) -> None:
    """Print rows as a table, or as a JSON list of objects, with `_` for the spaces in the names of columns."""
    if as_json:
        names = [column.replace(" ", "_") for column in columns]
        click.echo(json.dumps([dict(zip(names, row, strict=True)) for row in rows], indent=2, default=str))
        return
    if not sys.stdout.isatty():
        _show_unfolded(columns, rows)
        return
    # Here, because it takes long to import, and what goes into a pipe is not folded.
    let_rich_in()
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*map(_text, row))
    Console().print(table, markup=False)


def moment(at: datetime | None) -> str | None:
    """Return a moment as commands print it, to the second."""
    return at.isoformat(timespec="seconds") if at else None


def let_rich_in() -> None:
    """Let it be imported by what draws at a terminal. See authservice/__init__.py."""
    if sys.modules.get("rich") is None:
        sys.modules.pop("rich", None)


def _show_unfolded(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    lines = [list(columns), *([_text(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _text(cell: Any) -> str:
    return "" if cell is None else " ".join(str(cell).splitlines())
