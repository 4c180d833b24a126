"""`authservice explain`: each check failing in turn, with the words that an operator reads."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import structlog
from authapi.v1 import rule_pb2
from click.testing import CliRunner, Result
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.duration_pb2 import Duration
from uuid6 import uuid7

from authservice.cli.root import command
from authservice.config import Settings
from authservice.domain.deadline import Deadline
from authservice.domain.session import Opening, SessionEnd
from authservice.domain.tokens import SessionTokens
from authservice.domain.user import User
from authservice.ports import last_counts
from authservice.usecases.steps.open_session import new_session
from tests.clients.protos import service_file
from tests.conftest import MASTER_KEY
from tests.faults.seeding import SECONDS, Seeder, seeder
from tests.unit.forgery import Forger, b64, forger, to_json, unb64

pytestmark = pytest.mark.parametrize("backend", ["sqlite"])

RULES: dict[str, rule_pb2.Rule | None] = {
    "look": rule_pb2.Rule(public=True),
    "buy": rule_pb2.Rule(authenticated=True),
    "cancel": rule_pb2.Rule(any_role=["support", "shop-admin"]),
    "refund": rule_pb2.Rule(authenticated=True, mfa=True),
    "close": rule_pb2.Rule(authenticated=True, max_auth_age=Duration(seconds=300), max_staleness=Duration(seconds=3)),
    "try_out": rule_pb2.Rule(any_role=["support"], observe=True),
    "forgotten": None,
    "muddled": rule_pb2.Rule(public=True, authenticated=True),
}


@dataclass
class Explained:
    """What the command said."""

    exit_code: int
    rows: list[dict[str, str]]

    def __getitem__(self, check: str) -> tuple[str, str]:
        found = [(row["passed"], row["detail"]) for row in self.rows if row["check"] == check]
        assert len(found) == 1, (check, self.rows)
        return found[0]

    @property
    def failed(self) -> list[str]:
        """The checks that did not pass."""
        return [row["check"] for row in self.rows if row["passed"] == "NO"]

    @property
    def open(self) -> list[str]:
        """The checks that could not be made."""
        return [row["check"] for row in self.rows if row["passed"] == "-"]


@pytest.fixture
def seeds(settings: Settings) -> Iterator[Seeder]:
    with seeder(settings) as seeds:
        yield seeds


@pytest.fixture
def ada(seeds: Seeder) -> User:
    return seeds.user("ada")


@pytest.fixture
def tokens(seeds: Seeder, ada: User) -> SessionTokens:
    return seeds.sessions(ada, 1)[0]


@pytest.fixture
def signer(seeds: Seeder) -> Forger:
    """Return what signs anything with the service's own key."""
    signer: Any = seeds.service.auth.login.open_session.issue_tokens.access_tokens._keys.signer()  # type: ignore[attr-defined]
    return Forger(signer.kid, signer.alg, signer.key)


@pytest.fixture
def environment(settings: Settings, tmp_path: Path) -> dict[str, str]:
    return {
        "AUTHSERVICE_DATABASE_URL": settings.database_address().get_secret_value(),
        "AUTHSERVICE_DATA_DIR": str(tmp_path),
        "AUTHSERVICE_MASTER_KEY": MASTER_KEY,
        "AUTHSERVICE_BCRYPT_COST": "10",  # the least that is allowed; a hash is made at each start
    }


@pytest.fixture
def invoke(environment: dict[str, str]) -> Iterator[Callable[..., Result]]:
    """Yield what runs the command in this process. It sets up the logs as a process would; they are put back."""
    before = structlog.get_config()
    yield lambda token, *arguments: CliRunner().invoke(command, ["explain", *arguments], input=token, env=environment)
    structlog.configure(**before)


@pytest.fixture
def explain(invoke: Callable[..., Result]) -> Callable[..., Explained]:
    def run(token: str, *arguments: str) -> Explained:
        done = invoke(token + "\n", "--json", *arguments)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return Explained(done.exit_code, json.loads(done.stdout))

    return run


