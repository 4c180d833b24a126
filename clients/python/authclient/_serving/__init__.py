"""Guarding the handlers of a server, of both kinds: `sync` for `grpc.server`, `aio` for `grpc.aio.server`."""
