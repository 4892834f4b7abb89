"""Wanted values of device-model variables, and how far a station is from them: drift. Pure.

    wanted for the depot < for a model < for one station < what the depot itself needs of every station
                          --compare with what the station said last--> same, differs, waiting, missing, unread, hidden

A variable that only the depot needs and that a station does not have is no drift: nothing can be set there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from depot.device_model import Characteristics, Variable
from depot.values import InvalidValue

MOST_WANTED = 500
"""Wanted values of one scope and name."""


class WantedScope(StrEnum):
    """For whom a value is wanted: the whole depot, all stations of a model (``vendor/model``), or one station."""

    DEPOT = "depot"
    MODEL = "model"
    STATION = "station"


@dataclass(frozen=True, slots=True)
class WantedVariable:
    """The value that a variable's Actual shall have."""

    variable: Variable
    value: str


Wanted = Mapping[str, Mapping[str, WantedVariable]]
"""By :func:`scope_key`, then by the variable's key."""


class Standing(StrEnum):
    """How a station stands to a wanted value. ``waiting``: it has taken it, for after its next boot. ``missing``: it has no such
    variable; ``unread``: it was never asked for all that it has. ``hidden``: it tells no value, so nobody can compare."""

    SAME = "same"
    DIFFERS = "differs"
    WAITING = "waiting"
    MISSING = "missing"
    UNREAD = "unread"
    HIDDEN = "hidden"


@dataclass(frozen=True, slots=True)
class Wish:
    """A wanted value and who wants it: ``controller``, ``station``, ``model`` or ``depot``."""

    variable: Variable
    value: str
    source: str


@dataclass(frozen=True, slots=True)
class Known:
    """What a station said of a variable last. ``value`` None: it has the variable and told no value."""

    value: str | None
    waiting: str | None = None
    characteristics: Characteristics | None = None
    writable: bool = True


@dataclass(frozen=True, slots=True)
class Drift:
    """One wish and how the station stands to it."""

    wish: Wish
    standing: Standing
    actual: str | None
    writable: bool


def scope_key(scope: WantedScope, name: str) -> str:
    """Raises :class:`InvalidValue` for a name that the scope cannot have."""
    if (scope is WantedScope.DEPOT) != (not name):
        raise InvalidValue("a value wanted for the whole depot has no name; one for a model or a station has one")
    return f"{scope.value}:{name.casefold()}"


def changed(known: Wanted, key: str, wanted: Sequence[WantedVariable], removed: Sequence[Variable]) -> Wanted:
    """``known`` with these added or replaced, and those gone."""
    here = dict(known.get(key, {}))
    for variable in removed:
        here.pop(variable.key, None)
    here |= {one.variable.key: one for one in wanted}
    others = {name: values for name, values in known.items() if name != key}
    return {**others, key: here} if here else others


def wishes(known: Wanted, station_id: str, machine: str, needs: Mapping[Variable, str]) -> dict[str, Wish]:
    """All that is wanted of a station, by the variable's key. ``machine``: its ``vendor/model``."""
    found: dict[str, Wish] = {}
    for scope, name in ((WantedScope.DEPOT, ""), (WantedScope.MODEL, machine), (WantedScope.STATION, station_id)):
        values = known.get(f"{scope.value}:{name.casefold()}", {})
        found |= {key: Wish(one.variable, one.value, scope.value) for key, one in values.items()}
    return found | {variable.key: Wish(variable, value, "controller") for variable, value in needs.items()}


def drift(wanted: Mapping[str, Wish], known: Mapping[str, Known], *, whole: bool) -> list[Drift]:
    """How a station stands to each wish, by the variable's name; the depot's own where it has the variable. ``whole``: all
    that it has is known."""
    found = []
    for key, wish in sorted(wanted.items(), key=lambda entry: str(entry[1].variable).lower()):
        said = known.get(key)
        if said is None:
            if wish.source != "controller":
                found.append(Drift(wish, Standing.MISSING if whole else Standing.UNREAD, None, writable=False))
            continue
        found.append(Drift(wish, _standing(wish.value, said), said.value, writable=said.writable))
    return found


def _standing(wanted: str, said: Known) -> Standing:
    kind = None if said.characteristics is None else said.characteristics.data_type
    if said.waiting is not None and same(wanted, said.waiting, kind):
        return Standing.WAITING
    if said.value is None:
        return Standing.HIDDEN
    return Standing.SAME if same(wanted, said.value, kind) else Standing.DIFFERS


def same(one: str, other: str, data_type: str | None) -> bool:
    """Whether two spellings mean the same value. ``data_type``: as the norm has it; None: not known."""
    one, other = one.strip(), other.strip()
    if one == other:
        return True
    if data_type in ("boolean", None) and {one.lower(), other.lower()} <= {"true", "false"}:
        return one.lower() == other.lower()
    if data_type in ("integer", "decimal", None):
        try:
            return float(one) == float(other)
        except ValueError:
            pass
    if data_type == "MemberList":
        return _members(one) == _members(other)
    return data_type == "SequenceList" and [part.strip() for part in one.split(",")] == [part.strip() for part in other.split(",")]


def _members(text: str) -> set[str]:
    return {part.strip() for part in text.split(",") if part.strip()}


def why_not(value: str, characteristics: Characteristics) -> str:
    """Why a variable cannot have this value, by what the station says of it; "" where nothing speaks against it."""
    kind, low, high = characteristics.data_type, characteristics.min_limit, characteristics.max_limit
    if kind == "boolean" and value.strip().lower() not in ("true", "false"):
        return "true or false"
    if kind in ("integer", "decimal"):
        try:
            number = float(value)
        except ValueError:
            return "a number"
        if kind == "integer" and not value.strip().lstrip("+-").isdecimal():
            return "a whole number"
        if (low is not None and number < low) or (high is not None and number > high):
            return f"a number from {'any' if low is None else f'{low:g}'} to {'any' if high is None else f'{high:g}'}"
    if kind == "OptionList" and characteristics.values and value.strip() not in characteristics.values:
        return f"one of {', '.join(characteristics.values)}"
    if kind in ("MemberList", "SequenceList") and characteristics.values and not _members(value) <= set(characteristics.values):
        return f"some of {', '.join(characteristics.values)}"
    if kind == "string" and high is not None and len(value) > high:
        return f"at most {high:g} characters"
    return ""
