"""The composition root: the only package that knows every concrete class.

Nothing here decides anything; it puts parts together. `parts` are made once, and each area's module builds the area's
stories on them.
"""

from authservice.bootstrap.databases import engine_for, engines_of_hosts, file_of
from authservice.bootstrap.parts import Parts, now_utc
from authservice.bootstrap.service import Service, assemble
from authservice.bootstrap.sizes import cores_to_keep_to, hash_threads, pool_size, worker_count

__all__ = [
    "Parts",
    "Service",
    "assemble",
    "cores_to_keep_to",
    "engine_for",
    "engines_of_hosts",
    "file_of",
    "hash_threads",
    "now_utc",
    "pool_size",
    "worker_count",
]
