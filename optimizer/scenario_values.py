"""Values of a scenario file, read strictly: each is what its place asks for, or :class:`InvalidScenario` says what it is instead.

Objects are read by the fields of the dataclass that they become: what a ``float`` is, an array per slot, a list of milestones.
References (a feeder, the vehicles of a cap) stand in a file by id, or by their place counted from 0.
"""

from __future__ import annotations

import difflib
import math
import reprlib
import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np

from optimizer.errors import InvalidScenario

_LIKE = 0.8
"""How alike an unknown key and a known one must be to be taken for a slip."""

MOST_WHOLE = 2**53
"""Beyond it floats, which JSON numbers are, skip whole numbers."""

_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = 40
_repr.maxdict = _repr.maxlist = _repr.maxlevel = 3


@dataclass(frozen=True, slots=True)
class Frame:
    """What the values of one file refer to: number of slots, places of feeders, vehicles and batteries by id."""

    n_slots: int
    feeders: Mapping[str, int]
    vehicles: Mapping[str, int]
    storages: Mapping[str, int]


@cache
def hints(cls: type) -> dict[str, Any]:
    """Type of each field of a dataclass, in its order."""
    found = get_type_hints(cls)
    return {one.name: found[one.name] for one in fields(cls)}


@cache
def required(cls: type) -> tuple[str, ...]:
    """Fields without a default."""
    return tuple(one.name for one in fields(cls) if one.default is MISSING and one.default_factory is MISSING)


def keyed(value: object, where: str, *, needed: Sequence[str], known: Sequence[str]) -> Mapping[str, Any]:
    """A JSON object with the ``needed`` keys. Others than the ``known`` are ignored (files carry notes), but not those that look like
    a known one misspelt."""
    if not isinstance(value, Mapping):
        raise InvalidScenario(f"{where}: a JSON object is expected, this is {shown(value)}")
    strangers = [str(key) for key in value if key not in known]
    for key in strangers:
        near = [name for name in difflib.get_close_matches(key[:80], known, n=1, cutoff=_LIKE) if name not in value]
        if near:
            raise InvalidScenario(f"{where}: the key {shown(key)} is not known; {near[0]!r} is probably meant")
    for key in needed:
        if key not in value:
            others = f" (it has {', '.join(shown(stranger) for stranger in strangers[:5])})" if strangers else ""
            raise InvalidScenario(f"{where}: the key {key!r} is missing{others}")
    return value


def listed(value: object, where: str) -> Sequence[Any]:
    """A list."""
    if not isinstance(value, list | tuple):
        raise InvalidScenario(f"{where}: a list is expected, this is {shown(value)}")
    return value


def text(value: object, where: str) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value:
        raise InvalidScenario(f"{where}: a text is expected, this is {shown(value)}")
    return value


def number(value: object, where: str) -> float:
    """A finite number; true and "4" are none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not _finite(value):
        raise InvalidScenario(f"{where}: a finite number is expected, this is {shown(value)}")
    return float(value)


def whole(value: object, where: str) -> int:
    """A whole number, also written 4.0."""
    found = number(value, where)
    if abs(found) > MOST_WHOLE or found != int(found):
        raise InvalidScenario(f"{where}: a whole number is expected, this is {shown(value)}")
    return int(found)


def numbers(value: object, where: str, n_slots: int) -> list[float]:
    """A list of a number for each slot."""
    entries = listed(value, where)
    if len(entries) != n_slots:
        raise InvalidScenario(f"{where}: {len(entries)} numbers, expected one for each of the {n_slots} slots")
    return [number(entry, f"{where}[{k}]") for k, entry in enumerate(entries)]


def level(value: object, where: str, n_slots: int) -> np.ndarray:
    """[slot] one number for all slots, or one for each."""
    return np.array(numbers(value, where, n_slots)) if isinstance(value, list | tuple) else np.full(n_slots, number(value, where))


def time(value: object, where: str) -> datetime:
    """A time; without an offset it is taken as it stands."""
    try:
        at = datetime.fromisoformat(text(value, where))
    except ValueError:
        raise InvalidScenario(f"{where}: {shown(value)} is no time; write 2026-01-12T12:00:00") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def of_fields(cls: type, content: Mapping[str, Any], where: str, frame: Frame, *, skip: Sequence[str] = ()) -> dict[str, Any]:
    """What ``content`` says of the fields of ``cls``, each as its type asks for. ``where`` ends so that a key can follow it."""
    return {
        name: of_type(hint, content[name], f"{where}{name}", frame, name=name)
        for name, hint in hints(cls).items()
        if name in content and name not in skip
    }


def of_type(hint: Any, value: object, where: str, frame: Frame, *, name: str = "") -> Any:
    """A value as its type asks for; ``name``: of the field that it is, some of which are references."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (types.UnionType, Union):
        if value is None and type(None) in inner:
            return None
        return of_type(next(one for one in inner if one is not type(None)), value, where, frame, name=name)
    if origin is np.ndarray:
        return _array(value, where, frame)
    if origin is tuple:
        return _tuple(inner, listed(value, where), where, frame)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _by_id(value, where, *((frame.storages, "a battery") if name == "storages" else (frame.vehicles, "a vehicle")))
    if isinstance(hint, type) and is_dataclass(hint):
        return _object(hint, value, where, frame)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _choice(hint, value, where)
    if name in ("feeder", "parent"):
        return _place(value, where, frame.feeders, "a feeder")
    leaves = {float: number, int: whole, str: text if name == "id" else _any_text, bool: _flag, datetime: time}
    return leaves[hint](value, where)


