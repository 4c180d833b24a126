"""The tables, by area. Migrations create them; a test holds the two against each other."""

from authservice.storage.tables import auth, held, mail, passkeys, second_factor, trust
from authservice.storage.tables.form import metadata

__all__ = ["auth", "held", "mail", "metadata", "passkeys", "second_factor", "trust"]
