"""Puts together what several areas do with passwords."""

from authservice.bootstrap.parts import Parts
from authservice.bootstrap.secrets import PEPPER
from authservice.security.password_rules import GuessabilityRules
from authservice.security.passwords import BcryptPasswords


def passwords(parts: Parts) -> BcryptPasswords:
    """Return what hashes and compares passwords, in the one pool of the process."""
    return BcryptPasswords(parts.own_secrets[PEPPER], parts.hash_pool, parts.hash_cost)


def password_rules(parts: Parts) -> GuessabilityRules:
    """Return what a new password may be."""
    return GuessabilityRules(parts.settings.password_min_length)
