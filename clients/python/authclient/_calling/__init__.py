"""Calling guarded services: one login kept alive, and its token on every call. `sync` and `aio` as in `_serving`."""
