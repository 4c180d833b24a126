"""A file of breached passwords, made from a dump of Have I Been Pwned, for checks without a network.

The dump has one line per password, `<SHA-1 in 40 hex digits>:<how often it was seen>`, in the order of the hashes: 45
GB for a billion of them. The file has the first 8 bytes of each, sorted, behind a header: 8 GB, or less where rare ones
are left out. A password that is in no breach is taken for one with a chance of 10^9 / 2^64, once in 18 billion.
"""

import contextlib
import os
import struct
from binascii import Error as NoHex
from binascii import unhexlify
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from authservice.security.password_policy import LookUpFailed

MAGIC, VERSION, WIDTH = b"AUTHSVC-BREACHED", 1, 8
_HEADER = struct.Struct(">16sHHQ4x")
"""Magic, version, bytes per entry, how many entries."""
_DIGITS = 40
_REPORTED = 100_000
"""Lines between two reports of progress."""


class BreachedFileUnusable(LookUpFailed):
    """The file is none of ours, of another version, or not whole."""


class DumpUnusable(Exception):
    """The dump cannot be read as one. The text names the line and what to do."""


@dataclass(frozen=True, slots=True)
class BreachedFile:
    """Looks passwords up by binary search.

    The file is opened for each look-up, some 50 microseconds in all, so a newer one counts as soon as it is in place.
    It is read and not mapped: a map of a file that somebody cuts short kills the process.
    """

    path: Path
    is_local: bool = True

    def count(self) -> int:
        """Return how many entries there are. Raises BreachedFileUnusable."""
        with self._opened() as (_, count):
            return count

    def has(self, sha1: bytes) -> bool:
        """Tell whether an entry begins as this digest. Raises BreachedFileUnusable."""
        wanted = sha1[:WIDTH]
        with self._opened() as (file, count):
            low, high = 0, count
            while low < high:
                middle = (low + high) // 2
                found = self._entry(file, middle)
                if found == wanted:
                    return True
                low, high = (middle + 1, high) if found < wanted else (low, middle)
        return False

    @contextlib.contextmanager
    def _opened(self) -> Iterator[tuple[int, int]]:
        """Yield the descriptor and how many entries there are."""
        try:
            file = os.open(self.path, os.O_RDONLY)
        except OSError as error:
            raise BreachedFileUnusable(f"{self.path}: {error.strerror}") from None
        try:
            yield file, self._read_header(file)
        except OSError as error:
            raise BreachedFileUnusable(f"{self.path}: {error.strerror}") from None
        finally:
            os.close(file)

    def _read_header(self, file: int) -> int:
        header = os.pread(file, _HEADER.size, 0)
        if len(header) < _HEADER.size or not header.startswith(MAGIC):
            raise BreachedFileUnusable(f"{self.path}: `authservice passwords build-breached` makes other files")
        _, version, width, count = _HEADER.unpack(header)
        if (version, width) != (VERSION, WIDTH):
            raise BreachedFileUnusable(f"{self.path}: is of version {version}; build it again")
        if os.fstat(file).st_size != _HEADER.size + WIDTH * count:
            raise BreachedFileUnusable(f"{self.path}: is not whole; build it again")
        return int(count)

    def _entry(self, file: int, number: int) -> bytes:
        entry = os.pread(file, WIDTH, _HEADER.size + WIDTH * number)
        if len(entry) < WIDTH:
            raise BreachedFileUnusable(f"{self.path}: is not whole; build it again")
        return entry


def build(
    dump: Iterable[bytes], target: Path, least_count: int = 1, on_progress: Callable[[int], None] = lambda _: None
) -> int:
    """Write the file from the lines of a dump, at once or not at all. Returns how many entries it has.

    Raises DumpUnusable, OSError.

    Args:
        least_count: how often a password must have been seen.
        on_progress: is told now and then how many bytes of the dump have been read.
    """
    beside = target.with_name(f".{target.name}.{os.getpid()}.new")
    try:
        with beside.open("xb") as file:
            count = _write(file, dump, least_count, on_progress)
            os.fchmod(file.fileno(), 0o644)  # It is no secret, and who builds it may be another user than who serves.
            file.flush()
            os.fsync(file.fileno())
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
    return count


def _write(file: BinaryIO, dump: Iterable[bytes], least_count: int, on_progress: Callable[[int], None]) -> int:
    file.write(_HEADER.pack(MAGIC, VERSION, WIDTH, 0))
    count, last = 0, b""
    for entry in _entries(dump, least_count, on_progress):
        if entry != last:
            file.write(entry)
            count, last = count + 1, entry
    file.seek(0)
    file.write(_HEADER.pack(MAGIC, VERSION, WIDTH, count))
    return count


def _entries(dump: Iterable[bytes], least_count: int, on_progress: Callable[[int], None]) -> Iterator[bytes]:
    """Yield the entries of a dump in their order, those that follow each other twice included."""
    size, last = 0, b""
    for number, line in enumerate(dump, 1):
        size += len(line)
        try:
            digest, seen = unhexlify(line[:_DIGITS]), int(line[_DIGITS + 1 :])
        except (NoHex, ValueError):
            digest, seen = b"", 0
        if len(digest) != _DIGITS // 2 or line[_DIGITS : _DIGITS + 1] != b":":
            raise DumpUnusable(
                f"Line {number} is not `<SHA-1 in 40 hex digits>:<count>`. Take the dump of SHA-1 hashes, unpacked."
            )
        if digest < last:
            raise DumpUnusable(
                f"Line {number} is out of order. Take the dump that is ordered by hash, or sort it: LC_ALL=C sort."
            )
        last = digest
        if seen >= least_count:
            yield digest[:WIDTH]
        if number % _REPORTED == 0:
            on_progress(size)
    on_progress(size)
