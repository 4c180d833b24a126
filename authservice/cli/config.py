"""`authservice config`."""

import click

from authservice import config as configuration
from authservice.cli.printing import as_json, show


@click.command()
@as_json
def config(as_json: bool) -> None:
    """List every setting, its value and where it comes from. Secrets show as stars.

    Variables that begin with AUTHSERVICE_ and are no settings are named on standard error.
    """
    rows = configuration.origins(configuration.load())
    show(
        ("variable", "value", "source", "meaning"),
        [(row.variable, row.value, row.source, row.description) for row in rows],
        as_json,
    )
    for stray in configuration.strays():
        click.echo(str(stray), err=True)
