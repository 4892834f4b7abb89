"""Commands on whose contracts (ISO 15118 Plug & Charge) the depot honours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from depot.commands.command import Command
from depot.contracts import RootUse


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustContractRoot(Command):
    """Honour the contracts that this authority has signed, or authorities under it. ``certificate``: PEM."""

    TITLE: ClassVar[str] = "Trust contract root"

    use: RootUse
    certificate: str

    @property
    def target(self) -> str:
        return "contracts"

    @property
    def detail(self) -> Mapping[str, str]:
        return {"use": self.use.value}


@dataclass(frozen=True, slots=True, kw_only=True)
class DistrustContractRoot(Command):
    """Honour its contracts no more. ``fingerprint``: SHA-256, hex."""

    TITLE: ClassVar[str] = "Distrust contract root"

    fingerprint: str

    @property
    def target(self) -> str:
        return "contracts"

    @property
    def detail(self) -> Mapping[str, str]:
        return {"fingerprint": self.fingerprint}
