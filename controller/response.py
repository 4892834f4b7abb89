"""What is done about a tripped battery, by the cause of its trip. Pure: one table.

    (cause, evidence) --response_of()--> Response;  several causes at one pack: together()

Every cause stops charging at the pack's connector and puts it out of service; the connector's 0 W and what follows from an order
that is not confirmed are the same for all. Over-temperature keeps the bay's contactor closed: what cools the bus may hang on it, and
a pack that is hot because it was charged cools when charging ends. Isolation is for a runaway, smoke, gas, pressure, an insulation
fault and a State of Safety below its limit; for a pack at :data:`ISOLATE_C` or more, whatever it tripped for; and for a charger that
goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from bms_bridge.verdicts import Cause
from depot.outputs import OutputKind

HOTTER: Final = "hotter"
"""What is found at a tripped pack that reaches :data:`ISOLATE_C`."""

MOST_C: Final = 200.0
"""°C beyond which a value is a code for "not available" (:mod:`bms_bridge.validation`)."""

ISOLATE_C: Final = 80.0
"""°C from which a tripped pack is isolated and warned of whatever it tripped for: the SEI begins to decompose in earnest (a proposal)."""


class Class(StrEnum):
    """How grave a cause is; each contains the ones before it."""

    STOP = "stop"
    HEAT = "heat"
    ISOLATE = "isolate"
    FIRE = "fire"


_RANK: Final = {grade: rank for rank, grade in enumerate(Class)}


@dataclass(frozen=True, slots=True)
class Response:
    """``moves``: outputs that go to their emergency state beside contactors. ``isolates``: the bay is cut. ``neighbours``: bays beside
    it stop charging. ``evacuates``: the site's people leave, roll-call."""

    grade: Class
    moves: frozenset[OutputKind] = frozenset()
    isolates: bool = False
    neighbours: bool = False
    evacuates: bool = False


_ALL: Final = frozenset(kind for kind in OutputKind if not kind.isolates)

RESPONSES: Final[Mapping[Class, Response]] = {
    Class.STOP: Response(Class.STOP),
    Class.HEAT: Response(Class.HEAT, frozenset({OutputKind.VENTILATION, OutputKind.BEACON})),
    Class.ISOLATE: Response(Class.ISOLATE, _ALL, isolates=True),
    Class.FIRE: Response(Class.FIRE, _ALL, isolates=True, neighbours=True, evacuates=True),
}

UNKNOWN: Final = RESPONSES[Class.ISOLATE]
"""Of a cause that this version does not know, and of a record that cannot be read: isolated, but nobody is sent out for it."""

CLASSES: Final[Mapping[Cause, Class]] = {
    Cause.SENSORS_LOST: Class.STOP,
    Cause.OVER_TIME: Class.STOP,
    Cause.STOP_IGNORED: Class.STOP,
    Cause.CELL_OVER_VOLTAGE: Class.STOP,
    Cause.CELL_UNDER_VOLTAGE: Class.STOP,
    Cause.VOLTAGE_SPREAD: Class.STOP,
    Cause.OVER_CURRENT: Class.STOP,
    Cause.OVER_TEMPERATURE: Class.HEAT,
    Cause.TEMPERATURE_RISE: Class.HEAT,
    Cause.TEMPERATURE_SPREAD: Class.HEAT,
    Cause.VOLTAGE_COLLAPSE: Class.HEAT,
    Cause.CAMERA: Class.HEAT,
    Cause.INSULATION: Class.ISOLATE,
    Cause.DAMAGED_LATCH: Class.ISOLATE,
    Cause.RUNAWAY: Class.FIRE,
    Cause.SMOKE: Class.FIRE,
    Cause.GAS: Class.FIRE,
    Cause.PRESSURE: Class.FIRE,
    Cause.STATE_OF_SAFETY: Class.FIRE,
}
"""Causes that need no look at their evidence."""

ALARMS: Final[Mapping[str, Class]] = {
    "thermal_event": Class.FIRE,
    "smoke_or_gas": Class.FIRE,
    "short_circuit": Class.ISOLATE,
    "insulation_fault": Class.ISOLATE,
    "water_ingress": Class.ISOLATE,
    "over_temperature": Class.HEAT,
}
"""Alarms of a vehicle's own battery management; one that is not here stops charging."""


def response_of(cause: str, evidence: Mapping[str, str]) -> Response:
    """What is done about a trip. A cause that this version does not know is isolated."""
    return RESPONSES[max((_class_of(cause, evidence), _by_heat(evidence)), key=_RANK.__getitem__)]


def worse_by(temperatures_c: Sequence[float | None], alarms: Sequence[str]) -> list[tuple[str, str]]:
    """What a sample of a pack that is tripped already adds: causes with their words. Numbers that no sensor gives are left out."""
    found = [(name, f"it raises {name}") for name in alarms if _RANK[ALARMS.get(name, Class.STOP)] >= _RANK[Class.ISOLATE]]
    hottest_c = max((c for c in temperatures_c if c is not None and c <= MOST_C), default=0.0)
    if hottest_c >= ISOLATE_C:
        found.append((HOTTER, f"{hottest_c:g} °C, at {ISOLATE_C:g} °C or more it is isolated"))
    return found


def together(responses: Iterable[Response]) -> Response:
    """The gravest of them."""
    return max(responses, key=lambda response: _RANK[response.grade], default=RESPONSES[Class.STOP])


def graver(one: Response, other: Response) -> bool:
    """Whether ``one`` asks for more than ``other``."""
    return _RANK[one.grade] > _RANK[other.grade]


def _class_of(cause: str, evidence: Mapping[str, str]) -> Class:
    if cause == Cause.JOURNAL and evidence.get("journal") not in (None, cause):
        return _class_of(evidence["journal"], {})
    if cause in ALARMS:
        return ALARMS[cause]
    if cause == Cause.BMS_ALARM:
        raised = [name.strip() for name in evidence.get("alarms", "").split(",")]
        return max((ALARMS.get(name, Class.STOP) for name in raised), key=_RANK.__getitem__)
    known = next((known for known in Cause if known == cause), None)
    return CLASSES.get(known, Class.ISOLATE) if known is not None else Class.ISOLATE


def _by_heat(evidence: Mapping[str, str]) -> Class:
    try:
        hottest_c = float(evidence.get("hottest_c", "nan"))
    except ValueError:
        return Class.STOP
    return Class.ISOLATE if hottest_c >= ISOLATE_C else Class.STOP


def describe() -> str:
    """The table as Markdown."""
    causes: dict[Class, list[str]] = {grade: [] for grade in Class}
    for cause, grade in CLASSES.items():
        causes[grade].append(f"`{cause.value}`")
    for alarm, grade in ALARMS.items():
        causes[grade].append(f"alarm `{alarm}`")
    lines = ["| class | causes | air, beacon, siren | bay isolated | neighbours stop | evacuation |", "|---|---|---|---|---|---|"]
    for grade, response in RESPONSES.items():
        moves = ", ".join(sorted(kind.value for kind in response.moves)) or "none"
        said = ("yes" if flag else "no" for flag in (response.isolates, response.neighbours, response.evacuates))
        rest = ", any other alarm that trips" if grade is Class.STOP else ""
        lines.append(f"| {grade} | {', '.join(causes[grade])}{rest} | {moves} | {' | '.join(said)} |")
    return "\n".join(lines) + "\n"
