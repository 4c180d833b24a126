"""`authservice migrate`."""

import click

from authservice import bootstrap
from authservice import config as configuration
from authservice.bootstrap.migrated import require_filled
from authservice.cli.opening import may_begin_anew, require_meant
from authservice.storage import schema


@click.command()
@may_begin_anew
def migrate(is_new: bool) -> None:
    """Bring the database to the schema of this version.

    Safe to repeat and to run while servers of the previous version are running.
    """
    settings = configuration.load()
    require_meant(settings, is_new=is_new)
    click.echo(f"Database: {settings.database_place}", err=True)
    if settings.is_sqlite:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = bootstrap.engine_for(settings, pool_size=1)
    require_filled(settings, engine, is_new=is_new)
    before, after = schema.migrate(engine)
    engine.dispose()
    click.echo(
        f"Already at migration {after}." if before == after else f"Migrated from {before or 'nothing'} to {after}."
    )
