"""Adapters to the libraries that protect things: one library, or one mechanism, per module."""
