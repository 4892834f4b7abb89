"""The Grid room: follows the demand block, and shows the connection as a whole.

    meter, once a second --> DemandBlocks --> feedback of the utility's block, GridView
    facts, limits, link  -------------------> GridView

The utility's link itself is `controller.utility`'s; here it is only looked at.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from controller import limits
from controller.grid_view import (
    DemandView,
    GridFeeder,
    GridView,
    MeterView,
    UtilityView,
    compliance_word,
    demand_view,
    limit_rows,
    utility_view,
)
from controller.history import History
from controller.loop import ControlLoop
from controller.room import Carrier, Viewer
from controller.utility import Utility, complies
from controller.yard import Yard
from depot import events as ev
from depot.commands import Command
from grid.demand import DemandBlocks, DemandStatus
from grid.limit_server import LimitServer

LOOK_S = 1.0


class GridRoom:
    """One per depot. ``server``: the utility's limit server once it listens."""

    def __init__(self, yard: Yard, loop: ControlLoop, history: History, utility: Utility | None) -> None:
        self.server: LimitServer | None = None
        self._yard = yard
        self._loop = loop
        self._history = history
        self._utility = utility
        self._blocks = DemandBlocks(interval_min=history.block_min, timezone=yard.spec.timezone)
        self._known_since: datetime | None = None
        self._taken: datetime | None = None
        for minute in history.minutes:  # what was measured before this start counts for the running block and the month
            if minute.site_w is not None:
                self._measured(minute.at, minute.site_w)
        if utility is not None:
            utility.demand = self.demand

    # -- Room ---------------------------------------------------------------------------------------------------

    @property
    def commands(self) -> Mapping[type[Command], Carrier]:
        return {}

    @property
    def views(self) -> Mapping[type[Struct], Viewer]:
        return {GridView: self._view}

    async def run(self) -> None:
        """Take the meter's readings into the demand block, until cancelled."""
        while True:
            self.look()
            await self._yard.clock.sleep(LOOK_S)

    def look(self) -> None:
        """Take the newest reading of the meter, once."""
        reading = self._yard.site_reading
        if reading is not None and reading.at != self._taken:
            self._taken = reading.at
            self._measured(reading.at, reading.power_w)

    def demand(self, now: datetime) -> DemandStatus | None:
        """The running demand block; None where nothing measures it."""
        return self._blocks.status(now) if self._yard.spec.metered else None

    def _measured(self, at: datetime, power_w: int) -> None:
        month = self._local_month(at)
        if self._known_since is None or self._local_month(self._known_since) != month:
            self._known_since = at
        self._blocks = self._blocks.advanced(at, power_w)

    def _local_month(self, at: datetime) -> tuple[int, int]:
        local = at.astimezone(self._history.zone)
        return local.year, local.month

    # -- the view -----------------------------------------------------------------------------------------------

    async def _view(self, _args: Mapping[str, str]) -> GridView:
        return self.view()

    def view(self) -> GridView:
        """Everything, fresh."""
        yard, now = self._yard, self._yard.clock.now()
        found = self._loop.limits_in_force()
        charging_w = sum(grant.measured_w or 0 for grant in yard.grants.values() if grant.in_session)
        last = yard.last
        background_w = last.background.now_w if last is not None else yard.spec.worst_background_w
        meter = self._meter(now)
        site_w = charging_w + background_w if meter is None or meter.power_w is None or meter.stale else meter.power_w
        feeders = [self._feeder(n, now) for n in range(len(yard.spec.feeders))]
        used_w: dict[str, int | None] = {"": site_w, **{f.feeder_id: f.power_w + f.reserved_w for f in feeders}}
        binds = limits.binding(found, "", now)
        return GridView(
            at=now,
            contract_w=yard.spec.contract_w,
            failsafe_w=yard.spec.failsafe_w,
            site_w=site_w,
            charging_w=charging_w,
            background_w=background_w,
            compliance=self._compliance(now, binds.value if binds is not None else yard.spec.contract_w),
            limits=limit_rows(found, used_w, now),
            feeders=feeders,
            demand=self._demand(now, binds.value if binds is not None else None),
            utility=self._link(),
            meter=meter,
        )

    def _compliance(self, now: datetime, limit_w: int) -> str:
        if self._utility is not None:
            return compliance_word(self._utility.feedback().compliance)
        reading = self._yard.site_reading
        return compliance_word(complies(self._yard, None if reading is None else reading.power_w, limit_w, changed_s=math.inf))

    def _link(self) -> UtilityView | None:
        utility = self._utility
        if utility is None:
            return None
        return utility_view(utility.link, utility.verdict, self.server, at=utility.steady.now(), ahead=utility.steady.ahead())

    def _meter(self, now: datetime) -> MeterView | None:
        yard = self._yard
        if not yard.spec.metered:
            return None
        reading, last = yard.site_reading, yard.last
        return MeterView(
            power_w=None if reading is None else reading.power_w,
            age_s=None if reading is None else (now - reading.at).total_seconds(),
            stale=reading is None or (last is not None and last.background.stale),
            blind=last is not None and last.background.blind,
            background_w=yard.spec.worst_background_w if last is None else last.background.now_w,
            worst_w=yard.spec.worst_background_w,
        )

    def _demand(self, now: datetime, limit_w: int | None) -> DemandView:
        status = self._blocks.status(now)
        allowed_w = self._blocks.allowed_w(limit_w, now) if limit_w is not None and status.mean_w is not None else None
        return demand_view(
            status,
            self._history.minutes,
            now=now,
            block_min=self._history.block_min,
            allowed_w=allowed_w,
            since=self._known_since,
        )

    def _feeder(self, number: int, now: datetime) -> GridFeeder:
        yard = self._yard
        spec = yard.spec.feeders[number]
        power_w = reserved_w = connectors = charging = 0
        for key, feeder_id in yard.spec.feeder_of.items():
            if feeder_id != spec.feeder_id:
                continue
            grant = yard.grants[key]
            drawn_w = (grant.measured_w or 0) if grant.in_session else 0
            connectors += 1
            charging += drawn_w > 0
            power_w += drawn_w
            if not yard.connected(key.station_id) or grant.trust is ev.TrustLevel.DEFIANT:
                reserved_w += max(0, grant.bound_w(now.timestamp()) - drawn_w)
        binds = limits.binding(self._loop.limits_in_force(), spec.feeder_id, now)
        return GridFeeder(
            feeder_id=spec.feeder_id,
            name=spec.name or spec.feeder_id,
            power_w=power_w,
            reserved_w=reserved_w,
            limit_w=binds.value if binds is not None else spec.rating_w,
            source=binds.source.value if binds is not None else "rating",
            rating_w=spec.rating_w,
            connectors=connectors,
            charging=charging,
        )
