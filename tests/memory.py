"""Where tests write: in memory, because a disk takes ten times as long to make a table, and a commit waits for it.

Whatever a process has written stays if it is killed, and no test cuts the power.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_MEMORY = Path("/dev/shm")
_ROOM = 2**30
"""Bytes: what a database server takes at its start, and three times as much for what all tests write."""


@contextlib.contextmanager
def folder_in_memory() -> Iterator[Path]:
    """Yield an empty folder that is gone afterwards: on the disk, where the machine has no such memory."""
    with tempfile.TemporaryDirectory(prefix="authservice-test-", dir=_MEMORY if _is_fit() else None) as folder:
        yield Path(folder)


def _is_fit() -> bool:
    if not _MEMORY.is_dir() or not os.access(_MEMORY, os.W_OK):
        return False
    may_run_programs = not os.statvfs(_MEMORY).f_flag & os.ST_NOEXEC
    return may_run_programs and shutil.disk_usage(_MEMORY).free > _ROOM
