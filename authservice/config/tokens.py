"""Tokens, their sessions and the keys that sign them."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from authservice.config.area import Area, named
from authservice.config.variables import ConfigError
from authservice.config.weak_secrets import weakness_of


class TokenSettings(Area):
    """What tokens say, how long they and their sessions live, and what signs them."""

    jwt_secret: SecretStr | None = named(
        "JWT_SECRET", None, "sign tokens with HS256 and this secret of at least 32 bytes, in place of managed keys"
    )
    jwt_secret_file: Path | None = named("JWT_SECRET_FILE", None, "file with that secret")
    token_algorithm: Literal["ES256", "EdDSA", "RS256"] = Field("ES256", description="algorithm of new managed keys")
    issuer: str = Field("authservice", min_length=1, max_length=64, description="`iss` of access tokens")
    audience: str = Field("internal", min_length=1, max_length=64, description="`aud` of access tokens")
    access_token_seconds: int = Field(900, ge=10, le=3600, description="life of an access token")
    session_idle_seconds: int = Field(1800, ge=60, description="life of a refresh token, renewed at each refresh")
    session_seconds: int = Field(43200, ge=60, le=30 * 86400, description="life of a session, whatever happens")
    remembered_session_idle_seconds: int = Field(
        604800,
        ge=60,
        description="life of a remembered session's refresh token, renewed at each refresh",
    )
    remembered_session_seconds: int = Field(
        2592000, ge=0, le=365 * 86400, description="life of such a session; 0 remembers nobody for longer"
    )
    sessions_per_user: int = Field(
        0, ge=0, description="live sessions of one user; a login beyond ends the one used longest ago; 0 is any number"
    )
    key_rotation_days: int = Field(30, ge=1, le=365, description="age at which the signing key is replaced")

    @field_validator("jwt_secret")
    @classmethod
    def _long_enough(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and len(secret.get_secret_value().encode()) < 32:
            raise ValueError("must have at least 32 bytes (RFC 7518 section 3.2). Make one: openssl rand -base64 48")
        return secret

    def require_strong_secret(self) -> None:
        """Raise ConfigError for a JWT_SECRET that can be guessed: for whatever serves, or seals a new database with it.

        Other commands take it, because `keys rewrap` leads away from one.
        """
        if self.jwt_secret and (weakness := weakness_of(self.jwt_secret.get_secret_value())):
            raise ConfigError(
                f"JWT_SECRET: {weakness}. Set another one, such as the output of `openssl rand -base64 48`; "
                "docs/operations.md, Master key, says what to do before where it seals a database."
            )

    @model_validator(mode="after")
    def _ends_in_order(self) -> Self:
        if self.access_token_seconds > self.session_idle_seconds:
            raise ValueError("AUTHSERVICE_ACCESS_TOKEN_SECONDS must not exceed AUTHSERVICE_SESSION_IDLE_SECONDS")
        if self.session_idle_seconds > self.session_seconds:
            raise ValueError("AUTHSERVICE_SESSION_IDLE_SECONDS must not exceed AUTHSERVICE_SESSION_SECONDS")
        if self.access_token_seconds > self.remembered_session_idle_seconds:
            raise ValueError(
                "AUTHSERVICE_ACCESS_TOKEN_SECONDS must not exceed AUTHSERVICE_REMEMBERED_SESSION_IDLE_SECONDS"
            )
        if 0 < self.remembered_session_seconds < self.remembered_session_idle_seconds:
            raise ValueError(
                "AUTHSERVICE_REMEMBERED_SESSION_IDLE_SECONDS must not exceed AUTHSERVICE_REMEMBERED_SESSION_SECONDS"
            )
        return self
