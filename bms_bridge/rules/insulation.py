"""Insulation of the traction circuit to the chassis, per volt of the pack (UN R100: 100 Ω/V with direct current). Pure."""

from __future__ import annotations

from typing import Final

from bms_bridge.rules.frame import Beyond, Declared, Finding, Layer, Look, SampleRule, Signal, beyond
from bms_bridge.rules.shares import falling
from bms_bridge.verdicts import Cause, Why

_LEAST_V = 48.0
"""A pack that says less is switched off: its insulation is not judged."""

_BACK = 1.2


def judge(memory: Beyond | None, look: Look) -> tuple[Beyond | None, Finding | None]:
    """See the module."""
    ohm, volts, limits = look.sample.insulation_ohm, look.sample.voltage_v, look.limits
    if ohm is None or volts is None or volts < _LEAST_V:
        return memory, None
    per_v, trip = ohm / volts, limits.insulation_trip_ohm_per_v
    memory = beyond(memory, look.now_s, over=per_v <= trip, back=per_v > trip * _BACK, for_s=3.0, samples=2)
    text = f"insulation is {per_v:.0f} Ω/V"
    if memory is not None and memory.sure:
        return memory, Finding(
            text=text, trip=True, evidence={"insulation_ohm": f"{ohm:.0f}", "ohm_per_v": f"{per_v:.0f}", "limit": f"{trip:g}"}
        )
    share = falling(per_v, limits.insulation_full_ohm_per_v, trip)
    return memory, Finding(text=text, share=share) if share < 1.0 else None


RULE: Final = SampleRule(
    Declared(
        name="insulation",
        cause=Cause.INSULATION,
        why=Why.INSULATION,
        layer=Layer.L1,
        signals=(Signal.INSULATION, Signal.VOLTAGE),
        every_s=10.0,
        within_s=25.0,
        threshold="`insulation_trip_ohm_per_v`, 2 samples over 3 s",
        derates="1 at `insulation_full_ohm_per_v` to 0.2 at `insulation_trip_ohm_per_v`",
        hysteresis="20 %; derating given back by 0.1 a minute",
    ),
    judge,
)
