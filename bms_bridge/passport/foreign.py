"""A passport from elsewhere, read as hostile input: bounded in size, depth and count, each name once, finite numbers. Pure.

    bytes --read()--> Foreign: a sealed passport of a depot, the six parts in one object, or one part alone

UTF-8 is expected; UTF-16 with its mark is read too, for the model's own files are written so.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bms_bridge.passport import PassportRefused, SealBroken
from bms_bridge.passport.assemble import SCHEMA
from bms_bridge.passport.fields import ASPECTS, FIELDS
from bms_bridge.passport.seal import Seal, verified

MOST_BYTES: Final = 512 * 1024
MOST_DEPTH: Final = 24
MOST_VALUES: Final = 20_000
MOST_TEXT: Final = 8_000
_MOST_DIGITS: Final = 400


@dataclass(frozen=True, slots=True)
class Foreign:
    """What was read. ``parts``: of the model that are in it. ``seal``: whose signature fits, None without one; ``broken``: what is wrong
    with it, "" for nothing. ``document``: all of it."""

    sha256: str
    aspects: Mapping[str, Any]
    absent: Mapping[str, Any]
    parts: Sequence[str]
    seal: Seal | None
    broken: str
    document: Mapping[str, Any]

    @property
    def whole(self) -> bool:
        """Whether all six parts are there."""
        return set(self.parts) == set(ASPECTS)


def read(data: bytes, *, fingerprint: str = "") -> Foreign:
    """Read a passport. ``fingerprint``: of the key that must have signed it. Raises :class:`~bms_bridge.passport.PassportRefused`."""
    if len(data) > MOST_BYTES:
        raise PassportRefused(f"it has {len(data):,} bytes; a passport has at most {MOST_BYTES:,}")
    document = parsed(data)
    aspects, absent = aspects_of(document)
    seal, broken = None, ""
    if "signature" in document or fingerprint:
        try:
            seal = verified(document, fingerprint=fingerprint)
        except SealBroken as error:
            broken = str(error)
    parts = [name for name in ASPECTS if isinstance(aspects.get(name), Mapping)]
    return Foreign(hashlib.sha256(data).hexdigest(), aspects, absent, parts, seal, broken, document)


def parsed(data: bytes) -> dict[str, Any]:
    """The JSON object in ``data``. Raises :class:`~bms_bridge.passport.PassportRefused`."""
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        found = json.loads(data.decode(encoding), object_pairs_hook=_once, parse_constant=_no_constant, parse_int=_whole)
    except UnicodeDecodeError:
        raise PassportRefused("it is no text (UTF-8): send the JSON file itself") from None
    except RecursionError:
        raise PassportRefused(f"it is nested deeper than {MOST_DEPTH} levels") from None
    except ValueError as error:
        raise PassportRefused(f"it is no JSON ({str(error)[:120]})") from None
    if not isinstance(found, dict):
        raise PassportRefused("it is JSON, but no object: a passport begins with {")
    _bounded(found)
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise PassportRefused("a name stands twice in one object: nobody could say which of them counts")
    return found


def _no_constant(name: str) -> Any:
    raise PassportRefused(f"{name} is no number in JSON")


def _whole(digits: str) -> int | float:
    if len(digits) > _MOST_DIGITS:
        raise PassportRefused(f"a number of {len(digits)} digits")
    return int(digits) if len(digits) <= 18 else float(digits)


def _bounded(document: Mapping[str, Any]) -> None:
    """Raises for what is too deep, too many, too long, or infinite."""
    waiting: list[tuple[Any, int]] = [(document, 1)]
    count = 0
    while waiting:
        value, depth = waiting.pop()
        count += 1
        if depth > MOST_DEPTH:
            raise PassportRefused(f"it is nested deeper than {MOST_DEPTH} levels")
        if count > MOST_VALUES:
            raise PassportRefused(f"it has more than {MOST_VALUES:,} values")
        if isinstance(value, str):
            _check_text(value)
        elif isinstance(value, float) and not math.isfinite(value):
            raise PassportRefused("a number in it is too large for any computer")
        elif isinstance(value, dict):
            for name, inner in value.items():
                _check_text(name)
                waiting.append((inner, depth + 1))
        elif isinstance(value, list):
            waiting += [(inner, depth + 1) for inner in value]


def _check_text(text: str) -> None:
    if len(text) > MOST_TEXT:
        raise PassportRefused(f"a text of {len(text):,} characters; at most {MOST_TEXT:,}")
    if any(ord(letter) < 32 and letter not in "\t\n\r" for letter in text):
        raise PassportRefused("a text holds control characters")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise PassportRefused("a text holds half of a character") from None


def aspects_of(document: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Its parts by name, and the places in them that hold no value. Raises :class:`~bms_bridge.passport.PassportRefused`."""
    if "schema" in document and "aspects" in document:
        if document["schema"] != SCHEMA:
            raise PassportRefused(f"schema {str(document['schema'])[:40]!r} is not known here; this version reads {SCHEMA}")
        aspects, absent = document["aspects"], document.get("absent", {})
        if not isinstance(aspects, Mapping) or not isinstance(absent, Mapping):
            raise PassportRefused("its `aspects` or `absent` is no object")
        for told in absent.values():
            if not isinstance(told, Mapping) or not all(isinstance(told.get(name), str) for name in ("kind", "reason")):
                raise PassportRefused("a place in its `absent` has no kind and reason")
        _check_parts(aspects)
        return aspects, absent
    if any(name in document for name in ASPECTS):
        _check_parts(document)
        return document, {}
    for name in ASPECTS:
        wanted = {one.path.split("/")[2] for one in FIELDS if one.required and one.path.startswith(f"/{name}/")}
        if len(wanted & document.keys()) * 2 > len(wanted):
            return {name: document}, {}
    raise PassportRefused(f"it holds none of the model's parts ({', '.join(ASPECTS)})")


def _check_parts(aspects: Mapping[str, Any]) -> None:
    if not any(isinstance(aspects.get(name), Mapping) for name in ASPECTS):
        raise PassportRefused(f"it holds none of the model's parts ({', '.join(ASPECTS)})")
