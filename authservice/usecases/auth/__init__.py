"""Registering, logging in and out, refreshing, verifying: one story per file."""

from dataclasses import dataclass

from authservice.usecases.auth.begin_passkey_login import BeginPasskeyLogin
from authservice.usecases.auth.complete_login import CompleteLogin
from authservice.usecases.auth.explain import Explain
from authservice.usecases.auth.login import Login
from authservice.usecases.auth.login_with_passkey import LoginWithPasskey
from authservice.usecases.auth.logout import Logout
from authservice.usecases.auth.refresh import Refresh
from authservice.usecases.auth.register import Register
from authservice.usecases.auth.step_up import StepUp
from authservice.usecases.auth.verify import Verify


@dataclass(frozen=True, slots=True)
class AuthStories:
    """The stories of this area, ready to be called. Live as long as the process."""

    register: Register
    register_by_operator: Register
    login: Login
    complete_login: CompleteLogin
    step_up: StepUp
    begin_passkey_login: BeginPasskeyLogin
    login_with_passkey: LoginWithPasskey
    refresh: Refresh
    logout: Logout
    verify: Verify
    explain: Explain
