"""Cell voltages that lie: outside what a cell can be, another number of them, frozen, copied, or against the pack's own word. Pure.

Of lowest and highest cell and the cells themselves the more dangerous one counts: a unit that contradicts itself is not believed
in its own favour. What needs a look at every cell's past is done once in :data:`LOOK_S`, the rest with each sample.
"""

from __future__ import annotations

import math
from statistics import median
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from bms_bridge.issues import Issue, IssueKind
from bms_bridge.units import looks_like

LOWEST_V: Final = 0.0
HIGHEST_V: Final = 5.0
"""What a cell's voltage can be; whether it is healthy is for the rules."""

MIN_MAX_V: Final = 0.05
"""The lowest and highest cell may differ by so much from the cells themselves: they are not measured in the same moment."""

SUM_SHARE: Final = 0.05
SUM_SAMPLES: Final = 3
"""The cells' sum may differ by this share from the pack's voltage, or a multiple of it (strings side by side)."""

LOOK_S: Final = 10.0
STUCK_S: Final = 600.0
STUCK_OTHERS_V: Final = 0.05
"""A cell that has not moved for so long while the middle of all moved by so much is stuck."""

FROZEN_S: Final = 10.0
FROZEN_A: Final = 50.0
"""No cell has moved for so long although the current changed by so much: the list is a copy of an old one."""

RUN: Final = 8
RUN_LOOKS: Final = 6
"""So many cells in a row that equal so many others in so many looks are the same cells told twice."""

_DISTINCT_IN_RUN = 5
_NAMED = 5


class CellTrack(Struct, frozen=True):
    """What is remembered of a pack's cells. ``cells_v``: as told last, since ``same_s`` without any change, when ``same_a``
    flowed. ``unlike``: samples in a row whose sum does not fit. ``looked_v``, ``moved_s``, ``middle_v``: at the last look, when
    each cell had last moved, and the middle of all then. ``stuck``: of the last look; ``run``: a run that equals another one, and
    how often in a row."""

    number: int = 0
    cells_v: tuple[float | None, ...] = ()
    same_s: float = 0.0
    same_a: float = 0.0
    unlike: int = 0
    looked_s: float = -math.inf
    looked_v: tuple[float | None, ...] = ()
    moved_s: tuple[float, ...] = ()
    middle_v: tuple[float, ...] = ()
    stuck: tuple[int, ...] = ()
    run: tuple[int, int] = (0, 0)
    run_looks: int = 0


class Cells(Struct, frozen=True):
    """What of the cells is believed. ``doubtful``: numbers of those that are stuck."""

    cells_v: tuple[float | None, ...] = ()
    lowest_v: float | None = None
    highest_v: float | None = None
    doubtful: tuple[int, ...] = ()


def watched(
    track: CellTrack,
    told_v: tuple[float | None, ...],
    *,
    lowest_v: float | None,
    highest_v: float | None,
    voltage_v: float | None,
    current_a: float | None,
    now_s: float,
    issues: list[Issue],
) -> tuple[CellTrack, Cells]:
    """The track with one more sample, and what of its cells is believed. ``lowest_v``, ``highest_v``: as the unit itself says."""
    if lowest_v is not None and highest_v is not None and lowest_v > highest_v:
        issues.append(Issue(IssueKind.CELLS, f"its lowest cell ({lowest_v:g} V) is above its highest ({highest_v:g} V)"))
        lowest_v, highest_v = highest_v, lowest_v
    if not told_v:
        return track, Cells((), lowest_v, highest_v)
    cells_v = _believable(told_v, issues)
    if track.number and len(cells_v) != track.number:
        issues.append(Issue(IssueKind.CELLS, f"it tells {len(cells_v)} cells; before it told {track.number}"))
        track = CellTrack()
    known = [value for value in cells_v if value is not None]
    if not known:
        return replace(track, number=len(cells_v)), Cells(cells_v, lowest_v, highest_v)
    lowest_v = _reconciled("lowest", lowest_v, min(known), issues)
    highest_v = _reconciled("highest", highest_v, max(known), issues)
    unlike = track.unlike
    if len(known) == len(cells_v) > 1 and voltage_v is not None and voltage_v > 10:
        unlike = _against_sum(unlike, sum(known), voltage_v, issues)
    same_s, same_a = track.same_s, track.same_a
    if cells_v != track.cells_v or current_a is None:
        same_s, same_a = now_s, current_a or 0.0
    elif len(cells_v) > 1 and now_s - same_s >= FROZEN_S and abs(current_a - same_a) >= FROZEN_A:
        words = f"no cell has moved for {now_s - same_s:.0f} s although the current changed by {abs(current_a - same_a):.0f} A"
        issues.append(Issue(IssueKind.STUCK, words))
    track = replace(track, number=len(cells_v), cells_v=cells_v, same_s=same_s, same_a=same_a, unlike=unlike)
    if now_s - track.looked_s >= LOOK_S:
        track = _looked(track, cells_v, median(known), now_s)
    if track.stuck:
        issues.append(Issue(IssueKind.STUCK, f"{_names(track.stuck)} have not moved while the others did"))
    if track.run_looks >= RUN_LOOKS:
        first, second = track.run
        words = f"cells {second} to {second + RUN - 1} repeat cells {first} to {first + RUN - 1}"
        issues.append(Issue(IssueKind.DUPLICATE, words))
    return track, Cells(cells_v, lowest_v, highest_v, track.stuck)


