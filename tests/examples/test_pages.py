"""The listings of docs/go.md and docs/typescript.md compile, as they stand there."""

import json
import shutil
from pathlib import Path

from tests.examples.conftest import GO_SECONDS, NPM_SECONDS
from tests.examples.pages import GO_PAGE, TYPESCRIPT_PAGE, block
from tests.examples.programs import GO, TYPESCRIPT, finished

OTHER_METHODS = """\
  getCatalog: (_call, callback) => callback(null, {}),
  cancelOrder: (_call, callback) => callback(null, {}),
  watchOrders: (call) => call.end(),
"""


def test_the_service_on_the_page_of_go_compiles(go: str, tmp_path: Path) -> None:
    lines = block(GO_PAGE, "go", "authclient.New").splitlines()
    body = "\n".join(f"\t{line}" for line in lines)
    page = tmp_path / "page.go"
    imports = '"authservice/clients/go/authclient"\n\n\t"google.golang.org/grpc"'
    page.write_text(
        f"package page\n\nimport (\n\t{imports}\n)\n\nfunc Run() error {{\n{body}\n\treturn guard.Check(server)\n}}\n"
    )
    overlay = tmp_path / "overlay.json"
    overlay.write_text(json.dumps({"Replace": {str(GO / "page" / "page.go"): str(page)}}))
    finished([go, "build", f"-overlay={overlay}", "./page"], GO, GO_SECONDS)


def test_the_service_on_the_page_of_typescript_compiles_with_the_settings_there(typescript: Path) -> None:
    page = typescript / "page"
    shutil.copytree(TYPESCRIPT / "src" / "gen", page / "src" / "gen")
    (page / "tsconfig.json").write_text(block(TYPESCRIPT_PAGE, "json", "compilerOptions"))
    listing = block(TYPESCRIPT_PAGE, "ts", "bindAsync")
    left_out = "  // and one for each other RPC of the service\n"
    assert left_out in listing
    (page / "src" / "main.ts").write_text(listing.replace(left_out, OTHER_METHODS))
    finished([typescript / "node_modules" / ".bin" / "tsc", "--project", page, "--types", "node"], page, NPM_SECONDS)
