"""Sensors that are lost: fewer than four derate, none any more stops. Pure.

Silence is not a lost sensor: only a unit that speaks, and has told temperatures before, can have lost them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bms_bridge.rules.frame import Beyond, Declared, Finding, Layer, Look, SampleRule, Signal, beyond
from bms_bridge.rules.shares import CAUTIOUS_SHARE
from bms_bridge.verdicts import Cause, Why

SENSORS_NEEDED: Final = 4
"""Distinct temperatures in a pack (AIS-156 Annex 8K, phase 2; AIS-038 Rev 2 for buses and trucks)."""

LOST_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Known:
    """Whether the unit has ever told a temperature, and since when it tells none."""

    told: bool = False
    none: Beyond | None = None


def judge(memory: Known | None, look: Look) -> tuple[Known | None, Finding | None]:
    """See the module."""
    known, sample = memory or Known(), look.sample
    distinct = sample.distinct
    if sample.temperatures_c:
        known = Known(told=True)
    elif known.told:
        known = Known(True, beyond(known.none, look.now_s, over=True, back=False, for_s=LOST_S, samples=3))
    if known.none is not None and known.none.sure:
        return known, Finding(text="no sensor tells a temperature any more", trip=True, evidence={"sensors": "0"})
    if distinct < SENSORS_NEEDED:
        return known, Finding(text=f"{distinct} distinct temperatures, {SENSORS_NEEDED} are needed", share=CAUTIOUS_SHARE)
    return known, None


RULE: Final = SampleRule(
    Declared(
        name="sensors_lost",
        cause=Cause.SENSORS_LOST,
        why=Why.SENSORS,
        layer=Layer.L2,
        signals=(Signal.SAMPLE,),
        every_s=10.0,
        within_s=40.0,
        threshold="no temperature any more in messages that go on, 10 s and 3 samples",
        derates="0.5 with fewer than 4 distinct ones",
        hysteresis="derating 60 s after it was last seen",
        own_unit=True,
    ),
    judge,
)
