"""What docs/accounts.md shows works, from the first block to the last."""

from pathlib import Path

import grpc
import pytest
from authapi.v1 import auth_service_pb2_grpc as rpc

from authservice import bootstrap
from authservice.config import Settings
from tests.conftest import CHEAPEST, RecordedAudit, serve_in_process
from tests.examples.pages import blocks
from tests.observed import register

PAGE = Path(__file__).parents[3] / "docs" / "accounts.md"


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_the_blocks_of_the_page_run(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    service = bootstrap.assemble(settings, audit=RecordedAudit(), hash_cost=CHEAPEST)  # By the clock of the phone.
    served, port = serve_in_process(service)
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            register(rpc.AuthServiceStub(channel), "ada")
        code = "\n".join(blocks(PAGE, "python")).replace(":50051", f":{port}")
        exec(compile(code, str(PAGE), "exec"), {})
    finally:
        served.stop(0)
        service.close()
    told = capsys.readouterr().out
    assert "(this one)" in told
    assert "10 recovery codes\n8 recovery codes left\n" in told
