"""The rows of the RPCs: what is missing stops the start, by name and with what to do."""

from typing import Any, cast

import pytest
from authapi.v1 import account_service_pb2 as account_api
from authapi.v1 import auth_service_pb2 as api
from authapi.v1 import trust_service_pb2 as trust_api

from authservice.transport.methods import METHODS, PASSWORD_METHODS, Method, MethodsUnfit, Threads, require_rows
from authservice.transport.registration import Registration
from authservice.transport.server import Limits, Server
from authservice.transport.servicers.account import AccountServicer
from authservice.transport.servicers.auth import AuthServicer
from authservice.transport.servicers.together import AuthTogether
from authservice.transport.servicers.trust import TrustServicer

LOGIN = "/authapi.v1.AuthService/Login"
WATCH = "/authapi.v1.TrustService/WatchRevocations"


def registration(servicer: type[Any], file: Any, name: str) -> Registration:
    """Return a service that nobody calls."""
    return Registration(file.DESCRIPTOR.services_by_name[name], servicer, lambda *_: None)


SERVED = [
    registration(AuthServicer, api, "AuthService"),
    registration(AccountServicer, account_api, "AccountService"),
    registration(TrustServicer, trust_api, "TrustService"),
]


def problem(rows: dict[str, Method], served: list[Registration] = SERVED) -> str:
    with pytest.raises(MethodsUnfit) as unfit:
        require_rows(served, rows)
    return str(unfit.value)


def test_every_method_that_is_served_has_a_row_that_fits() -> None:
    require_rows(SERVED)


def test_a_method_without_a_row_is_named() -> None:
    rows = {name: row for name, row in METHODS.items() if name != LOGIN}
    assert problem(rows).startswith(f"{LOGIN} has no row: add one")
    assert problem(rows).endswith("authservice/transport/methods.py")


def test_a_row_without_a_method_is_named() -> None:
    assert problem({**METHODS, "/authapi.v1.AuthService/Gone": METHODS[LOGIN]}).startswith(
        "/authapi.v1.AuthService/Gone has a row and is not served"
    )


def test_a_service_that_is_not_registered_is_noticed_by_the_rows_of_its_methods() -> None:
    assert WATCH in problem(dict(METHODS), SERVED[:-1])


def test_a_stream_must_hold_no_thread_and_nothing_else_may_say_so() -> None:
    assert problem({**METHODS, WATCH: Method(Threads.CALLS, is_repeatable=True)}).startswith(f"{WATCH} streams")
    assert problem({**METHODS, LOGIN: Method(Threads.NONE, is_repeatable=False)}).startswith(f"{LOGIN} streams")


def test_a_stream_whose_method_would_block_a_thread_is_named() -> None:
    class Blocking(TrustServicer):
        def WatchRevocations(self, *_: Any) -> None:  # type: ignore[override]
            pass

    served = [SERVED[0], registration(Blocking, trust_api, "TrustService")]
    assert f"{WATCH} must be marked `experimental_non_blocking`" in problem(dict(METHODS), served)


def test_a_server_does_not_start_without_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(cast("dict[str, Method]", METHODS), LOGIN)
    with pytest.raises(MethodsUnfit, match="Login has no row"):
        Server(SERVED, cast(Any, None), Limits(2, 8, 2), has_reflection=False, together=None)


def test_the_calls_that_are_answered_together_are_those_whose_rows_say_so() -> None:
    answered = AuthTogether(cast(Any, None), cast(Any, None)).methods()
    assert answered.keys() == {name for name, row in METHODS.items() if row.threads is Threads.TOGETHER}


def test_password_calls_are_those_whose_rows_say_so() -> None:
    names = ("ChangePassword", "EstimatePassword", "ResetPassword")
    account = {f"/authapi.v1.AccountService/{name}" for name in names}
    assert {LOGIN, "/authapi.v1.AuthService/Register", "/authapi.v1.AuthService/StepUp", *account} == PASSWORD_METHODS
