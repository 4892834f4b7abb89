"""The battery management system's own alarms: some stop at once, all others derate. Pure."""

from __future__ import annotations

from typing import Final

from bms_bridge.chemistry import Effect, effect_of
from bms_bridge.rules.frame import Declared, Finding, Layer, Look, SampleRule, Signal
from bms_bridge.rules.shares import CAUTIOUS_SHARE
from bms_bridge.verdicts import Cause, Why


def judge(memory: None, look: Look) -> tuple[None, Finding | None]:
    """An alarm of the first kind trips; of the second, or one that nobody knows, derates."""
    raised = look.sample.alarms
    if not raised:
        return memory, None
    trips = ", ".join(alarm for alarm in raised if effect_of(alarm) is Effect.TRIP)
    if trips:
        return memory, Finding(text=f"it still raises {trips}", trip=True, evidence={"alarms": trips})
    return memory, Finding(text=f"alarm {', '.join(raised)}", share=CAUTIOUS_SHARE)


RULE: Final = SampleRule(
    Declared(
        name="bms_alarm",
        cause=Cause.BMS_ALARM,
        why=Why.ALARM,
        layer=Layer.L1,
        signals=(Signal.SAMPLE,),
        every_s=10.0,
        within_s=10.0,
        threshold="an alarm that trips is raised, once",
        derates="an alarm that derates, or an unknown one: 0.5",
        hysteresis="none: until it is no longer raised",
    ),
    judge,
)
