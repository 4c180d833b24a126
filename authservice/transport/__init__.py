"""gRPC: decode, call one use case, encode. The only place that knows the wire."""
