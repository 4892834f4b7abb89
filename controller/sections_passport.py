"""The section ``[passport]`` of the settings file: data sheets of batteries, and whether a QR code shows a public page."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import field_validator, model_validator

from controller.sections import Section, http_address, setting


class PassportSection(Section):
    """Battery passports (docs/passport.md). Without this section they are made of what the depot itself knows, and no page is public."""

    sheets: Path | None = setting(None, "TOML file with the data sheets of the batteries: what their makers say.")
    public: bool = setting(False, "Whether the page behind a pack's QR code can be read by everybody who has its address.")
    public_url: str = setting(
        "", "How everybody reaches it, like https://passports.depot.example; it stands in the QR codes. Needed where public is true."
    )

    @field_validator("public_url")
    @classmethod
    def _an_address(cls, url: str) -> str:
        return http_address(url, "https://passports.depot.example")

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.public and not self.public_url:
            raise ValueError("public pages need public_url: it stands in the QR codes, and phones cannot reach this machine's own name")
        return self
