"""The command `authclient`: its verbs and their arguments."""

import argparse
from importlib.metadata import version
from pathlib import Path

from authclient.completion import SHELLS, script
from authclient.lint import add_source, lint
from authclient.login import login


def parser() -> argparse.ArgumentParser:
    """Return what reads the arguments."""
    command = argparse.ArgumentParser(prog="authclient", description="Tools for services that authclient guards.")
    command.add_argument("--version", action="version", version=f"authclient {version('authservice')}")
    verbs = command.add_subparsers(required=True, metavar="COMMAND", dest="verb")
    _add_lint(verbs)
    _add_login(verbs)
    _add_completion(verbs)
    return command


def main(arguments: list[str] | None = None) -> int:
    """Run `authclient`.

    Returns the exit code: 0 if all is well, 1 if something is wrong with a rule or a login is refused, 2 if nothing
    could be read or reached.
    """
    command = parser()
    options = command.parse_args(arguments)
    if options.verb == "completion":
        print(script(command, options.shell), end="")
        return 0
    return login(options) if options.verb == "login" else lint(options)


def _add_lint(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    verb = verbs.add_parser(
        "lint",
        help="fail if an RPC has no usable rule",
        description="Fail if an RPC has no usable (authapi.v1.rule), or names a role that does not exist.",
    )
    add_source(verb)
    verb.add_argument("--role", action="append", default=[], metavar="NAME", help="a role that exists; repeatable")
    verb.add_argument("--roles-file", type=Path, metavar="FILE", help="the roles that exist, one a line")


def _add_login(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    verb = verbs.add_parser(
        "login",
        help="print an access token, for calls by hand",
        description="Ask for the password, log in, and print the access token, for calls by hand: "
        "(umask 077; authclient login --user ada > token.txt). Without a terminal, the password is the first line of "
        "standard input.",
    )
    verb.add_argument("--user", required=True, metavar="NAME", help="user name or e-mail address")
    verb.add_argument(
        "--server",
        default="127.0.0.1:50051",
        metavar="HOST:PORT",
        help="the authentication service (default: %(default)s)",
    )
    verb.add_argument("--label", default="authclient", help="what the session is called in the list of sessions")
    verb.add_argument("--ca-file", type=Path, metavar="FILE", help="speak TLS to the server, trusting this CA (PEM)")
    verb.add_argument("--insecure", action="store_true", help="speak plaintext to another machine")


def _add_completion(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    verb = verbs.add_parser(
        "completion",
        help="print what makes a shell complete this command",
        description='Print what makes a shell complete this command: eval "$(authclient completion bash)"',
    )
    verb.add_argument("shell", choices=SHELLS)
