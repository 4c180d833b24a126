"""The generated master key beside the embedded database."""

import base64
import os
import secrets
from pathlib import Path

from authservice.security.sealing import KEY_BYTES

FILE_NAME = "master.key"


class MasterKeyUnusable(Exception):
    """The file is there and does not hold a master key."""


def load_or_create(folder: Path) -> bytes:
    """Return the master key of `folder`, made at the first call, in a file that only its owner can read.

    Written aside, synced and linked into place: after a crash there is the whole key or none, and of two processes that
    start together one key survives for both. Raises MasterKeyUnusable if the file holds something else.
    """
    path = folder / FILE_NAME
    if not path.exists():
        _create(path)
    try:
        key = base64.b64decode(path.read_text())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise MasterKeyUnusable(f"{path} does not hold base64 of {KEY_BYTES} bytes. Restore it from a backup.")
    return key


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # A name of its own: two containers on one volume may both be process 1.
    draft = path.with_suffix(f".{secrets.token_hex(8)}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
