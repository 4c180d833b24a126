"""Who is calling, inside the service that was called: checked in its own process, by the rules in its own .proto files.

    trust = authclient.Trust("127.0.0.1:50051", audience="internal")
    server = grpc.server(pool, interceptors=[authclient.AuthInterceptor(trust, orders_pb2.DESCRIPTOR)])

and in a handler `authclient.current_identity(context)`. For asyncio servers there is `authclient.aio`, for callers
`Session`, for tests `authclient.testing`.
"""

from authclient.claims import Claims
from authclient.held_tokens import LoginNeeded
from authclient.identity import Identity, current_identity, find_identity, forwarded
from authclient.interceptor import AuthInterceptor
from authclient.keys import ALGORITHMS, VerificationKey
from authclient.observer import Observer
from authclient.refusals import Refused, reason_of
from authclient.rules import EXEMPT_SERVICES, Policy, Rule, RuleRejected
from authclient.session import Session
from authclient.tokens import TokenRefused, TokenVerifier
from authclient.trust import Trust

__all__ = [
    "ALGORITHMS",
    "EXEMPT_SERVICES",
    "AuthInterceptor",
    "Claims",
    "Identity",
    "LoginNeeded",
    "Observer",
    "Policy",
    "Refused",
    "Rule",
    "RuleRejected",
    "Session",
    "TokenRefused",
    "TokenVerifier",
    "Trust",
    "VerificationKey",
    "current_identity",
    "find_identity",
    "forwarded",
    "reason_of",
]
