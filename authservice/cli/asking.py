"""Questions at the terminal."""

import contextlib
import signal
import sys
from collections.abc import Iterator

import click


def new_password() -> str:
    """Ask for a password twice, unseen. Raises UsageError where there is no terminal."""
    if not sys.stdin.isatty():
        raise click.UsageError("There is no terminal to ask at. Give the password with --password-stdin.")
    with interruptible():
        password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return password


def pasted_secret(question: str) -> str:
    """Return the first line of standard input; at a terminal, after a question and unseen."""
    if not sys.stdin.isatty():
        return sys.stdin.buffer.readline().decode("utf-8", "replace")
    with interruptible():
        pasted: str = click.prompt(question, hide_input=True, err=True, default="", show_default=False)
    return pasted


def require_yes(question: str) -> None:
    """Ask, and raise ClickException unless the answer is yes, UsageError if there is none."""
    try:
        with interruptible():
            agreed = click.confirm(question, err=True)
    except click.Abort as abort:
        click.echo(err=True)  # Nobody has ended the line of the question.
        if isinstance(abort.__context__, EOFError):
            raise click.UsageError("There was no answer. Say --yes to go on without the question.") from None
        raise
    if not sys.stdin.isatty():
        click.echo(err=True)  # What is read from elsewhere does not show, and neither does the end of its line.
    if not agreed:
        raise click.ClickException("Nothing was done.")


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C raise, so that a terminal that shows nothing is put back first."""
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
