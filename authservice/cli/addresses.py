"""`authservice users invite` and `set-email`: what has mail sent to an address that an operator names."""

import click

from authservice.cli.naming import require_names
from authservice.cli.opening import deadline, service
from authservice.cli.printing import moment
from authservice.domain.errors import FieldRejected
from authservice.usecases.admin.invite import AlreadyThere


@click.command()
@click.argument("email")
@click.option("--withdraw", is_flag=True, help="Have nobody register with the invitation that was sent there.")
def invite(email: str, withdraw: bool) -> None:
    """Send an invitation to EMAIL, with which a person may register once.

    A running server sends the mail. A newer invitation takes the place of the one before.
    """
    if withdraw:
        _withdraw(email)
        return
    with service() as opened:
        if opened.parts.settings.registration == "closed":
            raise click.ClickException(
                "AUTHSERVICE_REGISTRATION is `closed`: nobody may register. Set it to `invited`."
            )
        try:
            until = opened.admin.invite(email, deadline())
        except FieldRejected as rejected:
            raise click.ClickException(f"{email!r} cannot be invited: it {rejected}.") from None
        except AlreadyThere:
            raise click.ClickException(f"An account has {email} already, and has confirmed it.") from None
    click.echo(f"Invited {email}, until {moment(until)}.")


def _withdraw(email: str) -> None:
    with service() as opened:
        try:
            was_good = opened.admin.invite.withdraw(email, deadline())
        except FieldRejected as rejected:
            raise click.ClickException(f"{email!r} cannot have been invited: it {rejected}.") from None
    click.echo(f"{email} {'is no longer invited' if was_good else 'was not invited, or has registered'}.")


@click.command("set-email")
@click.argument("name")
@click.argument("email")
def set_email(name: str, email: str) -> None:
    """Give the account NAME the address EMAIL, for somebody who cannot read the one before.

    All its sessions end, and whoever reads the old address is told. A running server sends a mail to the new one, with
    a token that confirms it. Make sure that it is the user who asks: by the address, a password can be reset.
    """
    require_names(name)
    with service() as opened:
        try:
            ended = opened.admin.set_email(name, email, deadline())
        except FieldRejected as rejected:
            raise click.ClickException(f"{email!r} cannot be set: it {rejected}.") from None
        except AlreadyThere:
            raise click.ClickException(f"Another account has {email}, and has confirmed it.") from None
    if ended is None:
        click.echo(f"User {name} has {email} already.")
    else:
        click.echo(f"User {name} now has {email}, and is sent a mail to confirm it; {ended} live sessions ended.")
