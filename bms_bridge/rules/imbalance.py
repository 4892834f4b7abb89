"""Cells that drift apart: by their difference, and by a change of it that the pack's own past does not know. Pure.

The difference of the highest and the lowest cell is a pack's own: it grows with its age and with the current. What is unusual is
judged against its mean and scatter while cells lie on a flat part of their curve; near full and near empty every pack spreads.
"""

from __future__ import annotations

import math
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from bms_bridge.rules.frame import Beyond, Declared, Finding, Layer, Look, SampleRule, Signal, beyond
from bms_bridge.rules.shares import CAUTIOUS_SHARE, falling
from bms_bridge.verdicts import Cause, Why

SIGMAS: Final = 5.0
LEARNS_S: Final = 600.0
KNOWS_AFTER: Final = 60
"""Samples before a scatter counts."""

FLOOR_V: Final = 0.004
"""Scatter of a converter with 1 mV steps and of cells that differ in resistance, at least."""

FLAT_V_PER_S: Final = 0.0002
_BACK_V = 0.03


class Scatter(Struct, frozen=True):
    """What is usual. ``odd``: the difference is not; ``wide``: it is too large in itself."""

    mean_v: float = 0.0
    variance: float = 0.0
    samples: int = 0
    at_s: float = 0.0
    level_v: float | None = None
    odd: Beyond | None = None
    wide: Beyond | None = None


def judge(memory: Scatter | None, look: Look) -> tuple[Scatter | None, Finding | None]:
    """See the module."""
    cells, limits = look.cells, look.limits
    spread_v = cells.spread_v if cells is not None else None
    if cells is None or spread_v is None:
        return memory, None
    known = memory or Scatter(mean_v=spread_v, at_s=look.now_s)
    trip_v = limits.cell_spread_trip_v
    wide = beyond(known.wide, look.now_s, over=spread_v >= trip_v, back=spread_v < trip_v - _BACK_V, for_s=10.0, samples=3)
    known = replace(_learned(known, spread_v, look), wide=wide)
    text = f"cells differ by {spread_v * 1000:.0f} mV"
    if wide is not None and wide.sure:
        return known, Finding(text=text, trip=True, evidence={"spread_v": f"{spread_v:.3f}", "limit_v": f"{trip_v:g}"})
    share = falling(spread_v, limits.cell_spread_from_v, limits.cell_spread_full_v)
    if known.odd is not None and known.odd.sure and share > CAUTIOUS_SHARE:
        return known, Finding(text=f"{text}, which is not usual for it", share=CAUTIOUS_SHARE)
    return known, Finding(text=text, share=share) if share < 1.0 else None


def _learned(known: Scatter, spread_v: float, look: Look) -> Scatter:
    """What is usual, with one more sample. What is odd is not learned from, and nothing is while the cells' level moves."""
    level_v = look.cells.mean_v if look.cells is not None and look.cells.mean_v is not None else look.cells.high_v if look.cells else None
    passed_s = look.now_s - known.at_s
    moved = known.level_v is None or level_v is None or abs(level_v - known.level_v) > FLAT_V_PER_S * max(passed_s, 1.0)
    known = replace(known, at_s=look.now_s, level_v=level_v)
    if moved:
        return known
    off_v = spread_v - known.mean_v
    sigma_v = max(FLOOR_V, math.sqrt(known.variance))
    ready = known.samples >= KNOWS_AFTER
    over = ready and off_v > SIGMAS * sigma_v
    odd = beyond(known.odd, look.now_s, over=over, back=off_v < 0.5 * SIGMAS * sigma_v, for_s=10.0, samples=3)
    if over:
        return replace(known, odd=odd)
    part = max(1.0 / (known.samples + 1), min(1.0, passed_s / LEARNS_S))
    variance = (1.0 - part) * (known.variance + part * off_v**2)
    return replace(known, mean_v=known.mean_v + part * off_v, variance=variance, samples=known.samples + 1, odd=odd)


RULE: Final = SampleRule(
    Declared(
        name="voltage_spread",
        cause=Cause.VOLTAGE_SPREAD,
        why=Why.SPREAD,
        layer=Layer.L2,
        signals=(Signal.CELLS,),
        every_s=10.0,
        within_s=40.0,
        threshold="`cell_spread_trip_v` between two cells, 10 s and 3 samples",
        derates="1 at `cell_spread_from_v` to 0.2 at `cell_spread_full_v`; 0.5 from 5 σ above its own mean (60 samples, flat level)",
        hysteresis="0.03 V; derating given back by 0.1 a minute",
    ),
    judge,
)
