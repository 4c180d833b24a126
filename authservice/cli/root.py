"""The command itself."""

import importlib
import io
import os
import sys
from collections.abc import Sequence

import click

from authservice.cli import INTERRUPTED

COULD_NOT, WRONG_SETTINGS = 1, 3

_VERBS = {
    "adopt-backup": "backups",
    "config": "config",
    "doctor": "doctor",
    "explain": "auth",
    "health": "health",
    "keys": "trust",
    "migrate": "migrate",
    "passwords": "passwords",
    "serve": "serve",
    "sessions": "sessions",
    "users": "admin",
}
"""Each verb, and the module of this package that has it."""


class Verbs(click.Group):
    """The verbs, each imported when it is asked for: the workers of `serve` would hold what the others need."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return their names, in the order of the help."""
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return one of them, or None if there is none of this name."""
        if cmd_name not in _VERBS:
            return None
        verb: click.Command = getattr(
            importlib.import_module(f"authservice.cli.{_VERBS[cmd_name]}"), cmd_name.replace("-", "_")
        )
        return verb

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the verb that is asked for, and what follows it. Raises NoSuchCommand with the one that was meant."""
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand as unknown:
            raise click.NoSuchCommand(unknown.command_name, possibilities=_VERBS, ctx=ctx) from None


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="authservice")
def command() -> None:
    """Authentication for internal microservices.

    Settings come from the environment or a file named .env in this folder; `authservice config` lists them. Without
    any, everything runs on an embedded SQLite file under ./data.

    Exit codes: 0 done, 1 could not be done, 2 wrong arguments, 3 wrong settings, 4 the database does not answer.
    """
    from authservice import logs  # noqa: PLC0415 - `--version` and `--help` need none

    logs.configure("warning", "console")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command, with the arguments of this process unless others are given, and exit."""
    # Whatever is written here, the embedded database above all, is for its owner alone.
    os.umask(0o077)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # A name that a terminal cannot show is no reason to fail.
    try:
        command(arguments, "authservice", standalone_mode=False)
    except click.exceptions.Abort:  # Ctrl-C at a question.
        click.echo("Interrupted.", err=True)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # Whoever read what is printed has seen enough.
        _let_go_of_stdout()
        sys.exit(COULD_NOT)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except Exception as error:
        code, text = _failure_of(error)
        click.echo(text, err=True)
        _let_go_of_stdout()
        sys.exit(code)


def _let_go_of_stdout() -> None:
    """Forget what cannot be printed: the interpreter would try again at its end, and end with a code of its own."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _failure_of(error: Exception) -> tuple[int, str]:
    """Return what becomes of an exception; raise it if it is a fault of ours."""
    from authservice.config import ConfigError  # noqa: PLC0415

    if type(error) is ConfigError:  # The most frequent, and known without the whole service.
        return WRONG_SETTINGS, str(error)
    # Here, because what else can be raised is known by importing all that raises it.
    from authservice.cli.failures import failure_of  # noqa: PLC0415

    failure = failure_of(error)
    if failure is None:
        raise error
    return failure
