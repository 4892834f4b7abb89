"""More current than it may be: by the battery's own limit, by the pack's table, by what the charger was told. Pure.

A limit that falls is followed by the charger within seconds, so each must be exceeded for a time.
"""

from __future__ import annotations

from typing import Final

from bms_bridge.charging import Charging, PackFacts
from bms_bridge.rules.frame import Beyond, Declared, Finding, Layer, Look, SampleRule, Signal, beyond
from bms_bridge.rules.shares import CAUTIOUS_SHARE
from bms_bridge.verdicts import Cause, Why

FOR_S: Final = 10.0
SETPOINT_FOR_S: Final = 30.0
MARGIN_A: Final = 5.0
SETPOINT_OVER: Final = 0.25
SETPOINT_MARGIN_W: Final = 2_000
FLOWS_A: Final = 5.0
_BACK = 0.02


def _over(memory: Beyond | None, look: Look, now: float, limit: float, *, margin: float, for_s: float) -> Beyond | None:
    return beyond(
        memory, look.now_s, over=now > limit + margin, back=now < limit * (1.0 - _BACK) + margin, for_s=for_s * look.pace, samples=3
    )


def judge_battery(memory: Beyond | None, look: Look) -> tuple[Beyond | None, Finding | None]:
    """Against what the battery management system allows now."""
    current_a, limit_a = look.sample.current_a, look.sample.limit_a
    if current_a is None or limit_a is None or current_a <= FLOWS_A:
        return None, None
    most_a = limit_a * (1.0 + look.limits.current_over_share)
    memory = _over(memory, look, current_a, most_a, margin=MARGIN_A, for_s=FOR_S)
    text = f"{current_a:.0f} A flow, the battery allows {limit_a:.0f} A"
    if memory is not None and memory.sure:
        return memory, Finding(text=text, trip=True, evidence={"current_a": f"{current_a:.1f}", "limit_a": f"{limit_a:.1f}"})
    if memory is None:
        return memory, None
    watts = None if look.sample.voltage_v is None else int(limit_a * look.sample.voltage_v)
    return memory, Finding(text=text, share=1.0 if watts is not None else CAUTIOUS_SHARE, limit_w=watts)


def judge_table(memory: Beyond | None, look: Look) -> tuple[Beyond | None, Finding | None]:
    """Against the most that cells of its chemistry take."""
    current_a, capacity_ah = look.sample.current_a, look.facts.capacity_ah(look.sample.voltage_v)
    if current_a is None or capacity_ah is None:
        return memory, None
    most_a = look.limits.charge_c_rate * capacity_ah
    memory = _over(memory, look, current_a, most_a, margin=MARGIN_A, for_s=FOR_S)
    if memory is None:
        return memory, None
    text = f"{current_a:.0f} A flow, its cells take {most_a:.0f} A"
    if memory.sure:
        return memory, Finding(text=text, trip=True, evidence={"current_a": f"{current_a:.1f}", "limit_a": f"{most_a:.1f}"})
    return memory, Finding(text=text, share=CAUTIOUS_SHARE)


def judge_charger(memory: Beyond | None, look: Look) -> tuple[Beyond | None, Finding | None]:
    """Against what the charger was told: the pack takes less than that, because the vehicle and the charger lose some."""
    sample = look.sample
    if sample.current_a is None or sample.voltage_v is None or sample.current_a <= FLOWS_A:
        return None, None
    power_w = sample.current_a * sample.voltage_v
    charging = look.charging()
    if charging is None:
        return None, None
    most_w = charging.told_w * (1.0 + SETPOINT_OVER)
    memory = _over(memory, look, power_w, most_w, margin=SETPOINT_MARGIN_W, for_s=SETPOINT_FOR_S)
    if memory is None or not memory.sure:
        return memory, None
    text = f"{power_w / 1000:.0f} kW flow, its charger was told {charging.told_w / 1000:.0f} kW"
    evidence = {"power_kw": f"{power_w / 1000:.1f}", "told_kw": f"{charging.told_w / 1000:.1f}"}
    return memory, Finding(text=text, trip=True, evidence=evidence)


def _capacity_lacks(facts: PackFacts, _charging: Charging | None) -> str:
    return "" if facts.capacity_wh else "its capacity is not known"


BATTERY: Final = SampleRule(
    Declared(
        name="over_current",
        cause=Cause.OVER_CURRENT,
        why=Why.CURRENT,
        layer=Layer.L1,
        signals=(Signal.CURRENT, Signal.LIMIT),
        every_s=5.0,
        within_s=20.0,
        threshold="`current_over_share` and 5 A above the battery's own limit, 10 s and 3 samples",
        derates="watts of the battery's limit at the first sample",
        hysteresis="2 %",
    ),
    judge_battery,
)

TABLE: Final = SampleRule(
    Declared(
        name="over_current_cells",
        cause=Cause.OVER_CURRENT,
        why=Why.CURRENT,
        layer=Layer.L1,
        signals=(Signal.CURRENT,),
        every_s=5.0,
        within_s=20.0,
        threshold="`charge_c_rate` and 5 A, 10 s and 3 samples",
        derates="0.5 at the first sample",
        hysteresis="2 %",
        lacks=_capacity_lacks,
    ),
    judge_table,
)

CHARGER: Final = SampleRule(
    Declared(
        name="over_current_charger",
        cause=Cause.OVER_CURRENT,
        why=Why.CURRENT,
        layer=Layer.L2,
        signals=(Signal.CURRENT, Signal.VOLTAGE),
        every_s=10.0,
        within_s=50.0,
        threshold="25 % and 2 kW above what its charger was told, 30 s and 3 samples",
        derates="the limiter takes the charger's budget back by itself",
        hysteresis="2 %",
    ),
    judge_charger,
)
