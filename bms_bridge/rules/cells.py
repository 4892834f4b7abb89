"""The highest and the lowest cell against their limits. Pure.

Charging raises a cell's voltage by its resistance, so a limit reached under current is given back in small steps
(:mod:`bms_bridge.thermal`): the level settles where the cell stays below.
"""

from __future__ import annotations

from typing import Final

from bms_bridge.charging import Charging, PackFacts
from bms_bridge.chemistry import Chemistry
from bms_bridge.rules.frame import Beyond, Declared, Finding, Layer, Look, SampleRule, Signal, beyond
from bms_bridge.rules.shares import falling
from bms_bridge.verdicts import Cause, Why

BACK_V: Final = 0.05
CONFIRM_S: Final = 2.0


def lacks(facts: PackFacts, _charging: Charging | None) -> str:
    """Voltages mean something for a known chemistry only."""
    return "its chemistry is not known" if facts.chemistry is Chemistry.UNKNOWN else ""


def judge_high(memory: Beyond | None, look: Look) -> tuple[Beyond | None, Finding | None]:
    """Over-voltage of the highest cell."""
    limits, high_v = look.limits, look.cells.high_v if look.cells is not None else None
    if high_v is None:
        return memory, None
    trip_v = limits.cell_high_trip_v
    memory = beyond(memory, look.now_s, over=high_v >= trip_v, back=high_v < trip_v - BACK_V, for_s=CONFIRM_S, samples=2)
    if memory is not None and memory.sure:
        return memory, Finding(text=f"a cell is at {high_v:.3f} V", trip=True, evidence=_evidence(look, high_v, trip_v, high=True))
    if high_v <= limits.cell_high_from_v:
        return memory, None
    text = f"a cell is at {high_v:.3f} V, derated from {limits.cell_high_from_v:g} V"
    return memory, Finding(text=text, share=falling(high_v, limits.cell_high_from_v, limits.cell_high_full_v))


def judge_low(memory: Beyond | None, look: Look) -> tuple[Beyond | None, Finding | None]:
    """Under-voltage of the lowest cell: copper dissolves in a cell that is discharged too far, and charging it hard is dangerous."""
    limits, low_v = look.limits, look.cells.low_v if look.cells is not None else None
    if low_v is None:
        return memory, None
    trip_v = limits.cell_low_trip_v
    memory = beyond(memory, look.now_s, over=low_v <= trip_v, back=low_v > trip_v + BACK_V, for_s=CONFIRM_S, samples=2)
    if memory is not None and memory.sure:
        return memory, Finding(text=f"a cell is at {low_v:.3f} V", trip=True, evidence=_evidence(look, low_v, trip_v, high=False))
    if low_v >= limits.cell_low_full_v:
        return memory, None
    text = f"a cell is at {low_v:.3f} V, derated below {limits.cell_low_full_v:g} V"
    return memory, Finding(text=text, share=falling(low_v, limits.cell_low_full_v, trip_v))


def _evidence(look: Look, volts: float, limit_v: float, *, high: bool) -> dict[str, str]:
    at = None if look.cells is None else look.cells.high_at if high else look.cells.low_at
    return {"cell_v": f"{volts:.3f}", "limit_v": f"{limit_v:g}"} | ({"cell": str(at)} if at is not None else {})


HIGH: Final = SampleRule(
    Declared(
        name="cell_over_voltage",
        cause=Cause.CELL_OVER_VOLTAGE,
        why=Why.CELLS,
        layer=Layer.L1,
        signals=(Signal.CELLS,),
        every_s=5.0,
        within_s=10.0,
        threshold="`cell_high_trip_v`, 2 samples over 2 s",
        derates="1 at `cell_high_from_v` to 0.2 at `cell_high_full_v`",
        hysteresis="0.05 V; derating given back by 0.1 a minute",
        lacks=lacks,
    ),
    judge_high,
)

LOW: Final = SampleRule(
    Declared(
        name="cell_under_voltage",
        cause=Cause.CELL_UNDER_VOLTAGE,
        why=Why.CELLS,
        layer=Layer.L1,
        signals=(Signal.CELLS,),
        every_s=5.0,
        within_s=10.0,
        threshold="`cell_low_trip_v`, 2 samples over 2 s",
        derates="1 at `cell_low_full_v` to 0.2 at `cell_low_trip_v`",
        hysteresis="0.05 V; derating given back by 0.1 a minute",
        lacks=lacks,
    ),
    judge_low,
)
