"""`authclient lint` as a build runs it: a process, descriptors from real compilers, real servers with reflection."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from socket import create_server

import grpc
import grpc_tools  # type: ignore[import-untyped]
import pytest
from authapi.v1 import rule_pb2
from authclient import command, lint
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from grpc_tools.protoc import main as protoc_main  # type: ignore[import-untyped]

from tests.clients.eventually import SOON
from tests.clients.guarded import SIGNED_IN, handler
from tests.clients.protos import SERVICE, service_file

ROOT = Path(__file__).parents[2]
HEAD = 'syntax = "proto3";\npackage shop.v1;\nimport "authapi/v1/rule.proto";\nmessage Nothing {}\n'

TWO_SHOPS: list[tuple[str, dict[str, str]]] = [
    ("authenticated: true", {}),
    ("public: true", {"Look": "public: true"}),
]

Describe = Callable[..., Path]


def process(*arguments: str | Path, before: str = "pass") -> "subprocess.CompletedProcess[str]":
    """Run the command, after some Python in the same process."""
    program = f"import sys; {before}; from authclient.command import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", program, "lint", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        env={"PATH": os.environ["PATH"]},
    )


def run(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run the command in this process, which is the same in a tenth of the time."""
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        code = command.main(["lint", *map(str, arguments)])
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


@pytest.fixture
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """For servers of which nothing is to be expected."""
    monkeypatch.setattr(lint, "SERVER_SECONDS", 0.3)


def service(**rules: str) -> str:
    """Return a .proto with one method for each rule. An empty one is none at all."""
    options = {name: f"option (authapi.v1.rule) = {{{rule}}};" if rule else "" for name, rule in rules.items()}
    methods = [f"rpc {name}(Nothing) returns (Nothing) {{{option}}}" for name, option in options.items()]
    return HEAD + "service Shop {\n" + "\n".join(methods) + "\n}\n"


