"""Who is calling, inside the service that was called: checked in its own process, by the rules in its own .proto files.

    trust = authclient.Trust("127.0.0.1:50051", audience="internal")
    server = grpc.server(pool, interceptors=[authclient.AuthInterceptor(trust, orders_pb2.DESCRIPTOR)])

and in a handler `authclient.current_identity(context)`. For asyncio servers there is `authclient.aio`, for callers
`Session`, for tests `authclient.testing`, for metrics `authclient.prometheus`.

Packages with an underscore are not for services. The authentication service itself takes from inside what reads, signs
and judges tokens, and nothing else: `_tokens.grammar`, `_tokens.signing`, `_tokens.verifier`, `_judging.rules`,
`_judging.judge`, `_judging.knowledge` and `_judging.verified`; and for `authservice explain`, `lint`.
"""

from authclient._calling.challenges import SecondFactorNeeded
from authclient._calling.held_tokens import LoginNeeded
from authclient._calling.sync.session import Session
from authclient._judging.identity import Identity
from authclient._judging.observer import Observer
from authclient._judging.rules import EXEMPT_SERVICES, Policy, Rule, RuleRejected
from authclient._serving.callers import current_identity, find_identity, forwarded
from authclient._serving.options import SERVER_OPTIONS
from authclient._serving.sync.interceptor import AuthInterceptor
from authclient._tokens.claims import Claims
from authclient._tokens.grammar import TokenRefused
from authclient._tokens.keys import ALGORITHMS, VerificationKey
from authclient._tokens.verifier import TokenVerifier
from authclient._view.trust import Trust
from authclient._wire.channels import NEVER_RESENT
from authclient._wire.details import reason_of, retry_after_of, violations_of
from authclient._wire.refusals import Refused

__all__ = [
    "ALGORITHMS",
    "EXEMPT_SERVICES",
    "NEVER_RESENT",
    "SERVER_OPTIONS",
    "AuthInterceptor",
    "Claims",
    "Identity",
    "LoginNeeded",
    "Observer",
    "Policy",
    "Refused",
    "Rule",
    "RuleRejected",
    "SecondFactorNeeded",
    "Session",
    "TokenRefused",
    "TokenVerifier",
    "Trust",
    "VerificationKey",
    "current_identity",
    "find_identity",
    "forwarded",
    "reason_of",
    "retry_after_of",
    "violations_of",
]