def _believable(told_v: tuple[float | None, ...], issues: list[Issue]) -> tuple[float | None, ...]:
    """The cells with None in the place of what cannot be."""
    kept = tuple([value if value is not None and LOWEST_V <= value <= HIGHEST_V else None for value in told_v])  # not NaN either
    if None not in kept:
        return kept
    missing = tuple(number for number, value in enumerate(told_v) if value is None)
    wrong = tuple((number, value) for number, value in enumerate(told_v) if value is not None and not LOWEST_V <= value <= HIGHEST_V)
    if missing:
        issues.append(Issue(IssueKind.MISSING, f"{_names(missing)} have no value"))
    if wrong:
        value = wrong[0][1]
        words = (
            f"{_names(tuple(number for number, _ in wrong))} say {value:g} V and the like; a cell can have {LOWEST_V:g} to {HIGHEST_V:g}"
        )
        issues.append(Issue(IssueKind.RANGE, words + looks_like("cells_v", value), "cells_v"))
    return kept


def _reconciled(name: str, said_v: float | None, found_v: float, issues: list[Issue]) -> float:
    """The more dangerous of what the unit says of its lowest or highest cell, and what the cells themselves say."""
    if said_v is None:
        return found_v
    if abs(said_v - found_v) > MIN_MAX_V:
        issues.append(Issue(IssueKind.CELLS, f"it says that its {name} cell has {said_v:g} V; its cells say {found_v:g} V"))
    return min(said_v, found_v) if name == "lowest" else max(said_v, found_v)


def _against_sum(unlike: int, total_v: float, voltage_v: float, issues: list[Issue]) -> int:
    """How many samples in a row have cells that do not add up to the pack's voltage."""
    strings = max(1, round(total_v / voltage_v))
    if abs(total_v / voltage_v - strings) <= SUM_SHARE * strings:
        return 0
    if unlike + 1 >= SUM_SAMPLES:
        issues.append(Issue(IssueKind.CELLS, f"its cells add up to {total_v:.0f} V, the pack says {voltage_v:.0f} V"))
    return unlike + 1


def _looked(track: CellTrack, cells_v: tuple[float | None, ...], middle_v: float, now_s: float) -> CellTrack:
    """The track after a look at every cell."""
    if len(track.looked_v) != len(cells_v):
        number = len(cells_v)
        return replace(track, looked_s=now_s, looked_v=cells_v, moved_s=(now_s,) * number, middle_v=(middle_v,) * number)
    moved_s, middles_v, stuck = list(track.moved_s), list(track.middle_v), []
    for number, value in enumerate(cells_v):
        if value != track.looked_v[number] or value is None:
            moved_s[number], middles_v[number] = now_s, middle_v
        elif now_s - moved_s[number] >= STUCK_S and abs(middle_v - middles_v[number]) >= STUCK_OTHERS_V:
            stuck.append(number)
    run = _twice(cells_v)
    return replace(
        track,
        looked_s=now_s,
        looked_v=cells_v,
        moved_s=tuple(moved_s),
        middle_v=tuple(middles_v),
        stuck=tuple(stuck),
        run=run or (0, 0),
        run_looks=0 if run is None else track.run_looks + 1 if run == track.run else 1,
    )


def _twice(cells_v: tuple[float | None, ...]) -> tuple[int, int] | None:
    """Where a run of cells begins that equals another one, and where that begins; only one whose cells differ enough for it
    not to be chance."""
    seen: dict[tuple[float | None, ...], int] = {}
    for start in range(len(cells_v) - RUN + 1):
        window = cells_v[start : start + RUN]
        first = seen.setdefault(window, start)
        if start - first >= RUN and len(set(window)) >= _DISTINCT_IN_RUN:
            return first, start
    return None


def _names(numbers: tuple[int, ...]) -> str:
    """``cells 3, 7, 9``; of many the first ones, and how many."""
    named = ", ".join(str(number) for number in numbers[:_NAMED])
    return f"cells {named}" if len(numbers) <= _NAMED else f"cells {named} and {len(numbers) - _NAMED} more"