@pytest.fixture
def protoc(tmp_path: Path) -> Describe:
    """Return what compiles a .proto into a descriptor set."""

    def describe(text: str) -> Path:
        (tmp_path / "shop.proto").write_text(text)
        includes = [
            f"-I{folder}" for folder in (ROOT / "protos", tmp_path, Path(grpc_tools.__file__).parent / "_proto")
        ]
        made = tmp_path / "shop.binpb"
        assert protoc_main(["protoc", *includes, f"--descriptor_set_out={made}", "shop.proto"]) == 0
        return made

    return describe


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Yield what starts a server that says it has these services, and returns its address."""
    servers = []

    def start(*names: str, has_reflection: bool = True, **rules: rule_pb2.Rule | None) -> str:
        server = grpc.server(ThreadPoolExecutor(4))
        health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), server)
        if has_reflection:
            served = (*names, reflection.SERVICE_NAME, health.SERVICE_NAME)
            reflection.enable_server_reflection(served, server, pool=service_file(**rules).pool)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        servers.append(server)
        return f"127.0.0.1:{port}"

    yield start
    for server in servers:
        server.stop(0).wait()


def outcome(done: "subprocess.CompletedProcess[str]") -> tuple[int, list[str], str]:
    """Return exit code, lines, and the last line about the whole."""
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout.splitlines(), (done.stderr.splitlines() or [""])[-1]


def test_our_own_contract_and_the_example_pass_as_buf_describes_them(tmp_path: Path) -> None:
    made = tmp_path / "ours.binpb"
    buf = Path(sys.executable).parent / "buf"
    subprocess.run([buf, "build", "-o", made], cwd=ROOT, check=True, timeout=60)
    code, lines, last = outcome(process("--descriptor-set", made, "--role", "support"))
    assert (code, lines) == (0, [])
    assert last.endswith(" 0 without a usable rule.")
    assert int(last.split()[0]) >= 8, "AuthService, TrustService and StreamService have more"


def test_each_bad_rule_is_one_line_with_the_method_and_what_is_wrong(protoc: Describe) -> None:
    described = protoc(
        service(
            Good="authenticated: true",
            Also='any_role: ["support"], mfa: true',
            Forgotten="",
            Both='public: true, any_role: ["support"]',
            Open="public: true, mfa: true",
            Nobody="mfa: true",
            Spelt='any_role: ["Support"]',
            Twice='any_role: ["a", "a"]',
            Half="authenticated: true, max_auth_age: {nanos: 500000000}",
            Past="authenticated: true, max_staleness: {seconds: -1}",
        )
    )
    code, lines, last = outcome(process("--descriptor-set", described))
    assert code == 1
    said = dict(line.split(": ", 1) for line in lines)
    assert list(said) == sorted(said), "in the order of their names, once each"
    assert {name.rpartition("/")[2]: text for name, text in said.items()} == {
        "Forgotten": "there is no (authapi.v1.rule) option",
        "Both": "exactly one of public, authenticated and any_role must say who may call",
        "Open": "public cannot be narrowed down; take it or the other fields away",
        "Nobody": "exactly one of public, authenticated and any_role must say who may call",
        "Spelt": "'Support' is no role name: a lower-case letter, then at most 63 of a-z 0-9 . _ -",
        "Twice": "a role stands twice in any_role",
        "Half": "max_auth_age must be positive, in whole seconds",
        "Past": "max_staleness must not be negative",
    }
    assert all(name.startswith("/shop.v1.Shop/") for name in said)
    assert last == "10 RPCs, 8 without a usable rule."


def test_a_role_that_does_not_exist_is_found_by_option_and_by_file(protoc: Describe, tmp_path: Path) -> None:
    described = protoc(service(Cancel='any_role: ["support", "suport"]', Look="public: true"))
    roles = tmp_path / "roles"
    roles.write_text("support\n\n  shop-admin\n")
    line = "/shop.v1.Shop/Cancel: unknown role suport"
    assert outcome(run("--descriptor-set", described))[:2] == (0, [])
    assert outcome(run("--descriptor-set", described, "--role", "support"))[:2] == (1, [line])
    assert outcome(run("--descriptor-set", described, "--roles-file", roles))[:2] == (1, [line])
    assert outcome(run("--descriptor-set", described, "--roles-file", roles, "--role", "suport"))[:2] == (0, [])


def test_an_empty_file_of_roles_means_that_there_are_none(protoc: Describe, tmp_path: Path) -> None:
    (tmp_path / "roles").touch()
    described = protoc(service(Cancel='any_role: ["support"]'))
    code, lines, _ = outcome(run("--descriptor-set", described, "--roles-file", tmp_path / "roles"))
    assert (code, lines) == (1, ["/shop.v1.Shop/Cancel: unknown role support"])


def test_a_file_of_roles_that_cannot_be_read_is_named(protoc: Describe, tmp_path: Path) -> None:
    described = protoc(service(Look="public: true"))
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    assert outcome(run("--descriptor-set", described, "--roles-file", tmp_path / "gone"))[::2] == (
        2,
        f"{tmp_path / 'gone'}: No such file or directory",
    )
    assert outcome(run("--descriptor-set", described, "--roles-file", tmp_path / "binary"))[::2] == (
        2,
        f"{tmp_path / 'binary'}: is no text",
    )


def test_health_and_reflection_need_no_rules_and_their_namesakes_do(protoc: Describe) -> None:
    method = "rpc Check(Nothing) returns (Nothing);"
    proto = 'syntax = "proto3";\npackage {};\nmessage Nothing {{}}\nservice {} {{ {} }}\n'
    code, lines, last = outcome(run("--descriptor-set", protoc(proto.format("grpc.health.v1", "Health", method))))
    assert (code, lines, last) == (2, [], "There is no RPC in these descriptors.")
    for package, name in (("grpc.health.v2", "Health"), ("my.grpc.health.v1", "Health"), ("grpc.health.v1", "health")):
        code, lines, _ = outcome(run("--descriptor-set", protoc(proto.format(package, name, method))))
        assert (code, lines) == (1, [f"/{package}.{name}/Check: there is no (authapi.v1.rule) option"])
    more = method + " rpc Repair(Nothing) returns (Nothing);"
    code, lines, last = outcome(run("--descriptor-set", protoc(proto.format("grpc.health.v1", "Health", more))))
    assert (code, lines) == (1, ["/grpc.health.v1.Health/Repair: there is no (authapi.v1.rule) option"])
    assert last == "1 RPCs, 1 without a usable rule."


def test_what_cannot_be_read_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "text").write_text(HEAD)
    cases = {
        "gone": "No such file or directory",
        ".": "Is a directory",
        "text": "is no descriptor set. Make one: buf build -o service.binpb, or protoc ",
        "empty": "There is no RPC in these descriptors.",
    }
    for name, text in cases.items():
        code, lines, last = outcome(run("--descriptor-set", tmp_path / name))
        assert (code, lines) == (2, []), name
        assert text in last, name


def test_what_no_role_can_be_called_is_said_to_be_no_role_name(protoc: Describe, tmp_path: Path) -> None:
    described = protoc(service(Look="public: true"))
    (tmp_path / "roles").write_text("support\nShop admin\n")
    text = " is no role name: a lower-case letter, then at most 63 of a-z 0-9 . _ -"
    assert outcome(run("--descriptor-set", described, "--role", "Janitor")) == (2, [], f"'Janitor'{text}")
    assert outcome(run("--descriptor-set", described, "--roles-file", tmp_path / "roles")) == (2, [], f"'Shop'{text}")


def test_a_rule_with_fields_of_a_later_version_is_found(protoc: Describe, tmp_path: Path) -> None:
    described = FileDescriptorSet.FromString(protoc(service(Later="authenticated: true")).read_bytes())
    rule = described.file[0].service[0].method[0].options.Extensions[rule_pb2.rule]
    rule.MergeFromString(b"\x50\x01")  # Field 10.
    (tmp_path / "later.binpb").write_bytes(described.SerializeToString())
    code, lines, _ = outcome(run("--descriptor-set", tmp_path / "later.binpb"))
    why = "the rule has fields that this version does not know; upgrade authclient"
    assert (code, lines) == (1, [f"/shop.v1.Shop/Later: {why}"])


def test_a_method_that_two_files_describe_is_found_and_a_file_that_stands_there_twice_is_not(
    protoc: Describe, tmp_path: Path
) -> None:
    one, other = (protoc(service(Buy=rule, **more)).read_bytes() for rule, more in TWO_SHOPS)
    (tmp_path / "same.binpb").write_bytes(one + one)
    assert outcome(run("--descriptor-set", tmp_path / "same.binpb"))[:2] == (0, [])
    for number, content in enumerate((one + other, other + one)):
        (tmp_path / f"{number}.binpb").write_bytes(content)
        code, lines, _ = outcome(run("--descriptor-set", tmp_path / f"{number}.binpb"))
        assert (code, lines) == (
            1,
            ["/shop.v1.Shop/Buy: it is described twice, in two files that define the same service"],
        )


def test_a_running_server_with_nothing_but_what_needs_no_rule_is_no_success(serve: Callable[..., str]) -> None:
    code, lines, last = outcome(run("--server", serve()))
    assert (code, lines, last) == (2, [], "There is no RPC in these descriptors.")


def test_bad_rules_are_found_in_a_running_server(serve: Callable[..., str]) -> None:
    server = serve(SERVICE, Good=SIGNED_IN, Forgotten=None, Both=rule_pb2.Rule(public=True, authenticated=True))
    code, lines, last = outcome(process("--server", server))
    assert code == 1
    assert lines == [
        "/shop.v1.Shop/Both: exactly one of public, authenticated and any_role must say who may call",
        "/shop.v1.Shop/Forgotten: there is no (authapi.v1.rule) option",
    ]
    assert last == "3 RPCs, 2 without a usable rule."


def test_of_a_running_servers_own_service_by_an_exempt_name_the_other_methods_need_rules() -> None:
    file = FileDescriptorProto(
        name="own_health.proto", package="grpc.health.v1", message_type=[DescriptorProto(name="Nothing")]
    )
    own = file.service.add(name="Health")
    for name in ("Check", "Repair"):
        own.method.add(name=name, input_type=".grpc.health.v1.Nothing", output_type=".grpc.health.v1.Nothing")
    pool = DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    server = grpc.server(ThreadPoolExecutor(4))
    reflection.enable_server_reflection((health.SERVICE_NAME, reflection.SERVICE_NAME), server, pool=pool)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    code, lines, _ = outcome(run("--server", f"127.0.0.1:{port}"))
    server.stop(0).wait()
    assert (code, lines) == (1, ["/grpc.health.v1.Health/Repair: there is no (authapi.v1.rule) option"])


def test_a_service_that_the_server_does_not_describe_is_named(serve: Callable[..., str]) -> None:
    code, lines, last = outcome(run("--server", serve(SERVICE, "shop.v1.Other", Good=SIGNED_IN)))
    assert (code, lines) == (2, [])
    assert last == "The server has the service shop.v1.Other and does not describe it."


@pytest.mark.usefixtures("in_a_hurry")
def test_a_server_that_is_away_or_does_not_describe_itself_is_told_apart(serve: Callable[..., str]) -> None:
    code, lines, last = outcome(run("--server", "127.0.0.1:1"))
    assert (code, lines) == (2, [])
    assert "does not answer" in last
    code, lines, last = outcome(run("--server", serve(has_reflection=False)))
    assert (code, lines) == (2, [])
    assert last == "The server does not describe itself (UNIMPLEMENTED). Switch its reflection on."


@pytest.mark.usefixtures("in_a_hurry")
def test_a_server_that_takes_the_connection_and_says_nothing_is_not_waited_for(serve: Callable[..., str]) -> None:
    with closing(create_server(("127.0.0.1", 0))) as mute:
        code, _, last = outcome(run("--server", f"127.0.0.1:{mute.getsockname()[1]}"))
        assert (code, "does not answer" in last) == (2, True)


@pytest.mark.usefixtures("in_a_hurry")
def test_a_server_that_leaves_the_question_open_or_answers_nonsense_ends_with_two() -> None:
    def silence(_: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        gone = threading.Event()
        context.add_callback(gone.set)
        gone.wait(SOON)
        yield b""

    answers: dict[str, Callable[..., Iterator[bytes]]] = {
        "does not describe itself (DEADLINE_EXCEEDED)": silence,
        "does not describe itself as grpc.reflection.v1alpha says": lambda requests, _: requests,
        "describe itself as grpc.reflection.v1alpha": lambda _requests, _context: iter(()),
    }
    for text, answer in answers.items():
        handlers = {"ServerReflectionInfo": handler("stream_stream", answer)}
        server = grpc.server(ThreadPoolExecutor(4))
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(reflection.SERVICE_NAME, handlers),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        done = run("--server", f"127.0.0.1:{port}")
        server.stop(0).wait()
        code, lines, last = outcome(done)
        assert (code, lines) == (2, [])
        assert text in last


@pytest.mark.usefixtures("in_a_hurry")
def test_plaintext_does_not_leave_the_machine_unless_somebody_says_so() -> None:
    code, lines, last = outcome(run("--server", "192.0.2.1:50052"))
    assert (code, lines) == (2, [])
    assert last == "192.0.2.1:50052 is another machine. Give a --ca-file, or --insecure for plaintext."
    code, _, last = outcome(run("--server", "192.0.2.1:50052", "--insecure"))
    assert (code, "does not answer" in last) == (2, True)


@pytest.mark.parametrize(("server", "what"), [("127.0.0.1", "names no port"), ("http://127.0.0.1:1", "is a URL")])
def test_an_address_that_is_none_is_not_taken_for_another_machine(server: str, what: str) -> None:
    code, lines, last = outcome(run("--server", server))
    assert (code, lines) == (2, [])
    assert last == f"'{server}' {what}; write host:port, such as 127.0.0.1:50051"


def test_a_ca_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    code, _, last = outcome(run("--server", "127.0.0.1:1", "--ca-file", tmp_path / "ca.pem"))
    assert (code, last) == (2, f"{tmp_path / 'ca.pem'}: No such file or directory")


def test_without_grpcio_reflection_files_are_read_and_servers_ask_for_it(protoc: Describe) -> None:
    without = "sys.modules['grpc_reflection'] = None"
    assert outcome(process("--descriptor-set", protoc(service(Look="public: true")), before=without))[0] == 0
    code, lines, last = outcome(process("--server", "127.0.0.1:1", before=without))
    assert (code, lines) == (2, [])
    assert last == "Reading a running server needs grpcio-reflection: pip install '/path/to/authservice[lint]'"


@pytest.mark.parametrize("arguments", [(), ("--descriptor-set", "a", "--server", "b"), ("--frobnicate",)])
def test_wrong_arguments_end_with_two_and_the_usage(arguments: tuple[str, ...]) -> None:
    done = process(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: authclient lint")


def test_the_installed_command_and_the_module_are_the_same() -> None:
    for program in ([str(Path(sys.executable).parent / "authclient")], [sys.executable, "-m", "authclient"]):
        done = subprocess.run(
            [*program, "lint", "--descriptor-set", "/gone"], capture_output=True, text=True, check=False, timeout=30
        )
        assert (done.returncode, done.stderr) == (lint.UNREADABLE, "/gone: No such file or directory\n")


def test_the_command_says_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        command.main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith("authclient ")
