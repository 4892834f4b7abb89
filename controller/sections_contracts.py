"""The section ``[contracts]`` of the settings file: Plug & Charge (ISO 15118), whose contracts count and who signs new ones."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import field_validator, model_validator

from controller.sections import Section, http_address, setting


class ContractsSection(Section):
    """Which authorities are trusted is no setting: people manage them while the depot runs."""

    unreachable: Literal["refuse", "accept"] = setting(
        "refuse", "What becomes of a contract whose authority's responder (OCSP) cannot be asked whether it is revoked."
    )
    responders: tuple[str, ...] = setting(
        (), "Hosts of responders that may be asked, also at private addresses. Empty: any host, at public addresses only.", max_length=64
    )
    timeout_s: float = setting(5.0, "How long a responder or provider may take.", unit="s", gt=0, le=25)
    provider: Literal["none", "http", "mock"] = setting(
        "none", "Who installs contracts in vehicles: nobody, a pool over HTTP, or a mock for demonstrations that no vehicle believes."
    )
    provider_url: str = setting("", "Base address of the pool; /v1/ccp/signedContractData is added.")
    provider_token: Path | None = setting(None, "File with the pool's bearer token; only its owner may read it.")
    v2g_authority: Path | None = setting(
        None, "Key and certificate (PEM) of an authority that signs stations' V2G certificates. Without it none is signed."
    )

    @field_validator("provider_url")
    @classmethod
    def _an_address(cls, url: str) -> str:
        return http_address(url, "https://pool.example/api")

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        if (self.provider == "http") != bool(self.provider_url):
            raise ValueError('provider = "http" and provider_url belong together')
        if self.provider_token is not None and not self.provider_url.startswith("https://"):
            raise ValueError("a provider_token is sent over https only")
        return self
