"""Which rows shall give to the grid now: the plan's wish, as far as each vehicle's need and reserve let it (decision 14).

    plan (W < 0) --may it at all?--> controller.giving.may_give_w --> Row.give_w

Gathers what `controller.giving` decides with. Only a plan discharges: without one, or for a vehicle without time to lose, nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from controller import giving, limits
from controller.allocation import Row
from controller.giving import Giver, Spare
from controller.grants import EXPIRY_SKEW_S
from controller.traffic import LoopSettings, Traffic
from controller.yard import Yard
from depot.events import TrustLevel
from depot.state import Visit
from depot.values import ConnectorId, Limit

BIDIRECTIONAL_VERSIONS = frozenset({"2.1"})
"""Versions of OCPP with operation modes: before them a profile cannot ask for power."""


def wishes(
    yard: Yard,
    settings: LoopSettings,
    traffic: Mapping[ConnectorId, Traffic],
    rows: Sequence[Row],
    planned: Mapping[str, int] | None,
    *,
    now: datetime,
    in_force: Sequence[Limit],
) -> None:
    """Set ``give_w`` of the rows whose vehicles the plan wants to give. Who leaves last is asked first."""
    if not planned or min(planned.values(), default=0) >= 0:
        return
    spare: Spare | None = None
    for row in sorted(rows, key=lambda row: row.rank, reverse=True):
        visit = yard.visit_on(row.key)
        wish_w = -planned.get(visit.visit_id, 0) if visit is not None else 0
        if visit is None or wish_w <= 0 or traffic[row.key].pressed or not able(yard, row.key, visit):
            continue
        if not (row.session or row.startable) or row.unsafe or row.waits or row.on_off:
            continue
        giver = giver_of(yard, settings, row, visit, wish_w, now)
        if giver is None:
            continue
        spare = spare if spare is not None else spare_of(yard, in_force, now)
        row.give_w = giving.may_give_w(giver, spare, life_s=settings.life_s + EXPIRY_SKEW_S)


def able(yard: Yard, key: ConnectorId, visit: Visit) -> bool:
    """Whether this connector and vehicle can be asked to give at all: built and registered for it, spoken to in a version that
    has words for it, and never seen not to follow a level. Safety must have nothing against them, and nobody gives in a
    reference test."""
    link, grant = yard.links.get(key.station_id), yard.grants[key]
    return (
        yard.may_discharge_w(key, visit) > 0
        and (link is not None and link.connected and link.version in BIDIRECTIONAL_VERSIONS)
        and yard.allowed_w(key, visit) is None
        and grant.trust in (TrustLevel.UNPROVEN, TrustLevel.OBEYS)
        and not grant.by_hand
        and not visit.held
        and visit.announced.vehicle_id not in yard.tested
    )


def giver_of(yard: Yard, settings: LoopSettings, row: Row, visit: Visit, wish_w: int, now: datetime) -> Giver | None:
    """What is decided with; None: something is not known, or its meter is silent."""
    key, grant, stay = row.key, yard.grants[row.key], visit.announced
    battery_wh, now_s = yard.battery_wh(visit), now.timestamp()
    gives = row.told_w < 0
    heard_s = max(grant.measured_at_s, grant.told_at_s + grant.settle_s)
    if gives and now_s - heard_s > giving.FRESH_S * settings.pace:
        return None
    # where its session is begun for it, nothing is given before its station has said how full it is
    soc = yard.least_soc(key, visit, fresh_s=giving.SOC_FRESH_S * settings.pace) if row.session else stay.soc_arrival
    if soc is None or not battery_wh:
        return None
    spec = yard.spec.connectors[key]
    return Giver(
        feeder_id=yard.spec.feeder_of[key],
        remaining_wh=yard.remaining_wh(visit),
        stored_wh=soc * battery_wh,
        reserve_wh=settings.reserve_soc * battery_wh,
        left_s=(stay.depart_at - now).total_seconds(),
        takes_w=min(spec.rated_w, stay.max_w or spec.rated_w, yard.acceptance_w.get(key) or spec.rated_w),
        most_w=min(wish_w, yard.may_discharge_w(key, visit)),
        efficiency=stay.efficiency,
        capacity_wh=battery_wh,
        gives=gives,
    )


def spare_of(yard: Yard, in_force: Sequence[Limit], now: datetime) -> Spare:
    """What the limits that are known leave beside the worst background, and what everybody here and announced still needs."""
    spec = yard.spec
    needs = [
        ((visit.announced.depart_at - now).total_seconds(), spec.feeder_of[visit.connector], float(yard.remaining_wh(visit)))
        for visit in yard.state.visits.values()
        if visit.connector in spec.feeder_of and visit.connector is not None and not visit.held and visit.announced.depart_at > now
    ]
    last = now + timedelta(seconds=max((due_s for due_s, _, _ in needs), default=0.0) + 1)

    def steps(scope: str, less_w: int) -> list[tuple[float, int]]:
        found = limits.steps(in_force, scope, start=now, stop=last)
        return [((at - now).total_seconds(), limit.value - less_w) for at, limit in found]

    power_w = {feeder.feeder_id: steps(feeder.feeder_id, 0) for feeder in spec.feeders}
    return Spare(needs, {"": steps("", spec.worst_background_w), **power_w})
