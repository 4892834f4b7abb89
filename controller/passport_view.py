"""What is shown of battery passports: shapes alone."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from msgspec import Struct

FINDINGS_KEPT: Final = 20
"""So many findings are kept with a passport from elsewhere."""


class KeptPassportView(Struct, frozen=True, kw_only=True):
    """A passport from elsewhere. ``parts``: of the data model that are in it; ``signed_by``: fingerprint of the key, "" without a
    signature; ``findings``: what in it cannot be; ``batch``: the production batch that it tells, "" for none."""

    sha256: str
    kept_at: datetime
    by: str
    reason: str
    issuer: str
    number: str
    parts: list[str]
    signed_by: str
    findings: list[str]
    batch: str = ""


class PassportView(Struct, frozen=True, kw_only=True):
    """A pack's passport as everybody may see it (``document``, signed), and how it stands. ``filled``, ``unknown``: of the required values,
    as the owner sees them. ``address``: behind its QR code, "" where no page is public. ``sheet``: the model of its data sheet, "" without
    one; ``findings``: what in the owner's copy cannot be. ``batch``, ``batch_from``: the production batch by which its cohort is made, and
    who says it, "" for nobody. ``owners``: that copy, unsigned, for those who may issue passports."""

    vehicle_id: str
    pack_id: str
    document: dict[str, Any]
    filled: int
    unknown: int
    address: str
    sheet: str
    findings: list[str]
    kept: list[KeptPassportView]
    batch: str = ""
    batch_from: str = ""
    owners: dict[str, Any] = {}


class PublicPassportView(Struct, frozen=True, kw_only=True):
    """What the page behind a QR code shows."""

    document: dict[str, Any]


class KeptDocumentView(Struct, frozen=True, kw_only=True):
    """A passport from elsewhere, as it came."""

    sha256: str
    document: dict[str, Any]
