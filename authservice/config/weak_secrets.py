"""Secrets that somebody who has a token could find, and could then sign with."""

_SAFE_GUESSES = 2.0**60
"""Takes more than three years at 10^10 guesses a second."""


def weakness_of(secret: str) -> str | None:
    """Return what is wrong with a secret of 32 bytes or more, in words that follow its name; None if nothing is."""
    # Here, because one brings all of grpc, and the dictionaries of the other take 12 MiB and a tenth of a second.
    from authclient._tokens.weak_secrets import known_weakness_of  # noqa: PLC0415

    from authservice.security.guesses import guesses  # noqa: PLC0415

    return known_weakness_of(secret) or ("is too easy to guess" if guesses(secret, []) < _SAFE_GUESSES else None)
