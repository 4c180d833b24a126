"""A guard that is given something else than it takes says what it wants."""

from collections.abc import Callable
from typing import Any

import pytest
from authclient import AuthInterceptor, Trust
from authclient import aio as asynchronous

from tests.clients.guarded import SIGNED_IN
from tests.clients.protos import service_file

FILE = service_file(unary_unary=SIGNED_IN)
GUARDS = pytest.mark.parametrize("guard", [AuthInterceptor, asynchronous.AuthInterceptor], ids=["threads", "asyncio"])


@GUARDS
@pytest.mark.parametrize("trust", ["127.0.0.1:50051", None, Trust])
def test_what_is_no_trust_is_refused(guard: Callable[..., object], trust: object) -> None:
    with pytest.raises(TypeError, match=r'is no Trust; give Trust\("127.0.0.1:50051", audience="internal"\)'):
        guard(trust, FILE)


@GUARDS
@pytest.mark.parametrize("files", [[FILE], (FILE,), {FILE: 1}, []], ids=["list", "tuple", "dict", "empty"])
def test_a_list_of_files_lacks_its_star(trust: Trust, guard: Callable[..., object], files: object) -> None:
    with pytest.raises(TypeError, match=r"write a star before it, as in \*files"):
        guard(trust, files)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"pool": 16}, "pool is 16; give the ThreadPoolExecutor that grpc.server is given"),
        ({"request_patience": "5"}, "request_patience is '5'; write a number of seconds"),
    ],
)
def test_wrong_settings_of_patience_are_refused(trust: Trust, options: dict[str, Any], complaint: str) -> None:
    with pytest.raises((TypeError, ValueError), match=complaint):
        AuthInterceptor(trust, FILE, **options)
