"""How far a long piece of work is, for people who wait for it."""

import contextlib
import sys
from collections.abc import Callable, Iterator

from authservice.cli.printing import let_rich_in


@contextlib.contextmanager
def progress(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Yield what is to be told how much is done so far. Shows a bar on standard error if that is a terminal.

    Args:
        total: what all of it is; None where that is not known.
    """
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    # Here, because it takes long to import, and what goes into a file has no bar.
    let_rich_in()
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)