@pytest.fixture
def shop(tmp_path: Path) -> str:
    """Return the file that describes a service with one method for each rule."""
    described = FileDescriptorProto.FromString(service_file(**RULES).serialized_pb)
    (tmp_path / "shop.binpb").write_bytes(FileDescriptorSet(file=[described]).SerializeToString())
    return str(tmp_path / "shop.binpb")


def claims_of(tokens: SessionTokens) -> dict[str, Any]:
    """Return what a token says."""
    said: dict[str, Any] = json.loads(unb64(tokens.access_token.split(".")[1]))
    return said


def changed(signer: Forger, tokens: SessionTokens, **claims: Any) -> str:
    """Return the token with other claims, rightly signed."""
    return signer.token(to_json(claims_of(tokens) | claims))


def test_a_good_token_passes_every_check(explain: Callable[..., Explained], tokens: SessionTokens) -> None:
    done = explain(tokens.access_token)
    assert (done.exit_code, done.failed, done.open) == (0, [], [])
    assert [row["check"] for row in done.rows] == [
        "form",
        "key",
        "signature and claims",
        "issuer",
        "audience",
        "time",
        "session",
        "generation",
    ]
    assert done["form"][1] == f"{len(tokens.access_token)} bytes"
    assert " is active, made " in done["key"][1]
    assert done["session"][1].startswith("live until ")
    assert explain("Bearer " + tokens.access_token).exit_code == 0


@pytest.mark.parametrize("text", ["nonsense", "a.b", "a.b.c", "eyJ.eyJ.eyJ", "é.é.é", "x" * 5000, "a.b.c d.e.f"])
def test_what_is_no_token_fails_in_its_form(explain: Callable[..., Explained], text: str) -> None:
    done = explain(text)
    assert (done.exit_code, done.failed, done.open) == (1, ["form"], ["session"])


def test_a_token_of_another_type_fails_in_its_form(
    explain: Callable[..., Explained], signer: Forger, tokens: SessionTokens
) -> None:
    header = to_json(signer.header(typ="JWT"))
    done = explain(signer.token(to_json(claims_of(tokens)), header))
    assert (done.exit_code, done.failed) == (1, ["form"])
    assert done["form"][1] == "the header is not that of an access token"


def test_an_unknown_key_leaves_the_signature_open(explain: Callable[..., Explained], tokens: SessionTokens) -> None:
    stranger = forger("ES256")
    done = explain(changed(stranger, tokens))
    assert (done.exit_code, done.failed, done.open) == (1, ["key"], ["signature and claims", "session"])
    assert done["key"][1] == f"{stranger.kid!r} is none of ours: removed, or of another service"


def test_an_unknown_key_does_not_wait_for_itself(invoke: Callable[..., Result], tokens: SessionTokens) -> None:
    # The keys are read once more for its sake, which must not meet a transaction of the command's own.
    done = invoke(changed(forger("ES256"), tokens))
    assert done.exit_code == 1
    assert "keys_not_reloaded" not in done.stderr


def test_a_key_id_cannot_write_on_the_terminal(invoke: Callable[..., Result], tokens: SessionTokens) -> None:
    stranger = forger("ES256")
    header = to_json(stranger.header(kid="\x1b[2J\r\nkey yes"))
    done = invoke(stranger.token(to_json(claims_of(tokens)), header))
    assert done.exit_code == 1
    assert "\x1b" not in done.stdout
    assert "\r" not in done.stdout


def test_a_bad_signature_is_told_apart_from_an_unknown_key(
    explain: Callable[..., Explained], signer: Forger, tokens: SessionTokens
) -> None:
    head, body, _ = tokens.access_token.split(".")
    forged = f"{head}.{body}.{b64(forger('ES256').sign(f'{head}.{body}'.encode()))}"
    done = explain(forged)
    assert (done.exit_code, done.failed, done.open) == (1, ["signature and claims"], ["session"])
    assert done["signature and claims"][1] == "the signature is wrong"
    done = explain(signer.token(to_json({"iss": "authservice"})))
    assert done["signature and claims"] == ("NO", "a claim is missing or malformed")


