"""What is typed at the command: misspelt verbs and options, answers to its questions, the address of another server."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import click
import grpc
import pytest

from authservice.cli.root import command
from tests.cli.conftest import Run
from tests.observed import PASSWORD


def test_questions_without_a_terminal_say_which_option_answers_them(run: Run) -> None:
    asked = run("users", "create", "ada")
    assert (asked.returncode, asked.stdout) == (2, "")
    assert "Give the password with --password-stdin." in asked.stderr
    run("users", "create", "ada", "--password-stdin", stdin=PASSWORD)
    kid = json.loads(run("keys", "list", "--json").stdout)[0]["key_id"]
    for answer, code, says in (("", 2, "Say --yes"), ("n\n", 1, "Nothing was done.")):
        done = run("keys", "revoke", "--", kid, stdin=answer)
        assert (done.returncode, says in done.stderr) == (code, True), done


@pytest.mark.parametrize("verb", [("keys", "revoke", "--", "{kid}"), ("adopt-backup",)], ids=lambda verb: verb[0])
def test_what_follows_a_question_without_a_terminal_begins_a_line(run: Run, verb: tuple[str, ...]) -> None:
    run("migrate")
    kid = json.loads(run("keys", "list", "--json").stdout)[0]["key_id"]
    for answer, next_line in (("", "Usage: authservice"), ("n\n", "Error: Nothing was done.")):
        done = run(*(part.format(kid=kid) for part in verb), stdin=answer)
        assert done.stdout == "", "what asks is no result"
        asked, *after = [line for line in done.stderr.splitlines() if line]
        assert "[y/N]:" in asked
        assert after[0].startswith(next_line)


MISSPELT = [
    *(((verb[:-1],), verb) for verb in command.list_commands(click.Context(command))),
    (("keys", "revok"), "revoke"),
    (("users", "lst"), "list"),
    (("serve", "--prot", "1"), "--port"),
    (("doctor", "--jsno"), "--json"),
    (("users", "create", "ada", "--pasword-stdin"), "--password-stdin"),
]


@pytest.mark.parametrize(("typed", "meant"), MISSPELT, ids=lambda value: value if isinstance(value, str) else "")
def test_a_misspelt_verb_or_option_is_told_what_may_have_been_meant(
    run: Run, typed: tuple[str, ...], meant: str
) -> None:
    done = run(*typed)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.search(rf"Did you mean .*'{meant}'", done.stderr), done.stderr


def test_another_program_is_told_from_one_that_does_not_answer(run: Run) -> None:
    def refuse(_request: Any, context: grpc.ServicerContext) -> None:
        context.abort(grpc.StatusCode.PERMISSION_DENIED, "not you")

    guarded: dict[str, Any] = {"Check": grpc.unary_unary_rpc_method_handler(refuse)}
    answers: list[tuple[dict[str, Any], str]] = [
        ({}, "answers, but knows no grpc.health.v1; is it another program? It says UNIMPLEMENTED"),
        (guarded, "answers, but does not say how it is: PERMISSION_DENIED, not you"),
    ]
    for methods, says in answers:
        other = grpc.server(ThreadPoolExecutor(1))
        other.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("grpc.health.v1.Health", methods)])
        port = other.add_insecure_port("127.0.0.1:0")
        other.start()
        asked = run("health", "--server", f"127.0.0.1:{port}")
        other.stop(0)
        assert (asked.returncode, asked.stdout) == (1, "")
        assert says in asked.stderr
        assert "does not answer" not in asked.stderr
