"""Facts of whose contracts (ISO 15118 Plug & Charge) the depot honours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from depot.contracts import TrustedRoot
from depot.events.envelope import Event


@dataclass(frozen=True, slots=True)
class ContractRootTrusted(Event):
    """A person trusts this authority of contracts."""

    TYPE: ClassVar[str] = "contract.root_trusted"
    root: TrustedRoot


@dataclass(frozen=True, slots=True)
class ContractRootDistrusted(Event):
    """A person trusts it no more. ``fingerprint``: SHA-256, hex."""

    TYPE: ClassVar[str] = "contract.root_distrusted"
    fingerprint: str