@pytest.mark.parametrize(
    ("claim", "check", "said"),
    [
        ({"aud": "billing"}, "audience", "it says 'billing', this service says 'internal'"),
        ({"iss": "staging"}, "issuer", "it says 'staging', this service says 'authservice'"),
    ],
)
def test_a_mix_up_of_services_is_named(
    explain: Callable[..., Explained],
    signer: Forger,
    tokens: SessionTokens,
    claim: dict[str, str],
    check: str,
    said: str,
) -> None:
    done = explain(changed(signer, tokens, **claim))
    assert (done.exit_code, done.failed) == (1, [check]), "the rest is judged all the same"
    assert done[check][1] == said


def test_a_token_out_of_its_time_says_when_its_time_is(
    explain: Callable[..., Explained], signer: Forger, tokens: SessionTokens
) -> None:
    now = claims_of(tokens)["iat"]
    for moved, why in {-2000: "it has expired: from 20", 2000: "its time has not begun: from 20"}.items():
        begin = now + moved
        done = explain(changed(signer, tokens, iat=begin, nbf=begin, auth_time=begin, exp=begin + 900))
        assert (done.exit_code, done.failed) == (1, ["time"])
        assert done["time"][1].startswith(why)
        assert ", now 20" in done["time"][1]
    for moved in (-900 - 25, 25):  # within the leeway
        begin = now + moved
        assert explain(changed(signer, tokens, iat=begin, nbf=begin, auth_time=begin, exp=begin + 900)).exit_code == 0


def test_an_ended_session_says_when_and_why(
    explain: Callable[..., Explained], seeds: Seeder, ada: User, tokens: SessionTokens
) -> None:
    for reason in SessionEnd:
        session = seeds.sessions(ada, 1)[0]
        _end(seeds, session.session_id, reason)
        done = explain(session.access_token)
        assert (done.exit_code, done.failed) == (1, ["session"])
        assert done["session"][1].startswith("ended 20")
        assert done["session"][1].endswith(f"reason {reason.value}")


def _end(seeds: Seeder, session_id: UUID, reason: SessionEnd) -> None:
    now = seeds.service.parts.clock()
    seeds.service.parts.database.transact(
        lambda tx: tx.sessions.end(session_id, reason, now), Deadline.after(SECONDS), settle=last_counts
    )


def test_a_session_that_nobody_knows_is_named(
    explain: Callable[..., Explained], signer: Forger, tokens: SessionTokens
) -> None:
    unknown = str(uuid4())
    done = explain(changed(signer, tokens, sid=unknown))
    assert (done.exit_code, done.failed) == (1, ["session"])
    assert done["session"][1] == f"{unknown} is no session of this user, or was deleted long ago"
    done = explain(changed(signer, tokens, sub=str(uuid4())))
    assert done.failed == ["session"], "somebody else's session is none of theirs"


def test_a_session_that_was_idle_for_too_long_has_expired(
    explain: Callable[..., Explained], seeds: Seeder, ada: User, signer: Forger, tokens: SessionTokens
) -> None:
    opening = seeds.service.auth.login.open_session
    first = opening.refresh_tokens.first(uuid7())
    old = new_session(first.session_id, ada, Opening(), first, opening.limits, opening.clock() - timedelta(hours=1))
    opening.database.transact(lambda tx: tx.sessions.add(old), Deadline.after(SECONDS), settle=last_counts)
    done = explain(changed(signer, tokens, sid=str(old.id)))
    assert (done.exit_code, done.failed) == (1, ["session"])
    assert done["session"][1].startswith("expired 20")


def test_a_disabled_user_is_named(
    explain: Callable[..., Explained], seeds: Seeder, ada: User, tokens: SessionTokens
) -> None:
    seeds.service.parts.database.transact(
        lambda tx: tx.users.set_disabled(ada.id, seeds.service.parts.clock()),
        Deadline.after(SECONDS),
        settle=last_counts,
    )
    done = explain(tokens.access_token)
    assert (done.exit_code, done.failed) == (1, ["session"])
    assert done["session"][1] == "the user is disabled"
    seeds.service.admin.operate_users.disable("ada", Deadline.after(SECONDS))
    assert explain(tokens.access_token)["session"][1].endswith("reason user_disabled")


