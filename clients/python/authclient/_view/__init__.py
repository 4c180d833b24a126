"""What one process knows of keys and revocations: kept young by a stream, and asked for where that is not enough."""
