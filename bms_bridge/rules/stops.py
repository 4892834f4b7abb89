"""Charging that goes on when it should have ended: after the battery's own stop, and beyond what fits into the battery. Pure.

The second is an internal watchdog and no law: for a constant power p it is the time-out t = need / p · 1.2, for one that changes the
energy that this means. What the vehicle uses for its own cooling or heating meanwhile is granted beside it.
"""

from __future__ import annotations

from typing import Final

from bms_bridge.charging import Charging, PackFacts
from bms_bridge.rules.frame import Beyond, Declared, Finding, Layer, Moment, Signal, TimeRule, beyond
from bms_bridge.rules.shares import CAUTIOUS_SHARE
from bms_bridge.verdicts import Cause, Why

FLOWS_A: Final = 5.0
FLOWS_W: Final = 1_000
HELD_BACK_AFTER_S: Final = 3.0
AUXILIARY_W: Final = 10_000
MARGIN_WH: Final = 5_000
_WARNS = 0.5


def judge_stop(memory: Beyond | None, moment: Moment) -> tuple[Beyond | None, Finding | None]:
    """The battery demands that charging ends, and a session goes on with current."""
    stopped = [sample for sample in moment.heard.values() if sample.stop]
    charging = moment.charging() if stopped else None
    if charging is None:
        return None, None
    amps, metered_w = [sample.current_a for sample in stopped if sample.current_a is not None], charging.metered_w
    if amps:  # what cools the vehicle may hang on the charger: the pack's own current tells, as long as anything is metered
        flows = max(amps) > FLOWS_A and (metered_w is None or metered_w > FLOWS_W)
    else:
        flows = metered_w is not None and metered_w > AUXILIARY_W
    memory = beyond(memory, moment.now_s, over=flows, back=not flows, for_s=moment.limits.stop_ignored_s * moment.pace, samples=3)
    if memory is None:
        return memory, None
    after_s = moment.now_s - memory.since_s
    text = f"its charger goes on {after_s:.0f} s after the battery's stop"
    if memory.sure:
        return memory, Finding(text=text, trip=True, evidence={"after_s": f"{after_s:.0f}", "metered_w": str(charging.metered_w)})
    return memory, Finding(text=text, share=0.0) if after_s >= HELD_BACK_AFTER_S * moment.pace else None


def judge_time(memory: Beyond | None, moment: Moment) -> tuple[Beyond | None, Finding | None]:
    """More was charged than fits into the battery."""
    charging = moment.charging()
    if charging is None or charging.room_wh is None or (charging.metered_w is not None and charging.metered_w <= FLOWS_W):
        return None, None
    spare = moment.limits.over_time_share - 1.0
    into_wh = charging.taken_wh - AUXILIARY_W * charging.running_s / 3600 - MARGIN_WH
    over = into_wh > charging.room_wh * (1.0 + spare)
    memory = beyond(memory, moment.now_s, over=over, back=not over, for_s=30.0 * moment.pace, samples=3)
    if into_wh <= charging.room_wh * (1.0 + _WARNS * spare):
        return memory, None
    text = f"{charging.taken_wh / 1000:.0f} kWh were charged, {charging.room_wh / 1000:.0f} kWh fit in"
    if memory is not None and memory.sure:
        evidence = {"taken_kwh": f"{charging.taken_wh / 1000:.1f}", "room_kwh": f"{charging.room_wh / 1000:.1f}"}
        return memory, Finding(text=text, trip=True, evidence=evidence)
    return memory, Finding(text=text, share=CAUTIOUS_SHARE)


def _room_lacks(_facts: PackFacts, charging: Charging | None) -> str:
    return "" if charging is None or charging.room_wh is not None else "it is not known how much fits into the battery"


STOP: Final = TimeRule(
    Declared(
        name="stop_ignored",
        cause=Cause.STOP_IGNORED,
        why=Why.STOP,
        layer=Layer.L1,
        signals=(Signal.SAMPLE,),
        every_s=5.0,
        within_s=20.0,
        threshold="the battery demands a stop, and 5 A (10 kW at its charger, where it tells no current) go on for `stop_ignored_s`",
        derates="0 after 3 s",
        hysteresis="until nothing flows",
    ),
    judge_stop,
)

TIME: Final = TimeRule(
    Declared(
        name="over_time",
        cause=Cause.OVER_TIME,
        why=Why.OVER_TIME,
        layer=Layer.L2,
        signals=(Signal.METER,),
        every_s=60.0,
        within_s=120.0,
        threshold="`over_time_share` of what fitted in when the session began, beside 10 kW for the vehicle itself and 5 kWh, for 30 s",
        derates="0.5 from half of that excess",
        hysteresis="until nothing flows",
        lacks=_room_lacks,
    ),
    judge_time,
)
