"""A passport in words for people: one row a field, by part. Pure; the PDF and the pages share it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bms_bridge.passport.fields import FIELDS, Field, Kind, at
from bms_bridge.passport.tiers import Tier

HEADINGS: Final[Mapping[str, str]] = {
    "GeneralProductInformation": "The battery",
    "Performance": "Performance and durability",
    "MaterialComposition": "Materials",
    "CarbonFootprint": "Carbon footprint",
    "Circularity": "Circularity",
    "Labels": "Labels and conformity",
}
"""Part -> what people read, in their order."""

TIERS: Final[Mapping[Tier, str]] = {
    Tier.PUBLIC: "everybody",
    Tier.LEGITIMATE_INTEREST: "persons with a legitimate interest",
    Tier.AUTHORITY: "notified bodies and authorities",
    Tier.REPURPOSER: "who repurposes the battery",
    Tier.OWNER: "the owner: everything",
}

_FIXED: Final = {
    "batteryTechicalProperties": "technical properties",
    "remainingEnergyalue": "value",
    "rPCLastUpdated": "last update",
    "warrentyPeriod": "warranty",
    "roundTripEfficiencyat50PerCentCycleLife": "round trip efficiency at half of cycle life",
}
_SHOWN_MEMBERS = 12
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:[\d.]+Z")
_RECORD: Final = {
    "first_at": "First heard of",
    "last_at": "Last heard of",
    "seen_h": "Hours seen",
    "unseen_h": "Hours not seen",
    "hours_by_temperature_c": "Hours by temperature, °C",
    "charging_hours_by_temperature_c": "Hours of charging by temperature, °C",
    "hours_by_soc": "Hours by state of charge",
    "charging_hours_by_c_rate": "Hours of charging by rate, C",
    "discharging_hours_by_c_rate": "Hours of discharging by rate, C",
    "hottest_c": "Hottest, °C",
    "coldest_c": "Coldest, °C",
    "thermal_events": "Times above a temperature, °C",
    "least_insulation_ohm": "Least insulation, Ω",
    "balanced": "Balanced",
}
"""The record's names -> what people read."""


@dataclass(frozen=True, slots=True)
class Row:
    """``name``: of the field, for people; ``text``: its value with the unit; ``source``: where it is from; ``absent``: unknown or withheld,
    "" for a value; ``reason``: why."""

    name: str
    text: str
    source: str
    absent: str
    reason: str


def tier_words(document: Mapping[str, Any]) -> str:
    """Who the document is for."""
    try:
        return TIERS[Tier(str(document["tier"]))]
    except ValueError:
        return str(document["tier"])[:40]


def rows_of(document: Mapping[str, Any], part: str) -> list[Row]:
    """The fields of a part; times of updates stand beside their values and have no row of their own."""
    rows: list[Row] = []
    for field in FIELDS:
        if not field.path.startswith(f"/{part}/") or field.name == "lastUpdate":
            continue
        absent = document["absent"].get(field.path)
        value = at(document["aspects"], field.path)
        if absent is None and value is None:
            continue
        detail = document["details"].get(field.path)
        if absent is not None:
            reason = str(absent["reason"])
            if detail is not None:
                reason += f" ({str(detail['name']).replace('_', ' ')}: {detail['value']})"
            rows.append(Row(words_of(field), "", "", str(absent["kind"]), reason))
            continue
        rows.append(Row(words_of(field), _text(field, value), _source(document["provenance"].get(field.path, {})), "", ""))
    return rows


