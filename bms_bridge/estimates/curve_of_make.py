"""Whether the curve that packs are followed with is wrong for a whole make: what many packs of it show on the same side. Pure.

    rows of all packs --words_of_makes--> one sentence a make, with what to do

A make is a chemistry, a capacity when new and a number of cells: the depot knows no better. One pack may have an odd sensor; three of a
make that lie on the same side of their first curve, most of them farther than it claims, have another curve.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from typing import Final

from bms_bridge.estimates.view import PackHealthRow

LEAST_PACKS: Final = 3
SAME_SIDE: Final = 0.75
"""Least share of a make's packs on one side."""

WRONG: Final = 0.5
"""Least share of them that lie farther off than the curve claims."""


def words_of_makes(rows: Iterable[PackHealthRow]) -> list[str]:
    """A sentence for each make whose curve does not fit; nothing while fewer than three of its packs have shown theirs (between two
    full charges each)."""
    makes: dict[tuple[str, float | None, int | None], list[PackHealthRow]] = {}
    for row in rows:
        if row.charge is not None and row.charge.curve_mean_mv is not None:
            makes.setdefault((row.chemistry, row.nominal_ah, row.cells), []).append(row)
    return [words for make, own in sorted(makes.items(), key=str) if (words := _words(make, own))]


def _words(make: tuple[str, float | None, int | None], rows: list[PackHealthRow]) -> str:
    told = [(one.curve_mean_mv, one.curve_off_wrong) for one in (row.charge for row in rows) if one is not None]
    off = [(mean_mv, wrong) for mean_mv, wrong in told if mean_mv is not None]
    below = sum(mean_mv < 0 for mean_mv, _ in off)
    most = max(below, len(off) - below)
    if len(off) < LEAST_PACKS or most < SAME_SIDE * len(off) or sum(wrong for _, wrong in off) < WRONG * len(off):
        return ""
    chemistry, nominal_ah, cells = make
    name = chemistry + (f", {nominal_ah:g} Ah" if nominal_ah is not None else "") + (f", {cells} cells" if cells is not None else "")
    middle_mv = statistics.median(mean_mv for mean_mv, _ in off)
    return (
        f"The open-circuit curve of {chemistry} does not fit a whole make: {most} of {len(off)} packs of {name} lie "
        f"{'below' if below == most else 'above'} it, by {abs(middle_mv):.0f} mV in the middle. Set theirs as [[health.curve]], from the "
        f"maker's data sheet or from one slow charge and discharge (battery ocv-fit). Those that are charged full use their own meanwhile; "
        f"others of this make are told too {'empty' if below == most else 'full'}"
    )
