"""What each column of each table holds: the one place that export, erasure and docs/privacy.md go by.

A column that is not named here, or a table whose rows cannot be found by their person, fails a test.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sqlalchemy import Column, Table

from authservice.storage.tables.form import metadata


class Kind(Enum):
    """What a column holds."""

    PERSONAL = "personal"
    """What says something about a person. It is exported, and erased with the account."""
    SECRET = "secret"  # noqa: S105  # the name of a kind
    """What proves who somebody is, or would help to guess it. It is never exported, and erased with the account."""
    PSEUDONYM = "pseudonym"
    """An id or a keyed hash that leads to nobody once the account is erased. Only these may stay."""
    SERVICE = "of the service"
    """What says nothing about a person."""


@dataclass(frozen=True)
class Held:
    """One table. The names of columns have spaces between them, and each column stands under one of the kinds.

    Args:
        by: the column that says whose a row is: the id of a user, or what stands for the account (see
            `domain.person.Person`). None where rows are nobody's.
    """

    by: str | None = None
    personal: str = ""
    secrets: str = ""
    pseudonym: str = ""
    service: str = ""

    def kinds(self) -> Iterator[tuple[str, Kind]]:
        """Yield each name of a column with its kind."""
        by_kind = ((self.personal, Kind.PERSONAL), (self.secrets, Kind.SECRET))
        for names, kind in (*by_kind, (self.pseudonym, Kind.PSEUDONYM), (self.service, Kind.SERVICE)):
            yield from ((name, kind) for name in names.split())


HELD = {
    "users": Held(
        by="id",
        personal="id name canonical_name email display_name locale created_at disabled_at erase_at password_expires_at",
        secrets="password_hash registration_key",
        service="generation secret_generation",
    ),
    # Not exported: whether there is a row tells whether somebody else has the address.
    "email_claims": Held(by="user_id", secrets="email user_id confirmed_at"),
    "user_roles": Held(by="user_id", personal="user_id role granted_at"),
    "sessions": Held(
        by="user_id",
        personal="id user_id client_label network auth_methods opened_at authenticated_at rotated_at spent_at "
        "idle_seconds idle_end absolute_end token_end ended_at end_reason",
        secrets="refresh_hash spent_hash",
        service="generation",
    ),
    "known_networks": Held(by="user_id", personal="user_id expires_at", pseudonym="fingerprint"),
    "login_attempts": Held(
        by="owner", personal="failures last_at next_at", pseudonym="subject owner", service="expires_at"
    ),
    "tried_secrets": Held(by="owner", personal="expires_at", secrets="fingerprint", pseudonym="owner"),
    "one_time_tokens": Held(
        by="user_id",
        personal="user_id purpose address created_at expires_at session_id",
        secrets="slot secret_hash",
        pseudonym="id spent_by",
        service="secret_generation",
    ),
    "outbox": Held(
        by="user_id",
        personal="user_id kind created_at",
        secrets="sealed",
        pseudonym="id",
        service="attempts due_at expires_at",
    ),
    "totp_factors": Held(by="user_id", personal="user_id created_at confirmed_at last_step", secrets="sealed"),
    "recovery_codes": Held(by="user_id", personal="user_id created_at", secrets="code_hash"),
    "passkeys": Held(
        by="user_id",
        personal="user_id name sign_count transports is_backed_up created_at last_used_at",
        secrets="credential_id public_key",
        pseudonym="id",
    ),
    "challenges": Held(
        by="user_id",
        personal="user_id client_label network auth_methods is_remembered expires_at",
        secrets="secret_hash",
        pseudonym="id",
        service="purpose secret_generation tries_left",
    ),
    "mail_quotas": Held(pseudonym="subject", service="mailed_at expires_at"),
    "retired_names": Held(pseudonym="fingerprint", service="retired_at"),
    "revocations": Held(pseudonym="subject", service="seq min_generation token_end"),
    "signing_keys": Held(
        service="kid alg state slot public sealed_private created_at activated_at retired_at",
    ),
    "sealed_secrets": Held(service="purpose sealed created_at"),
}
"""By the name of the table, in the order of an export."""


def of_people() -> dict[Table, Column[Any]]:
    """Return the tables whose rows are people's, each with the column that says whose."""
    return {metadata.tables[name]: metadata.tables[name].c[held.by] for name, held in HELD.items() if held.by}


def personal(table: Table) -> list[Column[Any]]:
    """Return the columns of a table that are exported."""
    return [table.c[name] for name in HELD[table.name].personal.split()]
