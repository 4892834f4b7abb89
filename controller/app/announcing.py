"""What the depot is told of a simulated stay, as its timetable would say it."""

from __future__ import annotations

from datetime import datetime, timedelta

from depot.events.visits import VisitAnnounced
from simulator.day import Stay
from simulator.world import id_tag


def announcement(stay: Stay, start: datetime, *, known_pausable: bool | None = True) -> VisitAnnounced:
    """What the depot is told of a stay: requested energy and stated departure, never what really happens."""
    return VisitAnnounced(
        visit_id=f"{stay.vehicle_id}@{round(stay.arrive_s)}",
        vehicle_id=stay.vehicle_id,
        arrive_at=start + timedelta(seconds=stay.arrive_s),
        depart_at=start + timedelta(seconds=max(stay.stated_depart_s, stay.arrive_s + 60)),
        battery_energy_wh=stay.requested_wh,
        max_w=stay.max_w,
        min_w=stay.min_w,
        connector=stay.connector,
        efficiency=stay.efficiency,
        battery_wh=stay.battery_wh,
        soc_arrival=stay.soc_arrival,
        pausable=known_pausable,
        priority=stay.priority,
        id_tag=id_tag(stay),
        discharge_w=stay.discharge_w,
    )