def test_a_token_with_old_roles_says_that_refreshing_helps(
    explain: Callable[..., Explained], seeds: Seeder, tokens: SessionTokens
) -> None:
    seeds.service.admin.operate_users.grant("ada", "support", Deadline.after(SECONDS))
    done = explain(tokens.access_token)
    assert (done.exit_code, done.failed) == (1, ["generation"])
    assert done["generation"][1] == "0 is older than 1: the roles have changed; refresh"


def test_each_part_of_a_methods_rule_is_a_check_of_its_own(
    explain: Callable[..., Explained], signer: Forger, tokens: SessionTokens, shop: str
) -> None:
    def judged(method: str, **claims: Any) -> Explained:
        return explain(
            changed(signer, tokens, **claims), "--descriptor-set", shop, "--method", f"/shop.v1.Shop/{method}"
        )

    now = claims_of(tokens)["iat"]
    assert judged("buy")["rule"] == ("yes", "is enforced")
    assert judged("look")["rule"] == ("yes", "public: no token is looked at")
    needs = "needs one of shop-admin, support; has"
    assert judged("cancel")["role"] == ("NO", f"{needs} none")
    assert judged("cancel", roles=["a", "b"])["role"] == ("NO", f"{needs} a, b")
    assert judged("cancel", roles=["a", "support"])["role"] == ("yes", f"{needs} support")
    assert judged("refund")["mfa"] == ("NO", "logged in by pwd")
    assert judged("refund", amr=["pwd", "otp", "mfa"])["mfa"] == ("yes", "logged in by pwd, otp, mfa")
    assert judged("close")["login age"][0] == "yes"
    assert judged("close")["freshness"] == ("yes", "judged by a view of at most 3 s, else by Verify")
    passed, detail = judged("close", auth_time=now - 1000)["login age"]
    assert (passed, detail.endswith(" s; at most 300 s"), int(detail.split()[0]) >= 1000) == ("NO", True, True)
    assert judged("forgotten")["rule"] == (
        "NO",
        "there is no (authapi.v1.rule) option; the method is refused to everybody",
    )
    assert judged("muddled")["rule"][1].startswith("exactly one of public, authenticated and any_role")
    assert judged("try_out")["rule"] == ("yes", "observes only: refusals are counted")


@pytest.mark.parametrize(
    ("method", "good", "bad"),
    [("buy", 0, 1), ("cancel", 1, 1), ("forgotten", 1, 1), ("muddled", 1, 1), ("look", 0, 0), ("try_out", 0, 0)],
)
def test_the_exit_code_says_whether_the_call_is_refused(
    explain: Callable[..., Explained], tokens: SessionTokens, shop: str, method: str, good: int, bad: int
) -> None:
    arguments = ("--descriptor-set", shop, "--method", f"/shop.v1.Shop/{method}")
    assert explain(tokens.access_token, *arguments).exit_code == good
    assert explain("nonsense", *arguments).exit_code == bad


