"""`authservice keys`: what signs access tokens."""

from datetime import timedelta

import click

from authservice import config as configuration
from authservice.cli.asking import require_yes
from authservice.cli.opening import deadline, service
from authservice.cli.printing import as_json, moment, show
from authservice.domain.signing_key import KeyState
from authservice.security.key_ring import PUBLISHED_FIRST
from authservice.usecases.trust.rotate_keys import NoSuchKey


@click.group()
def keys() -> None:
    """List, rotate and revoke the keys that sign access tokens."""


@keys.command("list")
@as_json
def list_keys(as_json: bool) -> None:
    """List the signing keys with their states.

    pending: published, signs nothing yet. active: signs. retired: verifies until its last token has expired, then
    removed. unused: tokens are signed with JWT_SECRET instead.
    """
    settings = configuration.load()
    with service(settings) as opened:
        rows = opened.trust.rotate_keys.all(deadline())
    is_unused = settings.jwt_secret is not None
    if is_unused and rows:
        click.echo("Tokens are signed with JWT_SECRET. These keys sign and verify nothing.", err=True)
    show(
        ("key id", "algorithm", "state", "created", "active since", "retired since"),
        [
            (
                key.kid,
                key.alg,
                "unused" if is_unused else key.state.value,
                *(moment(at) for at in (key.created_at, key.activated_at, key.retired_at)),
            )
            for key in rows
        ],
        as_json,
    )


@keys.command()
def rotate() -> None:
    """Activate the pending key now. Tokens of the old key stay good until they expire.

    Servers do this by themselves when a key reaches its age. Refused while the pending key is so new that a server may
    not know it.
    """
    settings = configuration.load()
    if settings.jwt_secret:
        raise click.ClickException("Tokens are signed with JWT_SECRET. To change that, set another one and restart.")
    with service(settings) as opened:
        key = opened.trust.rotate_keys.rotate(deadline())
    click.echo(f"Key {key.kid} signs now.")


# One in 64 key ids begins with "-", and is no option.
@keys.command(context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]})
@click.argument("kid")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def revoke(context: click.Context, kid: str, yes: bool) -> None:
    """Remove the key KID now, because somebody else may have it. A KID that begins with `-` may stand after `--`.

    Every access token that it signed is refused within two seconds, by all servers and by the services that watch them.
    Sessions live on: refreshing brings a token of another key.
    """
    if kid == "-h":
        click.echo(context.get_help())
        return
    with service() as opened:
        known = opened.trust.rotate_keys.all(deadline())
        state = next((key.state for key in known if key.kid == kid), None)
        if state is None:
            raise NoSuchKey(kid)
        if not yes:
            require_yes(f"Every access token signed with {kid} will be refused. Go on?")
        opened.trust.rotate_keys.revoke(kid, deadline())
        now = opened.parts.clock()
    click.echo(f"Key {kid} is removed.")
    for key in known:
        age = now - key.created_at
        if state is KeyState.ACTIVE and key.state is KeyState.PENDING and age < timedelta(seconds=PUBLISHED_FIRST):
            click.echo(
                f"The key that signs now, {key.kid}, was published {age.total_seconds():.1f} seconds ago. Services "
                f"learn of it within {PUBLISHED_FIRST:.0f} seconds and may refuse its tokens until then.",
                err=True,
            )


@keys.command()
def rewrap() -> None:
    """Seal every secret in the database under the newest master key.

    To replace a master key: put the new one before the old one in AUTHSERVICE_MASTER_KEY, restart every server, run
    this, then take the old one away.
    """
    with service() as opened:
        count = opened.trust.rotate_keys.reseal(deadline())
    click.echo(f"Sealed {count} secrets under the newest master key.")
