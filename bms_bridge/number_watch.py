"""Numbers of a pack as a whole: outside what can be, in another unit, a state of charge that jumps, a current that the charger's
power contradicts. Pure.

A value that cannot be is left out. One that can be, but comes from a sender whose others look like another unit, is left out as
well: a sender of percent says 0.9 when the battery is empty. So is a current that for a minute has had the wrong sign or a
wrong power of ten, by what the charger delivers. Temperatures and cells are never left out for such a reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from msgspec import Struct

from bms_bridge.charging import Charging
from bms_bridge.contract import PackSample
from bms_bridge.issues import Issue, IssueKind
from bms_bridge.units import looks_like

RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "soc": (0.0, 1.0),
    "soh": (0.0, 1.2),
    "current_a": (-3000.0, 3000.0),
    "voltage_v": (0.0, 1500.0),
    "cell_min_v": (0.0, 5.0),
    "cell_max_v": (0.0, 5.0),
    "insulation_ohm": (0.0, 1e9),
    "limit_a": (0.0, 3000.0),
    "limit_v": (0.0, 1500.0),
}
"""What each number can be, both ends included."""

FOREIGN: Final = 3
FORGIVEN: Final = 50
"""After so many values that look like another unit, the others are not believed either; after so many that do not, they are."""

JUMP: Final = 0.02
JUMP_PER_S: Final = 6 / 3600
"""A state of charge moves by no more than this, and this much a second (a rate of 6C)."""

JUMP_WITHIN_S: Final = 600.0
CHARGING_W: Final = 5000.0
AGAINST_S: Final = 60.0
AGAINST_LOOKS: Final = 5
"""The charger's power, where it is at least so much, must contradict the current for so long before that is left out."""

ASK_S: Final = 5.0

OHM_PER_V: Final = 100.0
"""Insulation below this is a fault (UN R100-03 has 100 Ω/V for DC), or a value in another unit."""

_STICKY = ("soc", "soh", "current_a", "voltage_v")


class NumberTrack(Struct, frozen=True):
    """What is remembered of a pack's numbers. ``foreign``: by field, how many values looked like another unit, and how many did
    not since. ``against``: how the current contradicts the charger, since when and in how many looks; ``asked_s``: the last one."""

    soc: float | None = None
    soc_s: float = 0.0
    foreign: Mapping[str, tuple[int, int]] = msgspec.field(default_factory=dict)
    against: tuple[str, float, int] | None = None
    asked_s: float = -math.inf


def watched(
    track: NumberTrack, sample: PackSample, *, now_s: float, charging: Callable[[], Charging | None], issues: list[Issue]
) -> tuple[NumberTrack, dict[str, float | None]]:
    """The track with one more sample, and its numbers as far as they are believed. ``charging``: the session that
    charges the pack now; asked for rarely."""
    foreign = track.foreign
    numbers: dict[str, float | None] = {}
    for name, (least, most) in RANGES.items():
        value: float | None = getattr(sample, name)
        if value is None or least <= value <= most:
            if value is not None and name in foreign:
                foreign, value = _doubted(foreign, name, value, issues)
            numbers[name] = value
            continue
        hint = looks_like(name, value)
        words = "a fraction, 1 is full" if name == "soc" else ""
        issues.append(Issue(IssueKind.RANGE, f"{name} is {value:g}; it can be {least:g} to {most:g}{words and f' ({words})'}{hint}", name))
        if hint and name in _STICKY:
            foreign = {**foreign, name: (foreign.get(name, (0, 0))[0] + 1, 0)}
        numbers[name] = None
    against, asked_s = track.against, track.asked_s
    if now_s - asked_s >= ASK_S and numbers["current_a"] is not None and numbers["voltage_v"]:
        session, asked_s = charging(), now_s
        metered_w = None if session is None else session.metered_w
        against = _against(against, numbers["current_a"] * numbers["voltage_v"], metered_w, now_s)
    if against is not None and against[2] >= AGAINST_LOOKS and now_s - against[1] >= AGAINST_S and numbers["current_a"] is not None:
        words = f"current_a is {numbers['current_a']:g}, against what the charger delivers: {against[0]}"
        issues.append(Issue(IssueKind.SIGN, words, "current_a"))
        numbers["current_a"] = None
    soc, soc_s = numbers["soc"], now_s
    if soc is None:
        soc, soc_s = track.soc, track.soc_s
    elif track.soc is not None and now_s - track.soc_s <= JUMP_WITHIN_S:
        allowed = JUMP + JUMP_PER_S * max(0.0, now_s - track.soc_s)
        if abs(soc - track.soc) > allowed:
            issues.append(
                Issue(IssueKind.JUMP, f"the state of charge went from {track.soc:.2f} to {soc:.2f} in {now_s - track.soc_s:.0f} s")
            )
    insulation_ohm, voltage_v = numbers["insulation_ohm"], numbers["voltage_v"]
    if insulation_ohm and voltage_v and insulation_ohm < OHM_PER_V * voltage_v:
        hint = looks_like("insulation_ohm", insulation_ohm)
        if hint:
            issues.append(Issue(IssueKind.UNIT, f"insulation_ohm is {insulation_ohm:g}: a fault, unless the unit is another one{hint}"))
    if soc is track.soc and soc_s == track.soc_s and foreign is track.foreign and asked_s == track.asked_s:
        return track, numbers
    return NumberTrack(soc, soc_s, foreign, against, asked_s), numbers


def _doubted(
    foreign: Mapping[str, tuple[int, int]], name: str, value: float, issues: list[Issue]
) -> tuple[Mapping[str, tuple[int, int]], float | None]:
    """A value that can be, of a field that has looked like another unit before: what is remembered, and what is believed."""
    wrong, right = foreign[name]
    if right + 1 >= FORGIVEN:
        return {other: counts for other, counts in foreign.items() if other != name}, value
    foreign = {**foreign, name: (wrong, right + 1)}
    if wrong < FOREIGN:
        return foreign, value
    issues.append(Issue(IssueKind.UNIT, f"{name} is {value:g}, but its sender's other values look like another unit", name))
    return foreign, None


def _against(
    before: tuple[str, float, int] | None, battery_w: float, charger_w: float | None, now_s: float
) -> tuple[str, float, int] | None:
    """How the battery's power contradicts the charger's, since when and in how many looks; None: it does not, or nobody knows."""
    if charger_w is None or abs(charger_w) < CHARGING_W:
        return None
    share = battery_w / charger_w
    words = ""
    if -1.5 <= share <= -0.3:
        words = "its sign is the other way round (charging is positive)"
    elif 7 <= share <= 13:
        words = "ten times too much, it looks like 0.1 A"
    elif 700 <= share <= 1300:
        words = "a thousand times too much, it looks like mA"
    if not words:
        return None
    return (words, now_s, 1) if before is None or before[0] != words else (words, before[1], before[2] + 1)
