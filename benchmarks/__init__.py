"""What the service costs, beside what the same machine does at the same moment without it."""
