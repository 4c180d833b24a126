"""The command itself, and what becomes of errors."""

import os
import sys

import click
import structlog
from sqlalchemy.exc import DBAPIError

from authservice import logs
from authservice.cli.admin import users
from authservice.cli.auth import explain
from authservice.cli.config import config
from authservice.cli.doctor import doctor
from authservice.cli.serve import migrate, serve
from authservice.cli.trust import keys
from authservice.config import ConfigError
from authservice.domain.errors import AuthError, FieldRejected, InvalidInput, StorageUnavailable
from authservice.security.master_key import MasterKeyUnusable
from authservice.security.sealing import CannotOpen
from authservice.serving import Unsafe
from authservice.storage.schema import SchemaNotCurrent
from authservice.supervisor import PortTaken
from authservice.transport.server import TlsFilesUnusable
from authservice.usecases.admin.operate_users import NoSuchUser
from authservice.usecases.trust.rotate_keys import NoSuchKey, TooEarly

COULD_NOT, WRONG_SETTINGS, NO_DATABASE = 1, 3, 4
_NO_LOGIN = (
    "The database refuses the user or the password. Correct DB_USER and DB_PASSWORD, or AUTHSERVICE_DATABASE_URL."
)
# By MySQL's error number. The database answered; its own words would not say which setting to correct.
_REFUSALS = {
    1044: "The database server does not let this user into the database. Grant the rights that the README lists, or "
    "correct DB_USER and DB_NAME, or AUTHSERVICE_DATABASE_URL.",
    1045: _NO_LOGIN,
    1049: "The database server has no database of this name. Create it as the README says, or correct DB_NAME, or "
    "AUTHSERVICE_DATABASE_URL.",
    1698: _NO_LOGIN,
}


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
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except InvalidInput as error:
        _fail("\n".join(f"{violation.field}: {violation.description}" for violation in error.violations), COULD_NOT)
    except (StorageUnavailable, DBAPIError) as error:
        structlog.get_logger().debug("database", error=type(error).__name__)
        if refusal := _refusal(error):
            _fail(refusal, WRONG_SETTINGS)
        _fail("The database does not answer. `authservice doctor` says more.", NO_DATABASE)
    except (ConfigError, CannotOpen, MasterKeyUnusable, SchemaNotCurrent, Unsafe, TlsFilesUnusable) as error:
        _fail(str(error), WRONG_SETTINGS)
    except PermissionError as error:
        _fail(f"{error.filename}: {error.strerror}. Run as the owner, or set AUTHSERVICE_DATA_DIR.", WRONG_SETTINGS)
    except NoSuchUser as error:
        _fail(f"There is no user {error}. `authservice users list` shows the names.", COULD_NOT)
    except NoSuchKey as error:
        _fail(f"There is no key {error}. `authservice keys list` shows them.", COULD_NOT)
    except (AuthError, FieldRejected, TooEarly, PortTaken) as error:
        _fail(str(error), COULD_NOT)


def _refusal(error: Exception) -> str | None:
    cause = error.orig if isinstance(error, DBAPIError) else None
    return _REFUSALS.get(cause.args[0]) if cause and cause.args else None


def _fail(text: str, code: int) -> None:
    click.echo(text, err=True)
    sys.exit(code)
