"""What was built, tried as those who get it would: in empty environments, beside nothing of this repository."""

import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from release.building import Command, build_python, run

PASSWORD = "quiet copper lantern 47 rivers"  # noqa: S105 - that of the greeting
SERVER_ONLY = ("sqlalchemy", "bcrypt", "alembic", "pymysql", "pydantic", "click")
_CLIENT = f"""
import importlib.util
import authapi.v1.rule_pb2, authclient, authclient.aio, authclient.lint, authclient.testing
found = [name for name in {SERVER_ONLY} if importlib.util.find_spec(name)]
assert not found, f"the client brings {{found}}"
"""
_REGISTER = f"""
import sys, grpc
from authapi.v1 import auth_service_pb2 as api, auth_service_pb2_grpc as rpc
auth = rpc.AuthServiceStub(grpc.insecure_channel(sys.argv[1], [("grpc.enable_http_proxy", 0)]))
print(auth.Register(api.RegisterRequest(user_name="ada", password="{PASSWORD}"), timeout=30).user_id)
"""
_GUARD = """
import { AuthService, Guard, identityOf, reasonOf, type Identity } from "authservice-client";

const whom = { authServer: "127.0.0.1:9", issuer: "authservice", audience: "internal" };
const guard: Guard = new Guard({ ...whom, services: [AuthService] });
const read: (call: Parameters<typeof identityOf>[0]) => Identity | undefined = identityOf;
console.log(typeof read, typeof reasonOf);
guard.close();
"""
_TSCONFIG = '{"compilerOptions": {"target": "ES2022", "module": "NodeNext", "strict": true, "types": ["node"]}}'
_MAIN = """
package main

import (
	"fmt"

	"authservice/clients/go/authclient"
)

func main() {
	auth, err := authclient.Dial("127.0.0.1:9", nil)
	if err != nil {
		panic(err)
	}
	defer auth.Close()
	guard, err := authclient.New(auth, authclient.Config{Issuer: "authservice", Audience: "internal"})
	if err != nil {
		panic(err)
	}
	defer guard.Close()
	fmt.Println("a guard is made")
}
"""
GIT_HOST = "git.example.com/authservice.git"


def try_sdist(sdist: Path, wheel: Path, folder: Path) -> None:
    """Build the wheel once more, of what the sdist holds: the same files come out."""
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (source,) = folder.iterdir()
    (again,) = build_python(source, folder, "wheel")
    assert _names(again) == _names(wheel), _names(again) ^ _names(wheel)


def try_client(wheel: Path, source: Path, folder: Path) -> None:
    """Install the wheel alone: the client is there, and nothing of what the server needs."""
    python = _environment(wheel, "", source, folder)
    run([python, "-I", "-c", _CLIENT], folder)
    run([python.with_name("authclient"), "--version"], folder)
    said = subprocess.run([python.with_name("authservice")], capture_output=True, text=True, check=False)
    assert (said.returncode, "server" in said.stderr) == (3, True), said


def try_server(wheel: Path, source: Path, folder: Path) -> None:
    """Install the wheel with its extra: the server greets, and the call that it prints works."""
    python = _environment(wheel, "[server]", source, folder)
    command: Command = [python.with_name("authservice"), "serve", "--port", "0"]
    with subprocess.Popen([*map(str, command)], cwd=folder, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            greeting = ""
            while "\nEOF" not in greeting:
                line = server.stdout.readline()
                assert line, "the server ended before it had greeted"
                greeting += line
            address = str(re.findall(r"serves on (\S+)\. ", greeting)[0])
            user_id = run([python, "-I", "-c", _REGISTER, address], folder).strip()
            call = str(re.findall(r"<<'EOF'\n(.*)EOF", greeting, re.DOTALL)[0])
            assert f'user_id: "{user_id}"' in run([python, "-I", "-c", call], folder)
        finally:
            server.terminate()


def try_npm(package: Path, folder: Path) -> None:
    """Install the npm package into an empty folder: its guard passes the compiler and is made."""
    (folder / "package.json").write_text('{"name": "shop", "private": true, "type": "module"}')
    (folder / "tsconfig.json").write_text(_TSCONFIG)
    (folder / "guard.ts").write_text(_GUARD)
    wanted = ["@grpc/grpc-js", "@bufbuild/protobuf", "typescript@5", "@types/node@20"]
    quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    run(["npm", "install", *quiet, package, *wanted], folder)
    run(["npx", "tsc"], folder)
    assert run(["node", "guard.js"], folder) == "function function\n"
    names = {path.name for path in (folder / "node_modules" / "authservice-client").iterdir()}
    assert names == {"LICENSE", "README.md", "dist", "package.json"}, names


def try_go_archive(archive: Path, source: Path, folder: Path) -> None:
    """Use the Go module from another one, by a `replace` that names the unpacked archive."""
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    _use_go(folder / archive.name.removesuffix(".tar.gz"), source, folder / "shop")


def try_go_tag(root: Path, commit: str, version: str, source: Path, folder: Path) -> None:
    """Use the Go module by its tag, from a copy of this repository that stands for a git server."""
    copy = folder / "authservice.git"
    run(["git", "clone", "--quiet", "--bare", "--no-tags", root, copy], folder)
    run(["git", "-C", copy, "tag", f"clients/go/v{version}", commit], folder)
    (folder / "gitconfig").write_text(f'[url "file://{copy}"]\n\tinsteadOf = https://{GIT_HOST[:-4]}\n')
    cache = run(["go", "env", "GOMODCACHE"], folder).strip()
    _use_go(
        f"{GIT_HOST}/clients/go v{version}",
        source,
        folder / "shop",
        GIT_CONFIG_GLOBAL=str(folder / "gitconfig"),
        GOPRIVATE="git.example.com",
        GOMODCACHE=str(folder / "modules"),  # Else the tag of the try before would be used.
        GOPROXY=f"file://{cache}/cache/download,{run(['go', 'env', 'GOPROXY'], folder).strip()}",
    )


def _use_go(module: Path | str, source: Path, folder: Path, **environment: str) -> None:
    folder.mkdir()
    replaced = f"require authservice/clients/go v0.0.0\n\nreplace authservice/clients/go => {module}\n"
    (folder / "go.mod").write_text(f"module example.com/shop\n\ngo 1.25.0\n\n{replaced}")
    (folder / "main.go").write_text(_MAIN)
    shutil.copy(source / "clients" / "go" / "go.sum", folder)
    said = run(["go", "run", "-mod=mod", "-modcacherw", "."], folder, **environment)
    assert said == "a guard is made\n", said


def _environment(wheel: Path, extra: str, source: Path, folder: Path) -> Path:
    uv, python = Path(sys.executable).with_name("uv"), folder / "venv" / "bin" / "python"
    run([uv, "venv", "--quiet", "--python", sys.executable, folder / "venv"], folder)
    pins = source / "requirements" / "server.txt"
    run([uv, "pip", "install", "--quiet", "--python", python, "--constraint", pins, f"{wheel}{extra}"], folder)
    return python


def _names(wheel: Path) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())
