"""Log lines."""

from typing import Literal

from pydantic import Field

from authservice.config.area import Area


class LogSettings(Area):
    """What is logged, and how."""

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least level that is logged")
    log_format: Literal["json", "console"] = Field(
        "json", description="`json`: one object per line; `console`: text for people"
    )
