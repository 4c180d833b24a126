"""The command itself."""

import os
import sys

import click

from authservice import logs
from authservice.cli.admin import users
from authservice.cli.auth import explain
from authservice.cli.config import config
from authservice.cli.doctor import doctor
from authservice.cli.failures import failure_of
from authservice.cli.serve import migrate, serve
from authservice.cli.trust import keys

INTERRUPTED = 130
"""128 and the number of SIGINT, as shells have it."""


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="authservice")
def command() -> None:
    """Authentication for internal microservices.

    Settings come from the environment or a file named .env in this folder; `authservice config` lists them. Without
    any, everything runs on an embedded SQLite file under ./data.

    Exit codes: 0 done, 1 could not be done, 2 wrong arguments, 3 wrong settings, 4 the database does not answer.
    """
    logs.configure("warning", "console")


for verb in (serve, migrate, config, users, keys, explain, doctor):
    command.add_command(verb)


def main() -> None:
    """Run the command and exit."""
    # Whatever is written here, the embedded database above all, is for its owner alone.
    os.umask(0o077)
    try:
        command(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except Exception as error:
        failure = failure_of(error)
        if failure is None:
            raise
        code, text = failure
        click.echo(text, err=True)
        sys.exit(code)
