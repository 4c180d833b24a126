"""The person behind an account, and what stays of a name when the account is erased."""

from authservice.domain.errors import UserNameTaken
from authservice.domain.person import Person
from authservice.domain.user import User
from authservice.ports import AuthStores, Fingerprints
from authservice.usecases.steps.admit_attempt import account_of
from authservice.usecases.steps.admit_code import codes_of


def person_of(user: User, fingerprints: Fingerprints) -> Person:
    """Return under what the rows about a user are found."""
    return Person(user.id, account_of(user.id, fingerprints), codes_of(user.id, fingerprints))


def retired_name(canonical: str, fingerprints: Fingerprints) -> bytes:
    """Return the 32 bytes that stand for a name that nobody may have again."""
    return fingerprints.of("retired_name", canonical)


def add_user(tx: AuthStores, user: User, fingerprints: Fingerprints) -> User:
    """Keep a new account, and return it as stored. See ports.Users.add. Raises UserNameTaken, also for a retired name.

    Whatever makes accounts makes them here.
    """
    stored = tx.users.add(user)
    # Afterwards: an account of this name that was just being erased is gone by now, and its name is retired.
    if tx.users.is_retired(retired_name(user.name.canonical, fingerprints)):
        raise UserNameTaken
    return stored
