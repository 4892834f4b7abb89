"""Facts of smart charging -> rows for pages and API."""

from __future__ import annotations

from datetime import datetime

from controller.smart_charging import differs
from controller.smart_charging_rows import ExternalLimitRow, NeedsRow, StepRow
from controller.yard import Yard
from depot.smart_charging import ChargingNeeds, ExternalLimit, VehicleWord
from depot.state import OWN_STAY
from depot.values import ConnectorId


def needs_row(yard: Yard, key: ConnectorId, word: VehicleWord) -> NeedsRow:
    """One vehicle's word for people."""
    needs = word.needs or ChargingNeeds("")
    visit = yard.visit_on(key)
    own = visit is not None and visit.visit_id.startswith(OWN_STAY)
    beyond = differs(visit, needs, remaining_wh=yard.remaining_wh(visit)) if visit is not None and not own else ""
    told = word.schedule
    return NeedsRow(
        station_id=key.station_id, connector=key.connector, told_at=word.told_at, mode=needs.mode, departure=needs.departure,
        energy_wh=needs.wanted_wh, min_energy_wh=needs.min_energy_wh, max_energy_wh=needs.max_energy_wh, min_w=needs.min_w,
        max_w=needs.max_w, discharge_max_w=needs.discharge_max_w, capacity_wh=needs.capacity_wh, soc=needs.soc,
        target_soc=needs.target_soc, control=needs.control, offers=list(needs.offers), differs=beyond, own_stay=own,
        schedule=[] if told is None else [StepRow(at=step.at, level_w=step.level_w) for step in told.steps],
        schedule_at=word.schedule_at, schedule_ok=None if told is None else not word.exceeds, exceeds=word.exceeds,
    )  # fmt: skip


def limit_row(limit: ExternalLimit, now: datetime) -> ExternalLimitRow:
    """One limit for people."""
    if limit.stale:
        note = "the station has booted since, and did not say it again"
    elif limit.generation:
        note = "power generated there; it limits nothing"
    elif not limit.holds(now):
        note = "it is over" if limit.until is not None else "it was not repeated for a day"
    else:
        note = "" if limit.level_at(now) is not None else "it names no level for this moment"
    return ExternalLimitRow(
        station_id=limit.station_id, evse=limit.evse, source=limit.source, level_w=limit.level_at(now), told_at=limit.told_at,
        until=limit.until, critical=limit.critical, counts=not note, note=note,
        steps=[StepRow(at=step.at, level_w=step.level_w) for step in limit.steps],
    )  # fmt: skip
