"""Processes: what is checked first, the parent and its workers, and what these do between calls."""

NOTE = "AUTHSERVICE_SUPERVISOR_NOTE"
"""The variable that tells a parent that it succeeds another (see `succession`), and where the note for it lies."""
