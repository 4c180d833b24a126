"""The stores of mail and of one-time tokens."""
