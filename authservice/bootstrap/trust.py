"""Puts the area `trust` together."""

from authservice.bootstrap.parts import Parts
from authservice.usecases.trust import TrustStories
from authservice.usecases.trust.revocation_feed import RevocationFeed


def build(parts: Parts) -> TrustStories:
    """Return the area's stories."""
    # The same for every server of one database, so that watchers resume at any of them and in no other.
    database = parts.fingerprints.of("history", "revocations").hex()[:32]
    return TrustStories(
        rotate_keys=parts.rotate_keys,
        keys=parts.keys,
        feed=RevocationFeed(parts.revocation_log, database, parts.clock),
    )
