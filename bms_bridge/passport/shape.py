"""Whether a passport has the fields of the data model, of the kinds that it wants. Pure.

What the six schemas of the model refuse is refused here, too (a test compares where they are at hand); here times and addresses are
looked at as well, which a JSON schema names and does not check.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from bms_bridge.passport.fields import ASPECTS, Field, Kind, as_number, every

_TIME: Final = re.compile(
    r"([1-9]\d{3,}|0\d{3})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?(Z|[+-](0\d|1[0-4]):[0-5]\d)?"
)
_PATTERNS: Final[Mapping[Kind, re.Pattern[str]]] = {
    Kind.URI: re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`]+"),
    Kind.TIME: _TIME,
    Kind.EMAIL: re.compile(r"[\w.-]+@[\w.-]+\.[A-Za-z]{2,}"),
    Kind.LETTERS: re.compile(r"[w.-]+@[w.-]+.[A-Za-z]{2,}"),
    Kind.CAS: re.compile(r"\d{2,7}-\d{2}-\d"),
    Kind.URN: re.compile(r"urn:[a-z0-9]+:[a-z0-9]+"),
    Kind.MONTH: re.compile(r"--(0[1-9]|1[0-2])(Z|[+-](0\d|1[0-4]):[0-5]\d)?"),
}
_WANTED: Final[Mapping[Kind, str]] = {
    Kind.URI: "an address with its scheme, such as https://maker.example/manual.pdf",
    Kind.TIME: "a time such as 2026-11-22T18:30:00Z",
    Kind.EMAIL: "an e-mail address",
    Kind.LETTERS: "what the model's own pattern takes (no real e-mail address does)",
    Kind.CAS: "a CAS number such as 7439-93-2, without blanks",
    Kind.URN: "urn:…:… in small letters and digits",
    Kind.MONTH: "a month such as --06",
}
_SHOWN = 60


def complaints(aspects: Mapping[str, Any], parts: Iterable[str] = ASPECTS) -> list[str]:
    """What is missing or of the wrong kind, ``path: words``; empty where the passport has the model's shape. ``parts``: the parts that
    must be there."""
    wanted = tuple(parts)
    found = [f"/{name}: this part is missing" for name in wanted if not isinstance(aspects.get(name), Mapping)]
    missing = {name for name in ASPECTS if not isinstance(aspects.get(name), Mapping)}
    for field, path, value in every(aspects):
        if path.split("/")[1] in missing:
            continue
        if value is None:
            if field.required:
                found.append(f"{path}: is missing")
            continue
        words = wrong(field, value)
        if words:
            found.append(f"{path}: {words}")
    return found


def _shown(value: Any) -> str:
    """The beginning of a value; a whole number may be too long even to be written down."""
    return repr(value)[:_SHOWN] if not isinstance(value, int) or abs(value) < 10**30 else "a number beyond all bounds"


def wrong(field: Field, value: Any) -> str:
    """What is wrong with a value; "" for nothing."""
    kind, shown = field.kind, _shown(value)
    if kind is Kind.NUMBER:
        number = as_number(value)
        if number is None:
            return f"{shown} is no number"
        if field.strict and field.low is not None and field.high is not None and not field.low <= number <= field.high:
            return f"{shown} is not within {field.low:g} and {field.high:g} {field.unit}"
        return ""
    if kind is Kind.TRUTH:
        return "" if isinstance(value, bool) else f"{shown} is neither true nor false"
    if kind is Kind.WORDS:
        return "" if isinstance(value, Mapping) and all(isinstance(v, str) for v in value.values()) else f"{shown} is no text by language"
    if kind is Kind.LIST:
        return "" if isinstance(value, list) and all(isinstance(one, Mapping) for one in value) else f"{shown} is no list of objects"
    if kind is Kind.TEXTS:
        return "" if isinstance(value, list) and all(isinstance(one, str) for one in value) else f"{shown} is no list of texts"
    if not isinstance(value, str):
        return f"{shown} is no text"
    if kind is Kind.CHOICE:
        return "" if value in field.choices else f"{shown} is none of {', '.join(field.choices)}"
    pattern = _PATTERNS.get(kind)
    return "" if pattern is None or pattern.fullmatch(value) else f"{shown} is not {_WANTED[kind]}"
