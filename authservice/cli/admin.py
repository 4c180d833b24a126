"""`authservice users`: accounts and their roles."""

import sys

import click

from authservice.cli.asking import new_password
from authservice.cli.naming import require_names
from authservice.cli.opening import deadline, may_begin_anew, service
from authservice.cli.printing import as_json, show
from authservice.usecases.auth.register import Registration

PAGE = 500


@click.group()
def users() -> None:
    """Create, list, disable and enable accounts; grant and revoke their roles; remove second factors."""


@users.command()
@click.argument("name")
@click.option("--email", default="", help="E-mail address of the user.")
@click.option("--password-stdin", is_flag=True, help="Read the password from the first line of standard input.")
@may_begin_anew
def create(name: str, email: str, password_stdin: bool, is_new: bool) -> None:
    """Create the account NAME. Asks for the password; it is never an argument, where others could see it."""
    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else new_password()
    with service(may_create=True, is_new=is_new) as opened:
        user = opened.auth.register(Registration(name, password, email), deadline())
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
                user.created_at.isoformat(timespec="seconds"),
                user.disabled_at.isoformat(timespec="seconds") if user.disabled_at else None,
                user.live_sessions,
                user.roles if as_json else " ".join(user.roles),
            )
            for user in page
        ],
        as_json,
    )
    if len(page) == limit and not as_json:
        click.echo(f"There may be more: authservice users list --after {page[-1].name}", err=True)


@users.command()
@click.argument("name")
@click.argument("role")
def grant(name: str, role: str) -> None:
    """Give the account NAME the role ROLE.

    Access tokens that the user has are outdated at once, on every server; refreshing brings one with the role.
    """
    require_names(name, role)
    with service() as opened:
        granted = opened.admin.operate_users.grant(name, role, deadline())
        held = opened.admin.operate_users.roles(deadline())
    click.echo(f"User {name} {'now has' if granted else 'already had'} the role {role}.")
    if granted and held.get(role) == 1:
        others = ", ".join(other for other in held if other != role)
        click.echo(f"Nobody else has it. {f'Roles that somebody has: {others}.' if others else ''}".rstrip(), err=True)


@users.command()
@as_json
def roles(as_json: bool) -> None:
    """List the roles that somebody has, one a line, as `authclient lint --roles-file` reads them."""
    with service() as opened:
        held = opened.admin.operate_users.roles(deadline())
    if as_json:
        show(("role", "users"), list(held.items()), as_json)
    else:
        for role in held:
            click.echo(role)


@users.command()
@click.argument("name")
@click.argument("role")
def revoke(name: str, role: str) -> None:
    """Take the role ROLE from the account NAME. Access tokens with it are outdated at once, on every server."""
    require_names(name, role)
    with service() as opened:
        taken = opened.admin.operate_users.take(name, role, deadline())
    click.echo(f"User {name} {'no longer has' if taken else 'did not have'} the role {role}.")


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
