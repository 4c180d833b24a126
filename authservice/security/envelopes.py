"""Mail in the outbox, sealed: it holds addresses and one-time tokens that work.

The key is one of the service's own secrets and not a master key, so that a master key can be replaced while mail waits.
"""

import json
from dataclasses import dataclass

from authservice.domain.mail import Letter, QueuedMail
from authservice.ports import EnvelopeUnreadable
from authservice.security.sealing import CannotOpen, Sealer


@dataclass(frozen=True, slots=True)
class SealedEnvelopes:
    """Seals letters and opens them. Lives as long as the process."""

    sealer: Sealer

    def seal(self, letter: Letter) -> QueuedMail:
        """Return the mail as the outbox keeps it, due at once."""
        content = json.dumps({"address": letter.address, "facts": dict(letter.facts)}).encode()
        return QueuedMail(
            id=letter.id,
            kind=letter.kind,
            sealed=self.sealer.seal(content, _purpose(letter)),
            created_at=letter.written_at,
            due_at=letter.written_at,
            expires_at=letter.expires_at,
            user_id=letter.user_id,
        )

    def open(self, mail: QueuedMail) -> Letter:
        """Return the letter. Raises EnvelopeUnreadable."""
        try:
            content = json.loads(self.sealer.open(mail.sealed, _purpose(mail)))
        except CannotOpen:
            raise EnvelopeUnreadable from None
        return Letter(
            mail.id, mail.kind, content["facts"], mail.created_at, mail.expires_at, content["address"], mail.user_id
        )


def _purpose(mail: Letter | QueuedMail) -> str:
    # So that no row passes for another, nor for one of another kind.
    return f"mail {mail.id} {mail.kind.value}"