def assessment_rows(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The depot's own assessment, (what, words); empty where the document has none."""
    own = document.get("assessment") or {}
    rows: list[tuple[str, str]] = []
    health, grade = own.get("state_of_health"), own.get("grade")
    if health:
        band = f", {health.get('level', 0.9):.0%} interval {health['low']:.1%} to {health['high']:.1%}" if "low" in health else ""
        rows.append(("State of health", f"{health['soh']:.1%}{band}; {health['method']}, {_plain(health['at'])}"))
    if grade:
        rows.append(("Grade", f"{grade['band']}; {grade['method']}, {_plain(grade['at'])}"))
    for part in sorted(own.get("modules") or (), key=lambda one: _in_order(str(one["name"]))):
        rows.append((str(part["name"]).capitalize(), f"gives {part['low']:.1%} to {part['high']:.1%}; {part['grade']}"))
    for one in own.get("beside_health") or ():
        rows.append((str(one["name"]).capitalize(), _beside(one)))
    for name, value in (own.get("record_of_life") or {}).items():
        words = _plain(value) if value is not None and name != "months" else ""
        if words:
            rows.append((_RECORD.get(name, name.replace("_", " ").capitalize()), words))
    return rows


def _in_order(name: str) -> tuple[str | int, ...]:
    """``module 2`` before ``module 10``."""
    return tuple(int(part) if k % 2 else part for k, part in enumerate(re.split(r"(\d{1,9})", name)))


def _beside(one: Mapping[str, Any]) -> str:
    if "value" not in one:
        return f"not known: {one.get('why_not', '')}"
    scale, unit = (100.0, " % a month") if one["name"] == "self-discharge" else (1.0, " times")
    low, high = (f"{scale * one[name]:.3g}" for name in ("low", "high"))
    return f"{scale * one['value']:.3g}{unit} ({low} to {high}); {one.get('how', '')}"


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {_plain(inner)}" for name, inner in value.items() if inner)
    if isinstance(value, list):
        return "; ".join(_plain(one) for one in value[-_SHOWN_MEMBERS:])
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.3g}"
    words = str(value)
    return f"{words[:16].replace('T', ' ')} UTC" if _MOMENT.fullmatch(words) else words


def words_of(field: Field) -> str:
    """``/Performance/batteryTechicalProperties/ratedEnergy`` -> ``Rated energy``; an inner name with that of its object before it."""
    steps = field.path.split("/")[2:]
    if steps[0] in ("batteryTechicalProperties", "batteryCondition"):
        steps = steps[1:]
    if len(steps) > 1 and steps[-1].lower().startswith(steps[0].lower()[:12]):
        steps = steps[:1]
    steps = [step for step in steps if step != "postalAddress"]
    words = ", ".join(dict.fromkeys(_split(step) for step in steps))
    words = words.removesuffix(", value")
    return words[:1].upper() + words[1:]


def _split(name: str) -> str:
    if name in _FIXED:
        return _FIXED[name]
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name.replace("SoC", "Soc").replace("URL", "Url"))
    return words.lower().removesuffix(" entity value").removesuffix(" entity")


def _text(field: Field, value: Any) -> str:
    if field.kind is Kind.NUMBER:
        unit = field.unit.replace("degC", "°C").replace("ohm", "Ω")
        return f"{value:,.6g} {unit}".strip() if isinstance(value, float) else f"{value:,} {unit}".strip()
    if field.kind is Kind.TIME:
        return str(value).replace("T00:00:00Z", "")
    if field.kind is Kind.TEXTS:
        return ", ".join(map(str, value)) or "none"
    if field.kind is Kind.LIST:
        shown = [_member(field, member) for member in value[:_SHOWN_MEMBERS]]
        more = len(value) - len(shown)
        return "; ".join(shown) + (f"; and {more} more" if more > 0 else "") if shown else "none"
    return str(value)


def _member(field: Field, member: Mapping[str, Any]) -> str:
    parts = []
    for item in field.items:
        value = at(member, item.path)
        if value is None or value == [] or item.name == "componentId":
            continue
        if item.kind is Kind.TRUTH:
            parts += [_split(item.name).removeprefix("is ")] if value else []
        elif item.kind is Kind.WORDS:
            parts.append(str(next(iter(value.values()), "")))
        elif item.kind is Kind.CHOICE:
            parts.append(_split(value))
        else:
            parts.append(_text(item, value))
    return ", ".join(part for part in parts if part)


def _source(told: Mapping[str, str]) -> str:
    if not told:
        return ""
    words = [told["what"], told.get("method", ""), told["at"][:16].replace("T", " ") if told.get("at") else ""]
    return ", ".join(word for word in words if word)