def test_a_rule_is_read_from_a_running_server(explain: Callable[..., Explained], port: int) -> None:
    where = ("--server", f"127.0.0.1:{port}", "--method")
    done = explain("nonsense", *where, "/authapi.v1.AuthService/Login")
    assert (done.exit_code, done["rule"]) == (0, ("yes", "public: no token is looked at"))
    done = explain("nonsense", *where, "/authapi.v1.AuthService/Logout")
    assert done.exit_code in (0, 1)
    assert "rule" in [row["check"] for row in done.rows]


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("--method", "/shop.v1.Shop/buy"), 2, "--method needs --descriptor-set or --server"),
        (("--descriptor-set", "/gone", "--method", "/a/b"), 1, "/gone: No such file or directory"),
        (("--descriptor-set", "SHOP", "--method", "/a/b"), 1, "There is no /a/b there. It has /shop.v1.Shop/buy, "),
        (("--server", "192.0.2.1:1", "--method", "/a/b"), 1, "192.0.2.1:1 is another machine"),
        (("--descriptor-set", "SHOP"), 2, "--descriptor-set and --server need --method"),
        (("--server", "127.0.0.1:1"), 2, "--descriptor-set and --server need --method"),
    ],
)
def test_a_method_that_cannot_be_found_is_no_verdict(
    invoke: Callable[..., Result], shop: str, arguments: tuple[str, ...], code: int, text: str
) -> None:
    done = invoke("nonsense", *(shop if part == "SHOP" else part for part in arguments))
    assert (done.exit_code, done.stdout) == (code, "")
    assert text in done.stderr


@pytest.mark.parametrize("method", ["/shop.v1.Shop/look", "shop.v1.Shop/look", "shop.v1.Shop.look"])
def test_a_method_may_be_written_as_grpc_or_as_protobuf_writes_it(
    explain: Callable[..., Explained], tokens: SessionTokens, shop: str, method: str
) -> None:
    done = explain(tokens.access_token, "--descriptor-set", shop, "--method", method)
    assert (done.exit_code, done["rule"]) == (0, ("yes", "public: no token is looked at"))


@pytest.mark.parametrize("nothing", ["", "\n", "  \n"])
def test_where_no_token_was_read_there_is_no_verdict(invoke: Callable[..., Result], nothing: str) -> None:
    done = invoke(nothing)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "No token was read" in done.stderr
    assert "authservice explain < token.txt" in done.stderr


def test_l1_a_token_on_the_command_line_is_not_printed(invoke: Callable[..., Result], tokens: SessionTokens) -> None:
    token = tokens.access_token
    for arguments in ((token,), ("--json", token), ("Bearer", token), ("--", token)):
        done = invoke("", *arguments)
        assert (done.exit_code, done.stdout) == (2, "")
        assert "authservice explain < token.txt" in done.stderr
        assert not any(part in done.stderr for part in token.split("."))


def test_the_table_for_people_says_the_same(invoke: Callable[..., Result], tokens: SessionTokens) -> None:
    lines = invoke(tokens.access_token).stdout.splitlines()
    assert lines[0].split() == ["check", "passed", "detail"]
    assert [line.split("  ")[0].strip() for line in lines[1:3]] == ["form", "key"]
    assert "yes" in lines[1]


def test_l1_the_token_and_the_secrets_are_in_nothing_that_a_process_says(
    environment: dict[str, str], tokens: SessionTokens, seeds: Seeder, signer: Forger
) -> None:
    secrets = [MASTER_KEY, str(signer.private.private_numbers().private_value), tokens.refresh_token]
    head, body, signature = tokens.access_token.split(".")
    broken = f"{head}.{body}.{signature[:-8]}AAAAAAAA"
    logs = {"AUTHSERVICE_LOG_LEVEL": "debug", "PYTHONIOENCODING": "utf-8:strict"}
    away = {"AUTHSERVICE_DATABASE_URL": "mysql://u:p@127.0.0.1:1/d"}
    cases: list[tuple[bytes, dict[str, str], int]] = [
        (tokens.access_token.encode(), {}, 0),
        (broken.encode(), {}, 1),
        (tokens.access_token.encode(), away, 4),
        (b"\xff\xfe" + tokens.access_token.encode(), {}, 1),
    ]
    for text, variables, code in cases:
        done = subprocess.run(
            [sys.executable, "-m", "authservice", "explain"],
            input=text,
            capture_output=True,
            check=False,
            timeout=60,
            cwd=environment["AUTHSERVICE_DATA_DIR"],
            env={"PATH": os.environ["PATH"], **environment, **logs, **variables},
        )
        said = (done.stdout + done.stderr).decode()
        assert done.returncode == code, said
        assert "Traceback" not in said
        for secret in (head, body, signature, signature[:40], *secrets):
            assert secret not in said
