"""Temperatures that rise: a confirmed runaway (L1, mirrored), and warming that charging does not explain (L2). Pure.

The confirmation of GB 38031-2025 C.5.3.7: (a cell lost more than 25 % of its voltage, or T is at the maker's maximum or above) and
dT/dt of 1 °C/s or more for 3 s. In the place of the maker's maximum stands ``derate_from_c``, which lies below it.

What a current I heats a cell by is I²·R; with the typical resistance of its chemistry and 6.5 kg of pack per kWh at 1 kJ/(kg·K) that
is about 0.005 K/s at one capacity per hour. It is taken off, up to half of the threshold, so that no wrong current hides a fire.
"""

from __future__ import annotations

from typing import Final

from bms_bridge.charging import PackFacts
from bms_bridge.chemistry import CELL
from bms_bridge.rules.frame import Beyond, Declared, Finding, Layer, Look, SampleRule, Signal, beyond
from bms_bridge.rules.past import before, rise
from bms_bridge.rules.shares import CAUTIOUS_SHARE
from bms_bridge.verdicts import Cause, Why

RISE_OVER_S: Final = 30.0
RISE_TRIPS_AFTER_S: Final = 90.0
RUNAWAY_OVER_S: Final = 3.0
_DROP_SINCE_S = 10.0
_KG_PER_KWH = 6.5
_MOST_EXPLAINED = 0.5
_BACK = 0.8


def explained_c_per_s(facts: PackFacts, current_a: float | None, voltage_v: float | None) -> float:
    """What the pack's current warms it by, K/s; 0 where that cannot be said."""
    capacity_ah = facts.capacity_ah(voltage_v)
    if current_a is None or capacity_ah is None:
        return 0.0
    cell, c_rate = CELL[facts.chemistry], abs(current_a) / capacity_ah
    return c_rate**2 * cell.ohm_ah / (cell.nominal_v * _KG_PER_KWH)


def judge_runaway(memory: None, look: Look) -> tuple[None, Finding | None]:
    """1 K/s over 3 s, steadily, with heat or with a cell that collapses."""
    hottest = look.sample.hottest_c
    rising = rise(look.past, look.at_s, look.sample.temperatures_c, RUNAWAY_OVER_S, steadily=True)
    if hottest is None or rising < look.limits.runaway_c_per_s:
        return memory, None
    dropped = _dropped(look)
    if hottest < look.limits.derate_from_c and dropped <= look.limits.collapse_share:
        return memory, None
    evidence = {"rise_c_per_s": f"{rising:.2f}"} | ({"cell_drop": f"{dropped:.0%}"} if dropped > look.limits.collapse_share else {})
    return memory, Finding(text=f"it warms by {rising:.1f} K/s", trip=True, evidence=evidence)


def _dropped(look: Look) -> float:
    """Share of its voltage that the lowest cell has lost since the oldest moment of the last seconds."""
    start = before(look.past, look.at_s, _DROP_SINCE_S)
    first = look.past[start or 0] if look.past else None
    low_v = look.cells.low_v if look.cells is not None else None
    if first is None or not first.low_v or low_v is None:
        return 0.0
    return 1.0 - low_v / first.low_v


def judge_rise(memory: Beyond | None, look: Look) -> tuple[Beyond | None, Finding | None]:
    """Faster than charging explains: half the level; for a minute and a half, and hot: a trip."""
    sample, limits = look.sample, look.limits
    rising, least = rise(look.past, look.at_s, sample.temperatures_c, RISE_OVER_S), limits.rise_c_per_s
    if rising < least * _BACK:
        return None, None
    least += min(explained_c_per_s(look.facts, sample.current_a, sample.voltage_v), _MOST_EXPLAINED * least)
    going_on = memory is not None and rising >= least * _BACK
    memory = beyond(memory, look.now_s, over=rising >= least or going_on, back=not going_on, for_s=RISE_TRIPS_AFTER_S, samples=3)
    if rising < least and not (memory is not None and memory.sure):
        return memory, None
    text = f"it warms by {rising * 60:.0f} K a minute"
    if memory is not None and memory.sure and (sample.hottest_c or 0.0) >= limits.derate_from_c:
        return memory, Finding(text=text, trip=True, evidence={"rise_c_per_s": f"{rising:.2f}"})
    return memory, Finding(text=text, share=CAUTIOUS_SHARE)


RUNAWAY: Final = SampleRule(
    Declared(
        name="runaway",
        cause=Cause.RUNAWAY,
        why=Why.RISING,
        layer=Layer.L1,
        signals=(Signal.TEMPERATURES,),
        every_s=1.0,
        within_s=6.0,
        threshold="`runaway_c_per_s` over 3 s, steadily, and (`derate_from_c`, or a cell that lost `collapse_share` of its voltage)",
        derates="as temperature_rise",
        hysteresis="none: a reset needs 60 s without it",
        own_unit=True,
    ),
    judge_runaway,
)

RISE: Final = SampleRule(
    Declared(
        name="temperature_rise",
        cause=Cause.TEMPERATURE_RISE,
        why=Why.RISING,
        layer=Layer.L2,
        signals=(Signal.TEMPERATURES,),
        every_s=10.0,
        within_s=180.0,
        threshold="`rise_c_per_s` more than I²R explains, over 30 s, for 90 s, at `derate_from_c` or above",
        derates="0.5 at once",
        hysteresis="60 s after it was last seen",
        own_unit=True,
    ),
    judge_rise,
)
