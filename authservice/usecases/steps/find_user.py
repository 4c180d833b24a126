"""The account that somebody means who types a user name or an e-mail address."""

from dataclasses import dataclass

from authservice.domain.errors import FieldRejected
from authservice.domain.fields import bounded_bytes, bounded_text
from authservice.domain.user import User
from authservice.ports import AuthStores, EmailRules, NameRules


@dataclass(frozen=True, slots=True)
class FindUser:
    """Finds accounts, however their names are spelled.

    Args:
        by_confirmed_only: whether an address leads to an account only once it is confirmed.
    """

    names: NameRules
    emails: EmailRules
    by_confirmed_only: bool = False

    def __call__(self, tx: AuthStores, identifier: str) -> tuple[str, User | None]:
        """Return what was typed in its canonical form, if it has one, and whose name or address it is."""
        try:
            if "@" in identifier:
                email = self.emails.read(identifier)
                return email, tx.users.by_email(email, confirmed_only=self.by_confirmed_only)
            name = self.names.read(identifier).canonical
            return name, tx.users.by_name(name)
        except FieldRejected:
            return identifier, None


def identifier(value: str) -> str:
    """Return a user name or e-mail address of a form that may be looked for. Raises FieldRejected."""
    return bounded_bytes(bounded_text(value, least=1, most=254), most=254)
