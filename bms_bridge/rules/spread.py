"""Temperatures that lie apart: half the level; one sensor far hotter than all others: a trip. Pure.

A sensor whose wire is broken often says something very cold. Only a hot outlier trips, measured against the middle of the others.
"""

from __future__ import annotations

from statistics import median
from typing import Final

from bms_bridge.rules.frame import Beyond, Declared, Finding, Layer, Look, SampleRule, Signal, beyond
from bms_bridge.rules.shares import CAUTIOUS_SHARE
from bms_bridge.verdicts import Cause, Why

_BACK_K = 3.0


def judge(memory: Beyond | None, look: Look) -> tuple[Beyond | None, Finding | None]:
    """See the module."""
    sample, limits = look.sample, look.limits
    spread_c = sample.spread_c
    if spread_c <= limits.spread_c - _BACK_K:
        return None, None
    hottest = sample.hottest_c or 0.0
    above_c = hottest - median(c for _, c in sample.temperatures_c)
    over = above_c >= limits.spread_trip_c and hottest >= limits.derate_from_c
    memory = beyond(memory, look.now_s, over=over, back=above_c < limits.spread_trip_c - _BACK_K, for_s=10.0, samples=3)
    text = f"sensors differ by {spread_c:.1f} K"
    if memory is not None and memory.sure:
        return memory, Finding(text=text, trip=True, evidence={"above_others_k": f"{above_c:.1f}", "limit_k": f"{limits.spread_trip_c:g}"})
    return memory, Finding(text=text, share=CAUTIOUS_SHARE) if spread_c > limits.spread_c else None


RULE: Final = SampleRule(
    Declared(
        name="temperature_spread",
        cause=Cause.TEMPERATURE_SPREAD,
        why=Why.SPREAD,
        layer=Layer.L2,
        signals=(Signal.TEMPERATURES,),
        every_s=10.0,
        within_s=40.0,
        threshold="a sensor `spread_trip_c` above the middle of all and at `derate_from_c` or above, 10 s and 3 samples",
        derates="0.5 from `spread_c` between two sensors",
        hysteresis="3 K; derating 60 s after it was last seen",
    ),
    judge,
)
