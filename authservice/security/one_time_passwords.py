"""Passwords that this service makes: to be read aloud, typed once, and replaced."""

import secrets

_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without those that look like another one (l and 1, o and 0, i)."""
_GROUPS, _GROUP = 4, 5


def new_one_time_password() -> str:
    """Return 20 random characters, 99 bits, in groups of five."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(_GROUP)) for _ in range(_GROUPS))
