"""`authservice adopt-backup`: what has to be done before a restored database is served."""

import click

from authservice import config as configuration
from authservice.cli.asking import require_yes
from authservice.cli.opening import service


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
def adopt_backup(yes: bool) -> None:
    """Make a database that was restored from a backup fit to be served. Stop all servers first.

    The backup has sessions that were logged out after it was taken. So every session is ended, and every signing key is
    replaced, with all access tokens that it signed. Everybody logs in again. May be run again if it was interrupted.
    """
    settings = configuration.load()
    with service(settings) as opened:
        if not yes:
            require_yes("Every session will be ended and every access token refused. Have all servers been stopped?")
        sessions, keys = opened.adopt_backup(managed_keys=settings.jwt_secret is None)
    click.echo(f"{sessions} sessions are ended, {keys} signing keys replaced.")
    if settings.jwt_secret:
        click.echo(
            "Tokens are signed with JWT_SECRET. Services that check them without Verify accept the old ones until they "
            "expire; set another secret if that is too long.",
            err=True,
        )
    click.echo("Now disable again whoever was disabled since the backup: authservice users disable NAME", err=True)
