"""The tables, by area. Migrations create them; a test holds the two against each other."""

from authservice.storage.tables import auth, second_factor, trust
from authservice.storage.tables.form import metadata

__all__ = ["auth", "metadata", "second_factor", "trust"]
