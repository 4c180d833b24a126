"""The service as commands, servers and tests hold it: the stories of each area, and the parts below them."""

import functools
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from authservice.bootstrap import account, auth, mail, trust
from authservice.bootstrap.parts import Parts, make_parts
from authservice.config import Settings
from authservice.domain.signing_key import RotationPlan
from authservice.ports import Audit, Clock
from authservice.storage.embedded_file import FileId
from authservice.usecases.account import AccountStories
from authservice.usecases.adopt_backup import AdoptBackup
from authservice.usecases.auth import AuthStories
from authservice.usecases.clean_up import CleanUp
from authservice.usecases.mail import MailStories
from authservice.usecases.trust import TrustStories
from authservice.usecases.try_writing import TryWriting

if TYPE_CHECKING:
    from authservice.usecases.admin import AdminStories


@dataclass(frozen=True)
class Service:
    """Every story, ready to be called. Lives as long as the process; `close` gives its threads and connections back."""

    auth: AuthStories
    account: AccountStories
    trust: TrustStories
    mail: MailStories
    clean_up: CleanUp
    try_writing: TryWriting
    adopt_backup: AdoptBackup
    parts: Parts

    @functools.cached_property
    def admin(self) -> "AdminStories":
        """What operators do. Made when first asked for: workers, which never ask, do not even import it."""
        from authservice.bootstrap import admin  # noqa: PLC0415

        return admin.build(self.parts)

    @property
    def token_scope(self) -> tuple[str, str]:
        """Issuer and audience of access tokens."""
        return self.parts.settings.issuer, self.parts.settings.audience

    def close(self) -> None:
        """Give threads and connections back."""
        self.parts.close()


def assemble(
    settings: Settings,
    *,
    cores: int = 1,
    hash_cores: Collection[int] = (),
    clock: Clock | None = None,
    audit: Audit | None = None,
    hash_cost: int | None = None,
    rotation: RotationPlan | None = None,
    file: FileId | None = None,
) -> Service:
    """Put the service together. See make_parts, which raises, and for what tests may choose."""
    parts = make_parts(
        settings,
        cores=cores,
        hash_cores=hash_cores,
        clock=clock,
        audit=audit,
        hash_cost=hash_cost,
        rotation=rotation,
        file=file,
    )
    return Service(
        auth=auth.build(parts),
        account=account.build(parts),
        trust=trust.build(parts),
        mail=mail.build(parts),
        clean_up=CleanUp(parts.database, parts.clock),
        try_writing=TryWriting(parts.database, parts.clock),
        adopt_backup=AdoptBackup(parts.database, parts.rotate_keys, parts.audit),
        parts=parts,
    )