def shown(value: object) -> str:
    """A value for a message, short whatever it is."""
    try:
        out = repr(value) if isinstance(value, int | float) else _repr.repr(value)
    except (ValueError, RecursionError):  # whole numbers of thousands of digits
        out = f"a value of type {type(value).__name__}"
    return out if len(out) <= 40 else f"{out[:37]}…"


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number that is larger than any float
        return False


def _array(value: object, where: str, frame: Frame) -> np.ndarray:
    if isinstance(value, list | tuple) and value and isinstance(value[0], list | tuple):
        rows = [_array(row, f"{where}[{n}]", frame) for n, row in enumerate(value)]
        if len({row.shape for row in rows}) > 1:
            raise InvalidScenario(f"{where}: its lists are of different lengths")
        return np.array(rows)
    if isinstance(value, list | tuple):
        return np.array([number(entry, f"{where}[{k}]") for k, entry in enumerate(value)])
    return np.full(frame.n_slots, number(value, where))


def _tuple(inner: tuple[Any, ...], entries: Sequence[Any], where: str, frame: Frame) -> tuple[Any, ...]:
    if len(inner) == 2 and inner[1] is Ellipsis:
        return tuple(of_type(inner[0], entry, f"{where}[{n}]", frame) for n, entry in enumerate(entries))
    if len(entries) != len(inner):
        raise InvalidScenario(f"{where}: {len(inner)} values are expected, these are {len(entries)}")
    return tuple(of_type(one, entry, f"{where}[{n}]", frame) for n, (one, entry) in enumerate(zip(inner, entries, strict=True)))


def _object(cls: type, value: object, where: str, frame: Frame) -> Any:
    content = keyed(value, where, needed=required(cls), known=tuple(hints(cls)))
    return cls(**of_fields(cls, content, f"{where}.", frame))


def _by_id(value: object, where: str, places: Mapping[str, int], kind: str) -> dict[int, float]:
    if not isinstance(value, Mapping):
        raise InvalidScenario(f"{where}: an object of ids and numbers is expected, this is {shown(value)}")
    return {_place(key, where, places, kind): number(one, f"{where}[{shown(key)}]") for key, one in value.items()}


def _place(value: object, where: str, places: Mapping[str, int], kind: str) -> int:
    if isinstance(value, str):
        if value not in places:
            raise InvalidScenario(f"{where}: {shown(value)} stands nowhere in the file as id of {kind}")
        return places[value]
    return whole(value, where)


def _choice(cls: type[Enum], value: object, where: str) -> Enum:
    allowed = [str(one.value) for one in cls]
    if not isinstance(value, str) or value not in allowed:
        raise InvalidScenario(f"{where}: one of {', '.join(allowed)} is expected, this is {shown(value)}")
    return cls(value)


def _any_text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise InvalidScenario(f"{where}: a text is expected, this is {shown(value)}")
    return value


def _flag(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise InvalidScenario(f"{where}: true or false is expected, this is {shown(value)}")
    return value
