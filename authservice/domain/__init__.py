"""What the service is about, in plain Python: no I/O and nothing from outside the standard library."""
