"""What a stationary battery shall do now. Pure: a situation in, a power and its reason out.

    standby, no order possible, blind  -> 0 W
    plan, shaving, helping vehicles    -> a wish  --state of charge, ratings, room under the limits, export--> the level

The plan is advice and says the least: a battery gives more than it where the site draws above ``shave_above_w``, or where vehicles
wait for power that the site's limit does not leave. Charging never takes room that vehicles wish for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from depot.assets import AssetMode, StorageSpec

DEADBAND_W = 1000
DEADBAND_SHARE = 0.02
"""Changes below both are not sent, unless they go to 0 W or a limit needs them."""

SOC_BAND = 0.01
"""A battery that stands at an end of its range begins again only so far inside of it."""

EXPORT_MARGIN = 0.05
"""Of what may be given, this share is left."""


class Why(StrEnum):
    """What decided the level."""

    STANDBY = "standby"
    NOT_READY = "not ready"
    BLIND = "blind"
    PLAN = "plan"
    SHAVING = "shaving"
    VEHICLES = "vehicles"
    LIMIT = "limit"
    EMPTY = "empty"
    FULL = "full"
    EXPORT = "export"
    IDLE = "idle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """All that is known at one moment; powers W, charging positive. ``ready``: it is there, answers, has no fault and takes orders.
    ``soc`` None: unknown. ``charge_w``, ``discharge_w``: the most that it and its settings allow now. ``site_w``: what flows at the
    connection, None: not known; of several batteries each has its ``share`` of it. ``measured_w``: what of that is this
    battery. ``plan_w`` None: no plan. ``fits_w``: what it may draw under the limits. ``short_w``: what vehicles lack under the site's
    limit. ``used_w``: how much of what it gives vehicles draw. ``frozen``: the journal cannot write, so nothing may be drawn
    that was not."""

    spec: StorageSpec
    mode: AssetMode
    ready: bool
    blind: bool
    soc: float | None
    charge_w: int
    discharge_w: int
    told_w: int
    measured_w: int
    site_w: int | None
    plan_w: int | None
    fits_w: int
    short_w: int
    used_w: int
    export_w: int
    share: float = 1.0
    frozen: bool = False


def wish(now: Situation) -> tuple[int, Why]:
    """The level that it shall go to, and why."""
    if now.mode is AssetMode.STANDBY:
        return 0, Why.STANDBY
    if not now.ready or now.soc is None:
        return 0, Why.NOT_READY
    if now.blind or now.site_w is None:
        return 0, Why.BLIND
    level, why = (now.plan_w, Why.PLAN) if now.plan_w is not None else (0, Why.IDLE)
    above = now.spec.shave_above_w
    if above is not None:
        room_w = round(above * now.share) - (now.site_w - now.measured_w)  # what it may draw, or must give, so that the site stays at that
        if room_w < level:
            level, why = room_w, Why.SHAVING
    if (now.short_w > 0 or now.used_w > 0) and -(now.short_w + now.used_w) < level:
        level, why = -(now.short_w + now.used_w), Why.VEHICLES
    return _within(now, level, why)


def _within(now: Situation, level: int, why: Why) -> tuple[int, Why]:
    assert now.soc is not None
    assert now.site_w is not None
    spec = now.spec
    if level > 0:
        if now.soc >= spec.soc_max - (0 if now.told_w > 0 else SOC_BAND):
            return 0, Why.FULL
        most = min(level, now.charge_w, max(0, now.fits_w), max(0, now.told_w) if now.frozen else level)
        return most, why if most == level else Why.LIMIT
    if level < 0:
        if now.soc <= spec.soc_min + (0 if now.told_w < 0 else SOC_BAND):
            return 0, Why.EMPTY
        most = min(-level, now.discharge_w)
        takes_w = math.floor((now.site_w - min(0, now.measured_w) + now.export_w) * (1 - EXPORT_MARGIN))
        if takes_w < most:
            return -max(0, takes_w), Why.EXPORT
        return -most, why
    return 0, why


def worth_sending(now: Situation, level_w: int, *, urgent: bool) -> bool:
    """Whether a level differs enough from what it was told."""
    step = abs(level_w - now.told_w)
    if not step:
        return False
    return urgent or level_w == 0 or step >= max(DEADBAND_W, DEADBAND_SHARE * max(now.spec.charge_w, now.spec.discharge_w))
