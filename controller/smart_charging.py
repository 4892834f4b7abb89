"""What a vehicle's own word means for the depot: a stay of its own, a booking completed, a level, an outlook. Pure.

needs, no booking there     --own_stay-->   a stay that lasts as long as the session (energy and departure must be said)
needs, a booking            --completed-->  the booking with what it did not know; nothing of it is changed
needs, a booking            --differs-->    where the vehicle asks for more or leaves earlier: told to people, not followed
default, plan, needs        --outlook-->    the hours after a live level, never above the default (ADR 0013)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from depot import events as ev
from depot.registry import ConnectorSpec, Current
from depot.smart_charging import ChargingNeeds
from depot.state import OWN_STAY, Visit
from depot.values import ConnectorId, Outlook, Plan

AHEAD = timedelta(hours=24)
"""An outlook is no longer."""
MOST_STEPS = 24
DIFFERENT_WH = 500
"""A vehicle asks for more when it is at least so much, and a twentieth."""
EARLIER = timedelta(minutes=10)
_PHASES = {"AC_single_phase": 1, "AC_two_phase": 2}


def level_of(drawn_w: int, mode: str, spec: ConnectorSpec) -> int:
    """The level at which a vehicle of that mode draws ``drawn_w``: a level counts for all phases of the connector."""
    if spec.current is Current.DC:
        return drawn_w
    wired = len(spec.phases) or 3
    return round(drawn_w * wired / min(_PHASES.get(mode, wired), wired))


def own_stay(
    key: ConnectorId,
    needs: ChargingNeeds,
    *,
    transaction: str,
    vehicle_id: str,
    efficiency: float,
    drawn_wh: int,
    spec: ConnectorSpec,
    now: datetime,
) -> ev.VisitAnnounced | None:
    """The stay of a vehicle that nobody announced, as it says it itself; None: it did not say how much, or not until when.
    ``drawn_wh``: what flowed already in its session."""
    wanted_wh, leaves = needs.wanted_wh, needs.departure
    if not wanted_wh or leaves is None or leaves <= now:
        return None
    return ev.VisitAnnounced(
        f"{OWN_STAY}{key}/{transaction}", vehicle_id, now, leaves, round((wanted_wh + drawn_wh) * efficiency), needs.max_w or spec.rated_w,
        connector=key, efficiency=efficiency, battery_wh=needs.capacity_wh or 0, soc_arrival=None if drawn_wh else needs.soc,
    )  # fmt: skip


def completed(visit: Visit, needs: ChargingNeeds, *, drawn_wh: int) -> ev.VisitAnnounced | None:
    """A booking with what it left open and the vehicle knows; None: nothing is new."""
    stay = visit.announced
    battery_wh = stay.battery_wh or needs.capacity_wh or 0
    at_arrival = drawn_wh == 0 and visit.delivered_wh == 0
    soc = needs.soc if stay.soc_arrival is None and at_arrival else stay.soc_arrival
    found = replace(stay, battery_wh=battery_wh, soc_arrival=soc)
    return None if found == stay else found


def differs(visit: Visit, needs: ChargingNeeds, *, remaining_wh: int) -> str:
    """How a vehicle's word goes beyond its booking, for people; empty: it does not."""
    parts = []
    wanted_wh = needs.wanted_wh
    if wanted_wh is not None and wanted_wh - remaining_wh > max(DIFFERENT_WH, remaining_wh // 20):
        parts.append(f"asks for {wanted_wh / 1000:.1f} kWh, booked are {remaining_wh / 1000:.1f} kWh")
    if needs.departure is not None and needs.departure < visit.announced.depart_at - EARLIER:
        early = visit.announced.depart_at - needs.departure
        parts.append(f"wants to leave {early.total_seconds() / 60:.0f} min before its booked departure")
    return "; ".join(parts)


def outlook(
    needs: ChargingNeeds,
    *,
    until: datetime,
    leaves: datetime | None,
    default_w: int | None,
    visit_id: str | None,
    plan: Plan | None,
    prices: Sequence[tuple[datetime, Decimal]],
    currency: str,
) -> Outlook | None:
    """What a vehicle is told of the time after a level that ends at ``until``: what the plan has for it, but never more than the
    default, which is what it can rely on should nobody renew its level (ADR 0013). None: its default is not known."""
    if default_w is None:
        return None
    ends = min(until + AHEAD, leaves) if leaves is not None and leaves > until else until + AHEAD
    moments = [until]
    if plan is not None and visit_id is not None:
        moments += [at for k in range(len(plan.site_w)) if until < (at := plan.start + timedelta(seconds=k * plan.slot_s)) < ends]
    most = min(MOST_STEPS, needs.tuples or MOST_STEPS)
    steps: list[tuple[datetime, int]] = []
    for at in moments:
        planned_w = plan.power_at(visit_id, at) if plan is not None and visit_id is not None else None
        level_w = default_w if planned_w is None else min(default_w, planned_w)
        if steps and steps[-1][1] == level_w:
            continue
        if len(steps) >= most - 1:  # the live level is an entry, too
            if steps:
                steps[-1] = (steps[-1][0], max(steps[-1][1], level_w))
            continue
        steps.append((at, level_w))
    return Outlook(tuple(steps), ends, tuple(prices)[:most], currency, most, needs.iso_20)
