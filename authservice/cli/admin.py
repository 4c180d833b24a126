"""`authservice users`: accounts."""

import sys

import click

from authservice.cli.addresses import invite, set_email
from authservice.cli.asking import new_password
from authservice.cli.importing import import_users
from authservice.cli.naming import require_names
from authservice.cli.opening import deadline, may_begin_anew, service
from authservice.cli.people import delete_user, export_user, show_user
from authservice.cli.printing import as_json, moment, show
from authservice.cli.roles import grant_role, list_roles, revoke_role
from authservice.usecases.admin.mail_reset import NoAddress
from authservice.usecases.auth.register import Registration

PAGE = 500


@click.group()
def users() -> None:
    """Look after accounts and their roles."""


for command in (
    show_user,
    export_user,
    delete_user,
    import_users,
    invite,
    set_email,
    grant_role,
    revoke_role,
    list_roles,
):
    users.add_command(command)


@users.command()
@click.argument("name")
@click.option("--email", default="", help="E-mail address of the user.")
@click.option("--password-stdin", is_flag=True, help="Read the password from the first line of standard input.")
@may_begin_anew
def create(name: str, email: str, password_stdin: bool, is_new: bool) -> None:
    """Create the account NAME. Asks for the password; it is never an argument, where others could see it."""
    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else new_password()
    with service(may_create=True, is_new=is_new) as opened:
        user = opened.auth.register_by_operator(Registration(name, password, email), deadline())
    click.echo(f"Created user {user.name.typed} with id {user.id}.")


@users.command("list")
@click.option("--after", default="", metavar="NAME", help="Begin after this name, for long lists.")
@click.option("--limit", default=PAGE, show_default=True, type=click.IntRange(1, 10_000), help="How many to list.")
@as_json
def list_users(after: str, limit: int, as_json: bool) -> None:
    """List accounts by name."""
    with service() as opened:
        page = opened.admin.operate_users.page(after, limit, deadline())
    show(
        ("name", "id", "email", "created", "disabled", "live sessions", "roles"),
        [
            (
                user.name,
                user.id,
                user.email,
                moment(user.created_at),
                moment(user.disabled_at),
                user.live_sessions,
                user.roles if as_json else " ".join(user.roles),
            )
            for user in page
        ],
        as_json,
    )
    if len(page) == limit and not as_json:
        click.echo(f"There may be more: authservice users list --after {page[-1].name}", err=True)


@users.command("set-password")
@click.argument("name")
@click.option(
    "--mail", "by_mail", is_flag=True, help="Send the user a mail instead, with a token that sets a password."
)
def set_password(name: str, by_mail: bool) -> None:
    """Make a one-time password for the account NAME, for somebody who cannot log in any more.

    It is shown once, on standard output. At the login it has to be replaced by one that the user chooses, and it
    expires. The password before it, and all sessions, are over at once. With --mail nothing is over before the user has
    chosen a password with the token in the mail, which a running server sends.
    """
    require_names(name)
    if by_mail:
        _mail_reset(name)
        return
    with service() as opened:
        made = opened.admin.make_one_time_password(name, deadline())
    click.echo(made.text)
    click.echo(
        f"{name} can log in with it once, until {moment(made.expires_at)}; {made.ended} live sessions ended.", err=True
    )


def _mail_reset(name: str) -> None:
    with service() as opened:
        try:
            until = opened.admin.mail_reset(name, deadline())
        except NoAddress:
            raise click.ClickException(
                f"User {name} has no address of their own. Make a one-time password: leave --mail away."
            ) from None
    click.echo(f"User {name} is sent a mail, whose token is good until {moment(until)}.")


@users.command()
@click.argument("name")
def disable(name: str) -> None:
    """Disable the account NAME and end its sessions, on every server at once."""
    require_names(name)
    with service() as opened:
        ended = opened.admin.operate_users.disable(name, deadline())
    click.echo(f"Disabled user {name}; {ended} live sessions ended.")


@users.command()
@click.argument("name")
def unthrottle(name: str) -> None:
    """Forget the failed logins on the account NAME, so that it can be logged into at once."""
    require_names(name)
    with service() as opened:
        opened.admin.operate_users.unthrottle(name, deadline())
    click.echo(f"User {name} can log in at once.")


@users.command()
@click.argument("name")
def enable(name: str) -> None:
    """Let the account NAME log in again. Its ended sessions stay ended."""
    require_names(name)
    with service() as opened:
        opened.admin.operate_users.enable(name, deadline())
    click.echo(f"Enabled user {name}.")


@users.command("remove-second-factor")
@click.argument("name")
def remove_second_factor(name: str) -> None:
    """Take the authenticator app and the recovery codes of the account NAME away, and end its sessions.

    For a user who has lost both. From then on the password is enough, so make sure that it is the user who asks.
    """
    require_names(name)
    with service() as opened:
        ended = opened.admin.operate_users.remove_second_factor(name, deadline())
    if ended is None:
        click.echo(f"User {name} has no second factor.")
    else:
        click.echo(f"Removed the second factor of user {name}; {ended} live sessions ended.")
