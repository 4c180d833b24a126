"""Beside what other people put into the same process, the real ones."""
