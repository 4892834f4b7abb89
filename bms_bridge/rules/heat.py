"""Over-temperature: the hottest sensor against the trip, once is enough. The curve before it is :mod:`bms_bridge.thermal`'s. Pure."""

from __future__ import annotations

from typing import Final

from bms_bridge.rules.frame import Declared, Finding, Layer, Look, SampleRule, Signal
from bms_bridge.verdicts import Cause, Why


def judge(memory: None, look: Look) -> tuple[None, Finding | None]:
    """Too hot is taken seriously from whoever says it, also late, also by a sensor that is doubted."""
    hottest, limit = look.sample.hottest_c, look.limits.trip_c
    if hottest is None or hottest < limit:
        return memory, None
    text = f"it is at {hottest:.1f} °C; it must be at {look.limits.reset_below_c:g} °C or less"
    return memory, Finding(text=text, trip=True, evidence={"limit_c": f"{limit:g}"})


RULE: Final = SampleRule(
    Declared(
        name="over_temperature",
        cause=Cause.OVER_TEMPERATURE,
        why=Why.HOT,
        layer=Layer.L1,
        signals=(Signal.TEMPERATURES,),
        every_s=10.0,
        within_s=10.0,
        threshold="`trip_c`, once",
        derates="1 at `derate_from_c` to 0.2 at `derate_full_c`; cold: 0 at `cold_stop_c` to 1 at `cold_full_c`",
        hysteresis="3 K of the curve; reset at `reset_below_c`",
    ),
    judge,
)
