"""Commands of battery passports: one leaves the depot, one from elsewhere is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from depot.commands.command import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuePassport(Command):
    """Answer with a pack's passport, signed, as ``tier`` may see it. ``soh`` with ``soh_low``, ``soh_high``, ``soh_method``, ``soh_at``:
    an estimate of health that a person brings (share of nominal), ``evidence_sha256`` of its file; None: what the depot knows.
    ``grade``: one that a person brings, with its probability, and how it was made."""

    TITLE: ClassVar[str] = "Issue battery passport"

    vehicle_id: str
    pack_id: str
    tier: str
    soh: float | None = None
    soh_low: float | None = None
    soh_high: float | None = None
    soh_method: str = ""
    soh_at: str = ""
    grade: str = ""
    grade_probability: float | None = None
    grade_method: str = ""
    evidence_sha256: str = ""

    @property
    def target(self) -> str:
        return f"{self.vehicle_id}/{self.pack_id}"

    @property
    def detail(self) -> Mapping[str, str]:
        found = {"tier": self.tier}
        return found | {"evidence_sha256": self.evidence_sha256} if self.evidence_sha256 else found


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepPassport(Command):
    """Keep a passport from elsewhere beside a pack's own: the file lies in the depot's folder for incoming ones, under its SHA-256.
    ``fingerprint``: of the key that must have signed it; "": any, or none."""

    TITLE: ClassVar[str] = "Keep battery passport"

    vehicle_id: str
    pack_id: str
    sha256: str
    fingerprint: str = ""

    @property
    def target(self) -> str:
        return f"{self.vehicle_id}/{self.pack_id}"

    @property
    def detail(self) -> Mapping[str, str]:
        return {"sha256": self.sha256}
