"""LoginWithPasskey: open a session for a user whose device has verified them."""

from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from uuid import UUID

from authservice.domain.deadline import Deadline
from authservice.domain.errors import ChallengeOver, CredentialsInvalid, EmailNotConfirmed, PasskeyInvalid
from authservice.domain.fields import Fields, bounded_text, client_label, passkey_answer
from authservice.domain.passkey import POSSESSION
from authservice.domain.second_factor import with_second_factor
from authservice.domain.session import Opening
from authservice.domain.tokens import SessionTokens
from authservice.domain.user import User
from authservice.ports import AuthStores, CeremonyTokens, Clock, Database
from authservice.usecases.steps.admit_attempt import AdmitAttempt
from authservice.usecases.steps.begin_ceremony import BY_PASSKEY
from authservice.usecases.steps.open_session import OpenSession
from authservice.usecases.steps.require_confirmed import RequireConfirmed
from authservice.usecases.steps.use_passkey import Used, UsePasskey


@dataclass(frozen=True, slots=True)
class PasskeyLogin:
    """What a caller sends: the token with which the browser was asked, its answer, and what the session is to be."""

    ceremony_token: str = field(repr=False)
    credential: str = field(repr=False)
    client_label: str = ""
    is_remembered: bool = False
    network: str = ""


@dataclass(frozen=True, slots=True)
class LoginWithPasskey:
    """Opens sessions by a passkey alone.

    The device has to have asked its owner for a PIN, a finger or a face: so two things are proved, and no second factor
    is asked for. Attempts are not counted, because signatures cannot be guessed.
    """

    database: Database[AuthStores]
    ceremony_tokens: CeremonyTokens
    use_passkey: UsePasskey
    admit_attempt: AdmitAttempt
    require_confirmed: RequireConfirmed
    open_session: OpenSession
    clock: Clock

    def __call__(self, request: PasskeyLogin, deadline: Deadline) -> SessionTokens:
        """Return the tokens of a new session.

        Raises InvalidInput, ChallengeOver, PasskeyInvalid, PasskeysOff, EmailNotConfirmed, TokenTooLarge,
        DeadlineTooShort, StorageUnavailable, Conflict.
        """
        self._check_form(request)
        credential_id = self.use_passkey.require_ceremonies().credential_id(request.credential)
        now = self.clock()
        ceremony = self.ceremony_tokens.read(request.ceremony_token, BY_PASSKEY, "", now)
        user = self.database.read(lambda tx: _owner(tx, credential_id), deadline)
        try:
            return self._open(request, user, ceremony, now, deadline)
        except (PasskeyInvalid, CredentialsInvalid):
            self.use_passkey.refused(user.id if user else None)
            raise PasskeyInvalid from None
        except EmailNotConfirmed:
            assert user
            raise self.require_confirmed.refused(user) from None

    def _check_form(self, request: PasskeyLogin) -> None:
        fields = Fields()
        fields.read("ceremony_token", bounded_text, request.ceremony_token, least=1, most=4096)
        fields.read("credential_json", passkey_answer, request.credential)
        fields.read("client_label", client_label, request.client_label)
        fields.require_valid()

    def _open(
        self,
        request: PasskeyLogin,
        user: User | None,
        ceremony: tuple[UUID, datetime],
        now: datetime,
        deadline: Deadline,
    ) -> SessionTokens:
        if user is None:
            raise PasskeyInvalid
        found: list[Used] = []
        prove = partial(self._prove, request, ceremony, now, found)
        attempt = self.database.read(lambda tx: self.admit_attempt.admitted_before(tx, user, request.network), deadline)
        opening = Opening(request.client_label, request.network, is_remembered=request.is_remembered)
        tokens = self.open_session(user, attempt, opening, deadline, prove=prove)
        if found:
            self.use_passkey.record(found[0])
        return tokens

    def _prove(
        self,
        request: PasskeyLogin,
        ceremony: tuple[UUID, datetime],
        now: datetime,
        found: list[Used],
        tx: AuthStores,
        current: User,
        session_id: UUID,
    ) -> tuple[str, ...]:
        """Use the ceremony up, with a signature. See open_session.Prove."""
        used = self.use_passkey(tx, current.id, request.ceremony_token, request.credential, now, must_verify=True)
        ceremony_id, until = ceremony
        if not tx.challenges.use_up(ceremony_id, current.id, until) and tx.sessions.get(session_id) is None:
            raise ChallengeOver  # And not by an earlier run of this call, whose commit was not acknowledged.
        found.append(used)
        if not self.require_confirmed.is_met(tx, current):
            raise EmailNotConfirmed
        return with_second_factor((), POSSESSION)


def _owner(tx: AuthStores, credential_id: bytes) -> User | None:
    passkey = tx.passkeys.by_credential(credential_id)
    return tx.users.get(passkey.user_id) if passkey else None
