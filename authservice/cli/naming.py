"""Names in the arguments of commands."""

import click

from authservice.domain.errors import FieldRejected
from authservice.domain.fields import role_name
from authservice.security.user_names import PrecisNames


def require_names(user: str, role: str | None = None) -> None:
    """Refuse what cannot be a name, in words that say which of the arguments is meant."""
    try:
        what, text = "user name", user
        PrecisNames().read(user)
        if role is not None:
            what, text = "role name", role
            role_name(role)
    except FieldRejected as rejected:
        raise click.ClickException(f"{text!r} is no {what}: it {rejected}.") from None
