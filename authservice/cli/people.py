"""`authservice users show`, `export` and `delete`: what is held about one person, and that it goes."""

import click

from authservice.cli.asking import require_yes
from authservice.cli.naming import require_names
from authservice.cli.opening import deadline, service
from authservice.cli.printing import as_json, moment, show
from authservice.domain.errors import NotPermitted


@click.command("show")
@click.argument("name")
@as_json
def show_user(name: str, as_json: bool) -> None:
    """Show the account NAME."""
    require_names(name)
    with service() as opened:
        details = opened.admin.operate_users.details(name, deadline())
        user = details.user
        live = len(opened.admin.operate_sessions.of(name, deadline()))
    facts = {
        "name": user.name.typed,
        "id": user.id,
        "email": user.email,
        "email confirmed": details.is_email_confirmed if user.email else None,
        "display name": user.display_name,
        "locale": user.locale,
        "roles": user.roles if as_json else " ".join(user.roles),
        "created": moment(user.created_at),
        "disabled": moment(user.disabled_at),
        "to be erased": moment(user.erase_at),
        "one-time password until": moment(user.password_expires_at),
        "authenticator app": moment(details.factors.app.confirmed_at) if details.factors.app else None,
        "passkeys": len(details.factors.passkeys),
        "recovery codes left": details.recovery_codes_left,
        "live sessions": live,
    }
    if as_json:
        show(tuple(facts), [tuple(facts.values())], as_json)
    else:
        show(("what", "value"), list(facts.items()), as_json)


@click.command("export")
@click.argument("name")
def export_user(name: str) -> None:
    """Print everything that is held about the account NAME, and no secret, as JSON Lines.

    docs/privacy.md explains them. The owner gets the same by AccountService.ExportAccount.
    """
    require_names(name)
    with service() as opened:
        user = opened.admin.operate_users.find(name, deadline())
        for line in opened.account.export_account(user.id, by_operator=True):
            click.echo(line)


@click.command("delete")
@click.argument("name")
@click.option("--now", "at_once", is_flag=True, help="Erase it at once, and not after the time of grace.")
@click.option("--cancel", is_flag=True, help="Keep an account that is to be erased.")
@click.option("--yes", is_flag=True, help="Do not ask before.")
def delete_user(name: str, at_once: bool, cancel: bool, yes: bool) -> None:
    """End the sessions of the account NAME, and have everything erased that is held about its owner.

    Until AUTHSERVICE_DELETION_GRACE_DAYS have passed, the owner can log in and cancel it, and so can --cancel.
    """
    require_names(name)
    if at_once and cancel:
        raise click.UsageError("Say either --now or --cancel.")
    if cancel:
        _keep(name)
        return
    if not yes:
        after = "at once, for ever" if at_once else "after the time of grace"
        require_yes(f"What is held about {name} will be erased {after}, and nobody gets the name again. Go on?")
    with service() as opened:
        user = opened.admin.operate_users.find(name, deadline())
        at, ended = opened.account.delete_account(user.id, deadline(), by_operator=True, at_once=at_once)
        if at_once:
            opened.account.erase_accounts.erase(user.id)
            opened.account.erase_accounts.wipe()
    when = "is erased" if at_once else f"will be erased at {moment(at)}"
    click.echo(f"User {name} {when}; {ended} live sessions ended.")


def _keep(name: str) -> None:
    with service() as opened:
        user = opened.admin.operate_users.find(name, deadline())
        if user.erase_at is None:
            click.echo(f"User {name} was not to be erased.")
            return
        try:
            opened.account.cancel_deletion(user.id, deadline(), by_operator=True)
        except NotPermitted:
            raise click.ClickException(f"The time of grace of {name} is over.") from None
    click.echo(f"User {name} stays.")
