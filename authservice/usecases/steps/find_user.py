"""The account that somebody means who types a user name or an e-mail address."""

from dataclasses import dataclass

from authservice.domain.errors import FieldRejected
from authservice.domain.fields import bounded_bytes, bounded_text
from authservice.domain.user import User
from authservice.ports import AuthStores, EmailRules, NameRules


@dataclass(frozen=True, slots=True)
class FindUser:
    """Finds accounts, however their names are spelled."""

    names: NameRules
    emails: EmailRules

    def __call__(self, tx: AuthStores, identifier: str) -> User | None:
        """Return the account, None if there is none."""
        try:
            if "@" in identifier:
                email = self.emails.read(identifier)
                return tx.users.by_email(email) if email else None
            return tx.users.by_name(self.names.read(identifier).canonical)
        except FieldRejected:
            return None


def identifier(value: str) -> str:
    """Return a user name or e-mail address of a form that may be looked for. Raises FieldRejected."""
    return bounded_bytes(bounded_text(value, least=1, most=254), most=254)
