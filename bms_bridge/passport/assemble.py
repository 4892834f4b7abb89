"""The whole passport of a pack: data sheet and records side by side; what nobody here knows is marked with the reason. Pure.

    {"schema": "pack_passport/1", "aspects": six parts of the data model, "absent": path -> why there is no value,
     "provenance": path -> source, time, method, hash of the record, "details": what the model has no room for,
     "assessment": the depot's own, "foreign": passports from elsewhere, kept beside this one}

Every field that the model requires has a value, so that the six parts are valid under its schemas. Where nothing is known a placeholder
that no battery can have stands there, and ``absent`` names it: who reads the parts alone must look there.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from bms_bridge.passport.fields import ASPECTS, DATA_MODEL, FIELDS, put
from bms_bridge.passport.record import Known, Source, Value, assessment, from_records
from bms_bridge.passport.sheet import DETAILS, Sheet
from bms_bridge.passport.tiers import Tier

SCHEMA: Final = "pack_passport/1"
_GENERAL = "/GeneralProductInformation"
_NO_MONTHS: Final = "the data model asks for a month of the year, which holds no period; `details` has the months of the warranty"


@dataclass(frozen=True, slots=True)
class Identity:
    """``depot``: the issuer. ``number``: the passport's own, ``urn:…:…``. ``pack``: its pseudonym in the lake, "" without one.
    ``address``: of the public page behind the QR code, "" where there is none. No vehicle and no person stands here."""

    depot: str
    number: str
    pack: str = ""
    address: str = ""


def assemble(
    identity: Identity,
    known: Known,
    *,
    now: datetime,
    sheet: Sheet | None = None,
    operator: Mapping[str, Any] | None = None,
    operator_email: str = "",
    chemistry: str = "",
    foreign: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """The owner's copy, not yet signed. ``chemistry``: of the registry. ``foreign``: passports from elsewhere, as they were kept: told of,
    and never mixed with what was measured here."""
    told = from_records(known)
    values: dict[str, Value] = {}
    if sheet is not None:
        source = Source("data sheet", method=f"as the maker says of model {sheet.model}", record_sha256=sheet.sha256)
        values |= {path: Value(value, source) for path, value in sheet.values.items()}
    values |= {path: Value(value, Source("depot", method="the depot's own words")) for path, value in (operator or {}).items()}
    number = f"{_GENERAL}/batteryPassportIdentifier"
    if number not in values:
        values[number] = Value(identity.number, Source("depot", method="given by this depot: the data sheet names no passport"))
    short = "/MaterialComposition/batteryChemistry/shortName"
    if short not in values and chemistry and chemistry != "unknown":
        values[short] = Value(chemistry, Source("depot", method="as registered"))
    values |= told.values
    aspects: dict[str, Any] = {name: {} for name in ASPECTS}
    absent: dict[str, dict[str, str]] = {}
    provenance: dict[str, dict[str, str]] = {}
    for field in FIELDS:
        value = values.get(field.path)
        if value is not None:
            put(aspects, field.path, copy.deepcopy(value.value))
            provenance[field.path] = value.source.shown()
        elif field.required:
            put(aspects, field.path, copy.deepcopy(field.missing))
            absent[field.path] = {"kind": "unknown", "reason": _reason(field.path, told.reasons, sheet)}
    made: dict[str, Any] = {
        "schema": SCHEMA,
        "data_model": DATA_MODEL,
        "tier": Tier.OWNER.value,
        "issued_at": now.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "issuer": identity.depot,
        "pack": identity.pack,
        "address": identity.address,
        "aspects": aspects,
        "absent": absent,
        "provenance": provenance,
        "details": _details(sheet, operator_email),
    }
    own = assessment(known)
    if own:
        made["assessment"] = own
    if foreign:
        made["foreign"] = [dict(one) for one in foreign]
    return made


def _reason(path: str, reasons: Mapping[str, str], sheet: Sheet | None) -> str:
    if path in reasons:
        return reasons[path]
    if path.endswith("/warrentyPeriod"):
        return _NO_MONTHS if sheet is not None and "warranty_months" in sheet.details else f"no warranty is told; {_NO_MONTHS}"
    if path.startswith(f"{_GENERAL}/operatorInformation"):
        return "the file of data sheets does not say it of the operator"
    return "no data sheet of this battery is here" if sheet is None else "the battery's data sheet does not say it"


def _details(sheet: Sheet | None, operator_email: str) -> dict[str, dict[str, Any]]:
    """By the field beside which it is told, so that a tier that may not see the one does not see the other."""
    found: dict[str, dict[str, Any]] = {}
    for key, value in sheet.details.items() if sheet is not None else ():
        path = DETAILS[key][0]
        found[path] = {"name": key.replace("maker.", ""), "value": value}
    if operator_email:
        found[f"{_GENERAL}/operatorInformation/emailAddress"] = {"name": "email", "value": operator_email}
    return found


@dataclass(frozen=True, slots=True)
class Filled:
    """How much of a passport there is: of the fields that the model requires, in this tier."""

    filled: int
    unknown: int
    withheld: int

    @property
    def required(self) -> int:
        return self.filled + self.unknown + self.withheld


def filled(document: Mapping[str, Any]) -> Filled:
    """Count the required fields of a document."""
    kinds = [document["absent"].get(field.path, {}).get("kind", "") for field in FIELDS if field.required]
    return Filled(kinds.count(""), kinds.count("unknown"), kinds.count("withheld"))
