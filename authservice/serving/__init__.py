"""Processes: what is checked first, the parent and its workers, and what these do between calls."""
