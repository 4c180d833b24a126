"""Logging in by hand: `authclient login`.

(umask 077; authclient login --user ada > token.txt)
grpcurl -H "authorization: Bearer $(cat token.txt)" ...
"""

import argparse
import getpass
import sys

import grpc
from authapi.v1 import auth_service_pb2 as api
from authapi.v1 import auth_service_pb2_grpc as rpc

from authclient._wire.channels import CannotOpen, open_named
from authclient._wire.details import reason_of, violations_of

REFUSED, UNREACHABLE = 1, 2
SECONDS = 20.0


def login(options: argparse.Namespace) -> int:
    """Log in and print the access token. Returns the exit code: 1 if refused, 2 if there is no server to ask."""
    try:
        channel = open_named(options.server, options.ca_file, options.insecure)
    except CannotOpen as error:
        print(error, file=sys.stderr)
        return UNREACHABLE
    password = _typed("Password: ")
    request = api.LoginRequest(user_name_or_email=options.user, password=password, client_label=options.label)
    try:
        with channel:
            tokens = _tokens(rpc.AuthServiceStub(channel), request)
    except grpc.RpcError as error:
        return _refused(error)
    except CodeMissing:
        print(f"{options.user} needs a second factor. Its code is the second line of standard input.", file=sys.stderr)
        return REFUSED
    print(tokens.access_token)
    until = tokens.access_token_expire_time.ToDatetime().strftime("%H:%M:%S")
    print(f"It is good until {until} UTC.", file=sys.stderr)
    return 0


class CodeMissing(Exception):
    """A second factor is asked for, and standard input has no second line."""


def _tokens(stub: rpc.AuthServiceStub, request: api.LoginRequest) -> api.SessionTokens:
    """Log in, and meet the challenge if there is one. Raises grpc.RpcError."""
    answer = stub.Login(request, timeout=SECONDS)
    if answer.HasField("tokens"):
        return answer.tokens
    challenge = answer.challenge
    if challenge.HasField("enrollment"):
        print(
            "Set a second factor up first, in a terminal: have an authenticator app take this, and type its code.",
            file=sys.stderr,
        )
        print(f"  secret  {challenge.enrollment.secret}\n  link    {challenge.enrollment.uri}", file=sys.stderr)
    code = _typed("Code of the authenticator app, or recovery code: ")
    if not code:
        raise CodeMissing
    completion = api.CompleteLoginRequest(challenge_token=challenge.challenge_token, code=code)
    completed = stub.CompleteLogin(completion, timeout=SECONDS)
    if completed.recovery_codes:
        print("Keep these codes for when the app is lost. Each is good once:", file=sys.stderr)
        print(*(f"  {each}" for each in completed.recovery_codes), sep="\n", file=sys.stderr)
    return completed.tokens


def _typed(prompt: str) -> str:
    """Return what is asked for at a terminal, where it does not show, or the next line of standard input."""
    if sys.stdin.isatty():
        return getpass.getpass(prompt)
    return sys.stdin.readline().rstrip("\r\n")


def _refused(error: grpc.RpcError) -> int:
    reason = reason_of(error.trailing_metadata())
    if reason is None:
        print(f"{error.code().name}: {error.details()}", file=sys.stderr)
        return UNREACHABLE
    print(f"{reason}: {error.details()}", file=sys.stderr)
    for field, what in violations_of(error.trailing_metadata()).items():
        print(f"  {field}: {what}", file=sys.stderr)
    return REFUSED
