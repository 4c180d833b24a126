"""Checking access tokens of authservice inside the service that received them.

Two verbs matter: build a `TokenVerifier` once, call its `verify` for each token.
"""

from authclient.claims import Claims
from authclient.keys import ALGORITHMS, VerificationKey
from authclient.tokens import TokenRefused, TokenVerifier

__all__ = ["ALGORITHMS", "Claims", "TokenRefused", "TokenVerifier", "VerificationKey"]
