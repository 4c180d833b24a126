"""For `grpc.aio.server`."""
