"""Puts together what several areas do with passwords."""

from authservice.bootstrap.parts import Parts
from authservice.bootstrap.secrets import PEPPER
from authservice.config import ConfigError, Settings
from authservice.logs import RareWarning
from authservice.security.breached_file import BreachedFile, BreachedFileUnusable
from authservice.security.password_policy import Breaches, PasswordPolicy
from authservice.security.password_rules import GuessabilityRules
from authservice.security.passwords import BcryptPasswords


def passwords(parts: Parts) -> BcryptPasswords:
    """Return what hashes and compares passwords, in the one pool of the process."""
    return BcryptPasswords(parts.own_secrets[PEPPER], parts.hash_pool, parts.hash_cost)


def password_policy(settings: Settings) -> PasswordPolicy:
    """Return what a new password may be. Raises ConfigError."""
    return PasswordPolicy(
        GuessabilityRules(settings.password_min_length, settings.password_max_length),
        tuple(_sources(settings)),
        must_answer=settings.password_breach_failure == "refuse",  # noqa: S105  # it is none
        on_failure=RareWarning("breach_check_failed"),
    )


def _sources(settings: Settings) -> list[Breaches]:
    sources: list[Breaches] = []
    if settings.password_breached_file:
        file = BreachedFile(settings.password_breached_file)
        try:
            file.count()
        except BreachedFileUnusable as unusable:
            raise ConfigError(f"AUTHSERVICE_PASSWORD_BREACHED_FILE: {unusable}.") from None
        sources.append(file)
    if settings.password_range_url:
        # Here, because it brings a client of HTTP, which few need.
        from authservice.security.breach_range import BreachRange  # noqa: PLC0415

        sources.append(BreachRange(settings.password_range_url, settings.password_range_seconds))
    return sources
