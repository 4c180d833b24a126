"""How long a database may take."""

BUSY_SECONDS = 5.0
"""How long a write may wait for another writer before the caller is told to come back."""
STATEMENT_SECONDS = 10
"""How long one answer of MySQL may take; as long as the longest call."""
ANSWER_SECONDS = 1.0
"""The same of a simple answer, over a connection that may have died without a word (mysql.py, reader.py)."""
RECYCLE_SECONDS = 1800
"""Connections are replaced well before the shortest usual wait_timeout."""
