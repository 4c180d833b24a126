"""Keys and revocations, for services that check tokens by themselves."""

from dataclasses import dataclass

from authservice.ports import PublishedKeys
from authservice.usecases.trust.revocation_feed import RevocationFeed
from authservice.usecases.trust.rotate_keys import RotateKeys


@dataclass(frozen=True, slots=True)
class TrustStories:
    """The stories of this area, and what they are about. Live as long as the process."""

    rotate_keys: RotateKeys
    keys: PublishedKeys
    feed: RevocationFeed
