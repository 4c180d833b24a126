"""For `grpc.server`."""
