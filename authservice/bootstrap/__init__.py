"""The composition root: the only package that knows every concrete class.

Nothing here decides anything; it puts parts together. `parts` are made once, and each area's module builds the area's
stories on them.
"""

from authservice.bootstrap.databases import engine_for
from authservice.bootstrap.parts import Parts, now_utc
from authservice.bootstrap.service import Service, assemble
from authservice.bootstrap.sizes import hash_threads, worker_count

__all__ = [
    "Parts",
    "Service",
    "assemble",
    "engine_for",
    "hash_threads",
    "now_utc",
    "worker_count",
]
