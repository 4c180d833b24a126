"""Every block of every page is run or compared by some test, or stands here with the reason why not."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.examples import pages
from tests.examples.pages import (
    ACCOUNTS,
    BESIDE,
    GO_PAGE,
    GO_README,
    OPERATIONS,
    PAGES,
    PROTECT,
    README,
    RELEASING,
    ROOT,
    RULES,
    THREATS,
    TYPESCRIPT_PAGE,
    TYPESCRIPT_README,
    Block,
    blocks,
)

CONTRIBUTING, ARCHITECTURE, VERIFICATION, VECTORS = (
    ROOT / name
    for name in ("CONTRIBUTING.md", "docs/architecture.md", "docs/local-verification.md", "clients/vectors/README.md")
)
OTHER_LANGUAGES = "the example in it is started by tests/examples/test_other_languages.py, from a copy"
NEEDS_A_NETWORK = "it fetches, and into a project of the reader's; make client-versions does the like"
DRAWN = "it is for people to look at"
STARTED = "tests/examples starts what it starts, on free ports"
UNTRIED: dict[tuple[Path, str, str], str] = {
    (CONTRIBUTING, "sh", "make setup"): STARTED,
    (README, "sh", "make serve"): STARTED,
    (README, "sh", "make orders"): STARTED,
    (README, "sh", "customer.py"): "test_documents.py runs the customer with other addresses",
    (README, "proto", "PlaceOrder"): "a part of the example's contract, which its tests compile",
    (README, "", "users' clients"): DRAWN,
    (README, "", "Login ->"): DRAWN,
    (README, "", "clients/python/"): DRAWN,
    (README, "sql", "CREATE DATABASE"): "tests have databases and users of their own; the rights are those of theirs",
    (README, "sh", "master.key)"): "a line of openssl; tests/unit/test_config.py has keys of its form",
    (README, "sh", "export DB_HOST"): "each setting and command in it has tests, with another server",
    (ARCHITECTURE, "", "usecases"): DRAWN,
    (VERIFICATION, "", '"files"'): "tests/vectors/test_schema.py holds the files to their form",
    (VERIFICATION, "", '"key_set_cases"'): "tests/vectors/test_schema.py holds the files to their form",
    (VECTORS, "sh", "tests.vectors"): "tests/vectors/test_vectors.py compares with what it writes",
    (OPERATIONS, "sh", "COMPLETE=bash_source"): "test_documents.py takes the line by itself, beside that of rules.md",
    (OPERATIONS, "sh", "--service liveness"): "tests/cli/test_health.py runs each, with files of its own",
    (OPERATIONS, "sh", "useradd"): "it is for root, and makes users of a machine",
    (OPERATIONS, "ini", "[Unit]"): "it is for systemd",
    (OPERATIONS, "sh", "set-password ada"): "tests/rpc/account/test_one_time_passwords.py has the command's story",
    (OPERATIONS, "sh", "build-breached"): "tests/cli/test_passwords.py builds such files",
    (OPERATIONS, "sh", "users import --from"): "tests/cli/test_import.py imports from both",
    (
        ACCOUNTS,
        "sh",
        "authclient login",
    ): "tests/clients/test_login.py runs the command, test_documents.py calls with a token",
    (ACCOUNTS, "js", "navigator.credentials"): "it is for a browser; tests/rpc/passkeys has a device in software",
    (OPERATIONS, "sh", "AUTHSERVICE_SMTP_HOST"): "settings for a mail server of the reader's; tests/mail has some",
    (OPERATIONS, "", "1482 imported"): "tests/cli/test_import.py has other numbers",
    (OPERATIONS, "ini", "[mysqld]"): "tests/clusters/group.py starts members with settings like these",
    (RELEASING, "", "require authservice"): "`make dist` tries a module by its tag",
    (THREATS, "sh", "_s1_"): "one run of the tests in another",
    (PROTECT, "proto", "service OrdersService"): "a part of the example's contract, which its tests compile",
    (PROTECT, "sh", "pip install"): NEEDS_A_NETWORK,
    (PROTECT, "yaml", "version: v2"): "buf would fetch for it",
    (PROTECT, "sh", "make serve"): STARTED,
    (PROTECT, "sh", "make orders"): STARTED,
    (PROTECT, "sh", "customer.py"): "test_documents.py runs the customer with other addresses",
    (PROTECT, "proto", "observe: true"): "tests/clients/judging/test_rules.py has rules that observe",
    (RULES, "proto", "shop-admin"): "the comment of the option, which every compiler reads",
    (RULES, "", "duplicate extension"): "tests/clients/judging/test_rules.py looks for it in the page",
    (RULES, "sh", "bad.binpb"): "tests/clients/test_lint.py has each of its findings",
    (RULES, "", "BadService/Both"): "tests/clients/test_lint.py has each of its findings",
    (GO_PAGE, "sh", "go mod edit"): NEEDS_A_NETWORK,
    (GO_PAGE, "sh", "go get -tool"): NEEDS_A_NETWORK,
    (GO_PAGE, "go", "caller, known"): "one line, which the example has too",
    (GO_PAGE, "sh", "serve -listen"): OTHER_LANGUAGES,
    (GO_PAGE, "sh", "call -auth"): OTHER_LANGUAGES,
    (GO_PAGE, "", "order 1: copper lantern"): OTHER_LANGUAGES,
    (GO_PAGE, "", "order 4: compass"): OTHER_LANGUAGES,
    (TYPESCRIPT_PAGE, "sh", "npm pack"): NEEDS_A_NETWORK,
    (TYPESCRIPT_PAGE, "sh", "es_out"): NEEDS_A_NETWORK,
    (TYPESCRIPT_PAGE, "sh", "orders -- serve"): OTHER_LANGUAGES,
    (TYPESCRIPT_PAGE, "sh", "orders -- call"): OTHER_LANGUAGES,
    (TYPESCRIPT_PAGE, "", "catalog: apple"): OTHER_LANGUAGES,
    (TYPESCRIPT_PAGE, "", "catalog: compass"): OTHER_LANGUAGES,
    (GO_README, "sh", "go mod edit"): NEEDS_A_NETWORK,
    (GO_README, "sh", "go get -tool"): NEEDS_A_NETWORK,
    (GO_README, "proto", "PlaceOrder"): "a part of the example's contract, which its tests compile",
    (GO_README, "diff", "authclient.New"): "the listing of docs/go.md, which is compiled, as a difference",
    (GO_README, "go", "billing.Charge"): "two lines with a service of the reader's",
    (GO_README, "go", "NewClientTLSFromFile"): "constructors of grpc with files of the reader's",
    (GO_README, "sh", "go test -race"): "test_other_languages.py runs the tests and the generator",
    (TYPESCRIPT_README, "sh", "npm pack"): NEEDS_A_NETWORK,
    (TYPESCRIPT_README, "sh", "es_out"): NEEDS_A_NETWORK,
    (TYPESCRIPT_README, "proto", "PlaceOrder"): "a part of the example's contract, which its tests compile",
    (TYPESCRIPT_README, "ts", "new Guard"): "a shorter form of the listing of docs/typescript.md, which is compiled",
    (TYPESCRIPT_README, "ts", "createSsl"): "constructors of grpc-js with files of the reader's",
    (TYPESCRIPT_README, "sh", "orders -- serve"): OTHER_LANGUAGES,
}
"""Page, language and a part of a block that no test runs, and why."""


def uses() -> Iterator[tuple[Path, str, tuple[str, ...]]]:
    """Yield what the calls of `block` in the tests ask for."""
    for path in (ROOT / "tests").rglob("*.py"):
        text = path.read_text()
        if "block(" not in text or "tests.examples.pages import" not in text:
            continue
        for call in ast.walk(ast.parse(text)):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "block":
                page, *texts = call.args
                where = f"{path.name}, line {call.lineno}: name page and texts in the call itself"
                assert isinstance(page, ast.Name), where
                assert all(isinstance(text, ast.Constant) for text in texts), where
                language, *parts = (str(text.value) for text in texts if isinstance(text, ast.Constant))
                yield getattr(pages, page.id), language, tuple(parts)


USES = list(uses())


def tried(block: Block) -> bool:
    """Tell whether some test asks for a block."""
    if block.page == BESIDE and block.name:
        return True  # tests/examples/test_hosts.py takes all that have a name.
    return any(block.page == page and block.has(language, *parts) for page, language, parts in USES)


def reasons(block: Block) -> list[str]:
    """Return why no test does."""
    return [why for (page, language, part), why in UNTRIED.items() if page == block.page and block.has(language, part)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_is_tried_or_has_a_reason_not_to_be(page: Path) -> None:
    untried = [block for block in blocks(page) if not tried(block) and not reasons(block)]
    shown = "\n".join(f"```{block.language}\n{block.text}```" for block in untried)
    assert not untried, f"let a test take it by `block`, or give a reason in UNTRIED:\n{shown}"


def test_every_reason_is_one_for_one_block_that_no_test_tries() -> None:
    found = {key: [block for block in blocks(key[0]) if block.has(*key[1:])] for key in UNTRIED}
    assert not [key[1:] for key, each in found.items() if len(each) != 1], "names one block"
    assert not [key[1:] for key, each in found.items() if tried(each[0])], "which is tried meanwhile"
    assert all(UNTRIED.values())


def test_what_looks_like_a_block_is_one() -> None:
    # So that none escapes by being written in another way.
    for page in PAGES:
        fences = sum(line.lstrip().startswith(("```", "~~~")) for line in page.read_text().splitlines())
        assert fences == 2 * len(blocks(page)), page
