"""Who has to have a second factor."""

import re

from pydantic import Field, field_validator

from authservice.config.area import Area

_FORM = re.compile(r"off|everybody|roles:[a-z][a-z0-9._-]{0,63}(,[a-z][a-z0-9._-]{0,63})*")


class SecondFactorSettings(Area):
    """What is asked for at a login beside the password."""

    require_second_factor: str = Field(
        "off",
        description="who sets one up before their first session: `off`, `everybody`, or the holders of `roles:a,b`",
    )

    @field_validator("require_second_factor")
    @classmethod
    def _known_form(cls, value: str) -> str:
        if not _FORM.fullmatch(value):
            raise ValueError("must be off, everybody, or roles: and names of roles with commas between them")
        return value

    def roles_with_second_factor(self) -> frozenset[str]:
        """Return the roles whose holders have to have one."""
        _, _, names = self.require_second_factor.partition("roles:")
        return frozenset(filter(None, names.split(",")))
