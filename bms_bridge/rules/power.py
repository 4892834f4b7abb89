"""State of power as a rule: the level falls, in watts, when more is charged than the battery can hold for two minutes. Pure.

It holds back only where even the hopeful end of the estimate lies below what flows now: an estimate takes nothing away that it is not
sure of. Trips are the other rules'.
"""

from __future__ import annotations

from typing import Final

from bms_bridge import sop
from bms_bridge.charging import Charging, PackFacts
from bms_bridge.rules.frame import Declared, Finding, Layer, Look, SampleRule, Signal
from bms_bridge.validation import Checked
from bms_bridge.verdicts import Cause, Why

HOLDS_S: Final = 120.0
_FLOWS_A: Final = 5.0


def now_of(sample: Checked, high_v: float | None) -> sop.Now | None:
    """What the estimate needs of a sample; None: it lacks some of it."""
    if sample.current_a is None or sample.voltage_v is None or sample.soc is None or high_v is None:
        return None
    return sop.Now(
        current_a=sample.current_a,
        high_v=high_v,
        pack_v=sample.voltage_v,
        soc=sample.soc,
        hottest_c=sample.hottest_c,
        coldest_c=sample.coldest_c,
        limit_a=sample.limit_a,
    )


def judge(memory: sop.Learned | None, look: Look) -> tuple[sop.Learned | None, Finding | None]:
    """See the module."""
    now = now_of(look.sample, look.cells.high_v if look.cells is not None else None)
    capacity_ah = look.facts.capacity_ah(look.sample.voltage_v)
    if now is None or capacity_ah is None or sop.lacks(look.facts):
        return memory, None
    typical = sop.typical_ohm(look.facts.chemistry, capacity_ah)
    memory = sop.learn(memory or sop.Learned(), look.now_s, now.current_a, now.high_v, capacity_ah=capacity_ah, typical_ohm=typical)
    near_v = look.limits.cell_high_from_v - now.current_a * typical
    if now.current_a <= _FLOWS_A or now.high_v < near_v:
        return memory, None  # far from the voltage that matters: nothing to reckon
    found = sop.powers(now, look.facts, look.limits, sop.resistance(memory, typical_ohm=typical))
    power = next((one for one in found if one.horizon_s == HOLDS_S), None)
    if power is None or power.high_w >= now.current_a * now.pack_v:
        return memory, None
    return memory, Finding(text=f"it holds {power.watts / 1000:.0f} kW for two minutes ({power.because})", limit_w=power.watts)


def _lacks(facts: PackFacts, _charging: Charging | None) -> str:
    return sop.lacks(facts)


RULE: Final = SampleRule(
    Declared(
        name="power",
        cause=Cause.CELL_OVER_VOLTAGE,
        why=Why.POWER,
        layer=Layer.L2,
        signals=(Signal.CELLS, Signal.CURRENT, Signal.VOLTAGE, Signal.SOC),
        every_s=10.0,
        within_s=10.0,
        threshold="none of its own: cell_over_voltage",
        derates="watts that it holds for two minutes, where more flows",
        hysteresis="60 s; told again at 5 % less or 10 % more",
        lacks=_lacks,
    ),
    judge,
)
