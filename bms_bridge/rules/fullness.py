"""A full battery that is still charged hard: its current should have fallen long ago. Pure. Over-voltage is the trip behind it."""

from __future__ import annotations

from typing import Final

from bms_bridge.charging import Charging, PackFacts
from bms_bridge.chemistry import LEAST_SHARE
from bms_bridge.rules.frame import Declared, Finding, Layer, Look, SampleRule, Signal
from bms_bridge.verdicts import Cause, Why


def judge(memory: None, look: Look) -> tuple[None, Finding | None]:
    """See the module."""
    soc, current_a, capacity_ah = look.sample.soc, look.sample.current_a, look.facts.capacity_ah(look.sample.voltage_v)
    if soc is None or current_a is None or capacity_ah is None or soc < look.limits.full_soc:
        return memory, None
    if current_a <= look.limits.full_c_rate * capacity_ah:
        return memory, None
    return memory, Finding(text=f"{current_a:.0f} A flow at {soc:.0%}", share=LEAST_SHARE)


def _lacks(facts: PackFacts, _charging: Charging | None) -> str:
    return "" if facts.capacity_wh else "its capacity is not known"


RULE: Final = SampleRule(
    Declared(
        name="full",
        cause=Cause.CELL_OVER_VOLTAGE,
        why=Why.FULL,
        layer=Layer.L2,
        signals=(Signal.SOC, Signal.CURRENT),
        every_s=10.0,
        within_s=10.0,
        threshold="none of its own: cell_over_voltage",
        derates="0.2 from `full_soc` with more than `full_c_rate`",
        hysteresis="60 s after it was last seen",
        lacks=_lacks,
    ),
    judge,
)
