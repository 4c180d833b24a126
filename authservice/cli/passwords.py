"""`authservice passwords`: what new passwords are checked against."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

import click

from authservice.cli.asking import interruptible
from authservice.cli.progress import progress
from authservice.security.breached_file import build


@click.group()
def passwords() -> None:
    """Prepare what new passwords are checked against."""


@passwords.command("build-breached")
@click.argument("dump", type=click.File("rb"))
@click.argument("target", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--least-count",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    help="Leave out passwords that were seen less often than that.",
)
def build_breached(dump: BinaryIO, target: Path, least_count: int) -> None:
    """Make the file TARGET of breached passwords from DUMP, for AUTHSERVICE_PASSWORD_BREACHED_FILE.

    DUMP is the one of Have I Been Pwned with SHA-1 hashes, ordered by hash, unpacked; `-` is standard input. A TARGET
    that is there is replaced when the new one is whole; servers look passwords up in that from then on.
    """
    try:
        with interruptible(), progress("Reading the dump", _size(dump)) as told:
            count = build(dump, target, least_count, told)
    except OSError as error:
        place = f"{Path(os.fsdecode(error.filename)).absolute()}: " if error.filename else ""
        raise click.ClickException(f"{place}{error.strerror or error}.") from None
    click.echo(f"{target} has {count:,} breached passwords.")


def _size(file: BinaryIO) -> int | None:
    status = os.fstat(file.fileno())
    return status.st_size if stat.S_ISREG(status.st_mode) else None
