"""What a reference test sees of the yard: what a stay offers it, and what there is at one look. Reading only.

(yard, stay) --offered()--> Offer, or a sentence: what it waits for
(yard, stay, what it lacked before) --seen()--> Seen
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from controller.reference_programme import Offer, Seen
from controller.yard import Yard
from depot.reference_tests import ReferenceTest
from depot.state import Visit
from depot.values import Because, ConnectorId

SOC_FRESH_S: Final = 900.0
METER_FRESH_S: Final = 90.0
TAKES_NOTHING: Final = timedelta(minutes=2)
LEFT_ALONE: Final = timedelta(minutes=10)
"""A test is over so long before its vehicle leaves."""

UNTOUCHED: Final = 0.02
"""Until so much of its battery was charged, the announced state of charge still holds."""

WITHIN: Final = {
    Because.FEEDER: "its feeder had no room",
    Because.SITE: "the site had no room",
    Because.SAFETY: "safety held it back",
    Because.EXTERNAL: "somebody else's limit at the station held it back",
    Because.FROZEN: "the journal could not write",
    Because.PICKUP: "power had just come back",
}


@dataclass(frozen=True, slots=True)
class Lacking:
    """What a battery lacked to be full, Wh at the charger, when its stay had received ``delivered_wh``."""

    wh: int
    delivered_wh: int


def place_of(yard: Yard, vehicle_id: str) -> tuple[ConnectorId, Visit] | None:
    """Where a vehicle is plugged in now; None: nowhere that is known."""
    found = ((key, visit) for key, visit in yard.present_visits().items() if visit.announced.vehicle_id == vehicle_id)
    return next(((key, visit) for key, visit in found if key in yard.spec.connectors), None)


def leaves_at(yard: Yard, visit: Visit) -> datetime:
    """Until when a test may last: a margin before it departs, and before it is warmed or cooled."""
    load = yard.load(visit)
    departs = visit.announced.depart_at - LEFT_ALONE
    return departs if load is None else min(departs, load.from_)


def soc_of(yard: Yard, key: ConnectorId, visit: Visit) -> float | None:
    """Its state of charge by its own word, else as announced while nothing was charged yet; None: not known."""
    said = yard.least_soc(key, visit, fresh_s=SOC_FRESH_S)
    if said is not None:
        return said
    battery_wh = yard.battery_wh(visit)
    untouched = battery_wh and _delivered_wh(yard, key, visit) <= UNTOUCHED * battery_wh
    return visit.announced.soc_arrival if untouched else None


def against(yard: Yard, key: ConnectorId, visit: Visit) -> str:
    """Why nothing may be tested there, for people; "": nothing is against it."""
    unsafe = yard.unsafe(key, visit)
    if unsafe is not None:
        return unsafe
    if visit.held:
        return "a person stopped its charging"
    if not yard.state.connector(key).operative:
        return "its charger is out of service"
    return "its charger follows no level" if yard.on_off(key) else ""


def most_w(yard: Yard, key: ConnectorId, visit: Visit, *, seen_to_take: bool) -> int:
    """The most that it could draw, by rating, announcement, its own word, and its battery's limits. ``seen_to_take``: and by what it was
    seen to take."""
    share = yard.phase_share.get(key, 1.0)
    spec = yard.spec.connectors[key]
    found = [round(spec.rated_w * share), visit.announced.max_w or spec.rated_w]
    said_w, allowed_w, accepts_w = yard.said_w(key), yard.allowed_w(key, visit), yard.acceptance_w.get(key)
    found += [round(level * share) for level in (said_w, allowed_w) if level is not None]
    if seen_to_take and accepts_w is not None:
        found.append(accepts_w)
    return max(0, min(found))


def offered(yard: Yard, test: ReferenceTest, now: datetime) -> tuple[ConnectorId, Visit, Offer] | str:
    """What the vehicle's stay offers; or what the test waits for, for people."""
    place = place_of(yard, test.vehicle_id)
    if place is None:
        return "the vehicle is not plugged in"
    key, visit = place
    why = against(yard, key, visit)
    if why:
        return why
    if not yard.connected(key.station_id):
        return "its charger is out of reach"
    if yard.grants[key].in_session and not yard.pausable(key, visit):
        return "its session cannot pause: it begins where the vehicle is plugged in before it charges"
    battery_wh = yard.battery_wh(visit)
    soc = soc_of(yard, key, visit)
    if not battery_wh:
        return "the size of its battery is not known: enter it in the registry"
    if soc is None:
        return "its state of charge is not known now"
    if soc > test.most_soc:
        return f"its state of charge is {soc:.0%}: the test begins at {test.most_soc:.0%} or less"
    share = yard.phase_share.get(key, 1.0)
    offer = Offer(
        most_w=most_w(yard, key, visit, seen_to_take=True),
        least_w=math.ceil(yard.spec.connectors[key].min_w * share),
        battery_wh=battery_wh,
        lacks_wh=round((1.0 - soc) * battery_wh / visit.announced.efficiency),
        left_s=(leaves_at(yard, visit) - now).total_seconds(),
        pulses=test.pulses,
    )
    return key, visit, offer


def lacking(yard: Yard, key: ConnectorId, visit: Visit, before: Lacking | None) -> Lacking | None:
    """What it lacks now: by its word, else what it lacked less what it received since; None: nobody ever said."""
    soc, delivered_wh = soc_of(yard, key, visit), _delivered_wh(yard, key, visit)
    if soc is not None:
        return Lacking(max(0, round((1.0 - soc) * yard.battery_wh(visit) / visit.announced.efficiency)), delivered_wh)
    return None if before is None else Lacking(max(0, before.wh - (delivered_wh - before.delivered_wh)), delivered_wh)


def seen(yard: Yard, test: ReferenceTest, lacks: Lacking | None, now: datetime) -> Seen:
    """One look. A vehicle that is no longer in the stay of its test is not there."""
    place = place_of(yard, test.vehicle_id)
    if place is None or place[0] != test.connector or place[1].visit_id != test.visit_id:
        return Seen(now, False, True, False, "", 0, None, 0, None, False, 0, now)
    key, visit = place
    grant, idle_since = yard.grants[key], yard.full_since.get(key)
    fresh = now.timestamp() - grant.measured_at_s <= METER_FRESH_S
    return Seen(
        now,
        present=True,
        reachable=yard.connected(key.station_id),
        session=grant.in_session,
        against=against(yard, key, visit),
        most_w=most_w(yard, key, visit, seen_to_take=False),
        measured_w=grant.measured_w if fresh else None,
        told_w=round(max(0, grant.told_w) * yard.phase_share.get(key, 1.0)) if grant.in_session else 0,
        soc=yard.least_soc(key, visit, fresh_s=SOC_FRESH_S),
        takes_nothing=idle_since is not None and now - idle_since >= TAKES_NOTHING,
        lacks_wh=0 if lacks is None else lacks.wh,
        leaves_at=leaves_at(yard, visit),
        held_by=_held_by(yard, key),
    )


def _held_by(yard: Yard, key: ConnectorId) -> str:
    last = yard.last
    if last is None or key not in last.index:
        return ""
    return WITHIN.get(last.allocation.because[last.index[key]], "")


def _delivered_wh(yard: Yard, key: ConnectorId, visit: Visit) -> int:
    return visit.delivered_wh + yard.session_energy_wh(key)
