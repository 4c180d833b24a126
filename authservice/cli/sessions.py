"""`authservice sessions`: where users are logged in."""

import click

from authservice.cli.asking import require_yes
from authservice.cli.naming import require_names
from authservice.cli.opening import deadline, service
from authservice.cli.printing import as_json, moment, show
from authservice.domain.errors import FieldRejected
from authservice.domain.fields import uuid_of


@click.group()
def sessions() -> None:
    """List and end the sessions of users."""


@sessions.command("list")
@click.argument("name")
@as_json
def list_sessions(name: str, as_json: bool) -> None:
    """List the live sessions of the account NAME, those that were used last first."""
    require_names(name)
    with service() as opened:
        found = opened.admin.operate_sessions.of(name, deadline())
    show(
        ("id", "client", "network", "opened", "last used", "ends if unused", "proved by"),
        [
            (
                each.id,
                each.client_label,
                each.network,
                moment(each.opened_at or each.authenticated_at),
                moment(each.used_at),
                moment(each.idle_end),
                each.auth_methods if as_json else " ".join(each.auth_methods),
            )
            for each in found
        ],
        as_json,
    )


@sessions.command()
@click.option("--session", "text", metavar="ID", help="The session of this id, from `sessions list`.")
@click.option("--user", "name", metavar="NAME", help="All sessions of this account.")
@click.option("--everybody", is_flag=True, help="All sessions there are.")
@click.option("--yes", is_flag=True, help="Do not ask before everybody is logged out.")
def end(text: str | None, name: str | None, everybody: bool, yes: bool) -> None:
    """End sessions, on every server at once: one, those of a user, or everybody's.

    After a backup was restored, `authservice adopt-backup` does more: it also takes the keys away that were used since.
    """
    if sum(map(bool, (text, name, everybody))) != 1:
        raise click.UsageError("Say which: --session ID, --user NAME or --everybody.")
    if text:
        _end_one(text)
    elif name:
        require_names(name)
        with service() as opened:
            ended = opened.admin.operate_sessions.end_all_of(name, deadline())
        click.echo(f"{ended} live sessions of {name} ended.")
    else:
        _end_everybodys(is_meant=yes)


def _end_one(text: str) -> None:
    try:
        asked = uuid_of(text)
    except FieldRejected as rejected:
        raise click.ClickException(f"{text!r} is no id of a session: it {rejected}.") from None
    with service() as opened:
        was_live = opened.admin.operate_sessions.end_one(asked, deadline())
    click.echo(f"Session {asked} {'ended' if was_live else 'had ended already'}.")


def _end_everybodys(*, is_meant: bool) -> None:
    if not is_meant:
        require_yes("Everybody will have to log in again. Go on?")
    ended = 0
    with service() as opened:
        for ended in opened.admin.operate_sessions.end_everybodys():
            click.echo(f"{ended} live sessions ended so far.", err=True)
    click.echo(f"{ended} live sessions ended.")
