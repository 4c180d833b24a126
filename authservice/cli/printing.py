"""What commands print: tables for people, JSON for programs."""

import json
from collections.abc import Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table

PIPE_WIDTH = 240
"""Columns of a table that goes into a file or a pipe, so that nothing is folded there."""

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def show(columns: Sequence[str], rows: Sequence[Sequence[Any]], as_json: bool) -> None:
    """Print rows as a table, or as a JSON list of objects, with `_` for the spaces in the names of columns."""
    if as_json:
        names = [column.replace(" ", "_") for column in columns]
        click.echo(json.dumps([dict(zip(names, row, strict=True)) for row in rows], indent=2, default=str))
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
