"""Fills the read model from facts, readings and the last allocation. Pure reading: nothing here changes anything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol, SupportsFloat
from zoneinfo import ZoneInfo

from controller import limits
from controller import readmodel as rm
from controller.alarm_view import alarm_counts
from controller.chain import vehicle_w
from controller.history import History
from controller.loop import ControlLoop
from controller.notices import NoticeBoard, answer
from controller.orders import Orders
from controller.planner import PlannerState
from controller.planning import Planning
from controller.planning_problem import Prices
from controller.readiness import Readiness, Standing, predict
from controller.views_charger import Frame, charger_view, command_view
from controller.views_tiles import tile
from controller.yard import Yard
from depot import events as ev
from depot.state import Visit
from depot.values import ConnectorId, DepotError, Limit, LimitSource

METER_STALE_S = 3.0
PORTION = 50
"""So many vehicles or connectors of a view are made in one go: some milliseconds on a slow machine."""
TURNS_MOST_S = 0.25
"""When a view has been under way for so long, the rest of it is made in one go."""
SOON = timedelta(hours=16)
"""Vehicles that are announced to arrive within this time count with those that are here."""

SOURCE_TEXT = {
    LimitSource.CONTRACT: "grid contract",
    LimitSource.RATING: "feeder rating",
    LimitSource.MANUAL: "manual limit",
    LimitSource.SCADA: "SCADA",
    LimitSource.FAILSAFE: "fail-safe",
    LimitSource.SAFETY: "safety",
    LimitSource.BATTERY: "battery",
    LimitSource.GENERATOR: "generator",
    LimitSource.EXTERNAL: "external, at the station",
    LimitSource.COMEBACK: "slow return",
    LimitSource.DEMAND_RESPONSE: "demand response",
    LimitSource.SCHEDULE: "schedule",
    LimitSource.REFERENCE_TEST: "reference test",
}


class TariffSteps(Prices, Protocol):
    """Prices with their steps, for the chart's strip."""

    def steps(self, start: datetime, stop: datetime) -> Sequence[tuple[datetime, SupportsFloat]]: ...


@dataclass(slots=True)
class Views:
    """Builds the views. ``frames(station_id)``: the newest messages of a station, redacted."""

    yard: Yard
    loop: ControlLoop
    planning: Planning
    history: History
    orders: Orders
    tariff: TariffSteps
    frames: Callable[[str], Sequence[Frame]]
    clock_speed: float = 1.0
    planner_state: Callable[[], PlannerState] = lambda: PlannerState.OFF
    process: Callable[[], rm.ProcessView | None] = lambda: None
    trips: Callable[[], list[rm.TripBrief]] = list
    board: NoticeBoard = field(init=False)

    def __post_init__(self) -> None:
        self.board = NoticeBoard(self.yard)

    # -- now ----------------------------------------------------------------------------------------------------

    async def now_by_turns(self) -> rm.NowView:
        """The whole page as :meth:`now` makes it; of a large depot the parts for each vehicle and connector in portions, so that
        messages of chargers have their turn in between, as long as that does not keep the page waiting. A vehicle or connector
        is as it was when its portion was made."""
        yard, now, spec, running = self.yard, self.yard.clock.now(), self.yard.spec, asyncio.get_running_loop()
        patience_s = running.time() + TURNS_MOST_S
        readiness: dict[str, Readiness] = {}
        for n, visit in enumerate(list(yard.state.visits.values()), start=1):
            readiness[visit.visit_id] = self.ready(visit, now)
            if n % PORTION == 0 and running.time() < patience_s:
                await asyncio.sleep(0)
        tiles: list[rm.Tile] = []
        for key in spec.connectors:
            tiles.append(self._tile(key, now, readiness))
            if len(tiles) % PORTION == 0 and running.time() < patience_s:
                await asyncio.sleep(0)
                if yard.spec is not spec:
                    return self.now()  # another depot meanwhile
        return self.now(readiness, tiles)

    def now(self, readiness: dict[str, Readiness] | None = None, tiles: list[rm.Tile] | None = None) -> rm.NowView:
        """The whole page. ``readiness`` and ``tiles``: what is made of it already."""
        yard, now = self.yard, self.yard.clock.now()
        made = readiness or {}
        readiness = {v.visit_id: made.get(v.visit_id) or self.ready(v, now) for v in yard.state.visits.values()}
        counted = [v for v in yard.state.visits.values() if v.present or now <= v.announced.arrive_at <= now + SOON]
        late = [v for v in counted if readiness[v.visit_id].standing is Standing.LATE]
        late.sort(key=lambda v: v.announced.depart_at)
        counts, site, health = _counts(counted, readiness, now, sessions=len(yard.state.transactions)), self._site(now), self._health()
        trips = self.trips()
        scopes = ("site", *(f.feeder_id for f in yard.spec.feeders))
        return rm.NowView(
            depot_id=yard.spec.depot_id,
            depot_name=yard.spec.name,
            timezone=yard.spec.timezone,
            at=now,
            tick=self.loop.ticks,
            seq=yard.state.seq,
            clock_speed=self.clock_speed,
            answer=answer(counts, site, health, late, trips),
            counts=counts,
            site=site,
            feeders=[self._feeder(i, now) for i in range(len(yard.spec.feeders))],
            tiles=tiles if tiles is not None else [self._tile(key, now, readiness) for key in yard.spec.connectors],
            chart=self._chart(now),
            notices=self.board.build(now, readiness=readiness, health=health, site=site, planner_failed_since=self.planning.failed_since),
            health=health,
            limits=[self._limit_view(limit, now) for limit in self.loop.limits_in_force() if limit.holds_at(now)],
            commands=[command_view(o) for o in list(self.orders.recent) if o.target in scopes][-10:],
            alarms=alarm_counts(yard.state.alarms),
            trips=trips,
        )

    def charger(self, connector: str) -> rm.ChargerView | None:
        """One connector's page; None where the registry does not know it."""
        yard, now = self.yard, self.yard.clock.now()
        try:
            key = ConnectorId.parse(connector)
            yard.spec.connector(key)
        except DepotError:
            return None
        visit = yard.visit_on(key)
        readiness = {visit.visit_id: self.ready(visit, now)} if visit is not None else {}
        return charger_view(
            yard,
            key,
            now,
            tile=self._tile(key, now, readiness),
            history=self.history,
            frames=self.frames(key.station_id),
            orders=reversed(self.orders.recent),
        )

    def _tile(self, key: ConnectorId, now: datetime, readiness: dict[str, Readiness]) -> rm.Tile:
        visit = self.yard.visit_on(key)
        return tile(self.yard, key, now, readiness.get(visit.visit_id) if visit is not None else None)

    def ready(self, visit: Visit, now: datetime) -> Readiness:
        """The prediction of a visit."""
        yard, stay, key = self.yard, visit.announced, visit.connector
        power_w, blocked = 0, visit.held
        most_w: int | None = stay.max_w
        remaining_wh = yard.remaining_wh(visit)
        if key is not None and visit.present:
            grant, facts = yard.grants[key], yard.state.connector(key)
            power_w = max(0, grant.measured_w or 0) if grant.in_session else 0
            most_w, allowed_w = vehicle_w(yard, key), yard.allowed_w(key, visit)
            if allowed_w is not None:
                most_w = allowed_w if most_w is None else min(most_w, allowed_w)
            blocked = visit.held or not facts.operative or facts.status is ev.ConnectorStatus.FAULTED or allowed_w == 0
            if yard.full(visit, now):
                remaining_wh = 0
        return predict(
            visit_id=visit.visit_id,
            remaining_wh=remaining_wh,
            needed_wh=visit.needed_wh,
            begins=now if visit.present else stay.arrive_at,
            depart_at=stay.depart_at,
            now=now,
            power_w=power_w,
            most_w=most_w,
            plan=yard.plan,
            blocked=blocked,
        )

    def _limit_view(self, limit: Limit, now: datetime) -> rm.LimitView:
        after = None
        if limit.until is not None:
            later = limits.binding([x for x in self.loop.limits_in_force() if x.limit_id != limit.limit_id], limit.scope_id, limit.until)
            after = later.value if later else None
        return rm.LimitView(
            scope_id=limit.scope_id,
            value_w=limit.value,
            source=limit.source.value,
            text=SOURCE_TEXT[limit.source],
            since=limit.from_,
            until=limit.until,
            then_w=after,
            set_by=limit.set_by,
            reason=limit.reason,
        )

    def _binding(self, scope: str, now: datetime) -> rm.LimitView:
        limit = limits.binding(self.loop.limits_in_force(), scope, now)
        if limit is None:
            raise LookupError(f"no limit holds for {scope or 'the site'}")
        return self._limit_view(limit, now)

    def _site(self, now: datetime) -> rm.SiteView:
        reading = self.yard.site_reading
        age = (now - reading.at).total_seconds() if reading is not None else None
        stale = age is None or age > METER_STALE_S * max(1.0, self.clock_speed / 10)
        limit = self._binding("", now)
        charging = self._charging_w()
        last = self.yard.last
        background = last.background.now_w if last is not None else self.yard.spec.worst_background_w
        power = reading.power_w if reading is not None else None
        known = power if power is not None and not stale else charging + background
        block_ends = self.history.block_start(now) + timedelta(minutes=self.history.block_min)
        return rm.SiteView(
            power_w=power,
            power_age_s=age,
            stale=stale and self.yard.spec.metered,
            limit=limit,
            headroom_w=limit.value_w - known,
            background_w=background,
            charging_w=charging,
            demand_block_w=self.history.block_expected_w(now, known),
            demand_block_ends_at=block_ends,
            energy_today_wh=round(self.history.energy_wh),
            cost_today=round(self.history.cost, 2),
            counted_since=self.history.counted_since,
            currency=self.tariff.currency,
        )

    def _charging_w(self) -> int:
        return sum(grant.measured_w or 0 for grant in self.yard.grants.values() if grant.in_session)

    def _feeder(self, index: int, now: datetime) -> rm.FeederView:
        spec = self.yard.spec.feeders[index]
        now_s = now.timestamp()
        power = reserved = 0
        for key, feeder_id in self.yard.spec.feeder_of.items():
            if feeder_id != spec.feeder_id:
                continue
            grant = self.yard.grants[key]
            measured = (grant.measured_w or 0) if grant.in_session else 0
            power += measured
            if not self.yard.connected(key.station_id) or grant.trust is ev.TrustLevel.DEFIANT:
                reserved += max(0, grant.bound_w(now_s) - measured)
        return rm.FeederView(
            feeder_id=spec.feeder_id,
            name=spec.name or spec.feeder_id,
            power_w=power,
            reserved_w=reserved,
            limit=self._binding(spec.feeder_id, now),
        )

    def _health(self) -> rm.Health:
        yard = self.yard
        frozen = yard.journal.frozen
        stations = {s.station_id for s in yard.spec.stations}
        return rm.Health(
            planner=self.planner_state().value,
            planner_text=self.planning.text,
            journal="frozen" if frozen else "writing",
            journal_text="Free disk space or unlock the database; nothing new starts and nothing rises until then."
            if frozen
            else "every fact is stored",
            stations_connected=sum(1 for s in stations if yard.connected(s)),
            stations_total=len(stations),
            quarantined=sorted(s.station_id for s in yard.state.stations.values() if s.quarantined and s.station_id not in stations),
            tick_ms=round(self.loop.tick_s * 1000, 2),
            process=self.process(),
        )

    # -- chart --------------------------------------------------------------------------------------------------

    def _chart(self, now: datetime) -> rm.Chart:
        zone = ZoneInfo(self.yard.spec.timezone)
        local = now.astimezone(zone)
        noon = local.replace(hour=12, minute=0, second=0, microsecond=0)
        start_local = noon if local >= noon else noon - timedelta(days=1)
        start = start_local.astimezone(now.tzinfo)
        stop = (start_local + timedelta(days=1)).astimezone(now.tzinfo)
        minutes = [m for m in self.history.minutes if start <= m.at < stop]
        step = max(1, len(minutes) // 288)
        measured = [rm.Point(m.at, float(m.site_w)) for m in minutes[::step] if m.site_w is not None]
        plan: list[rm.Point] = []
        if self.yard.plan is not None:
            for k, watts in enumerate(self.yard.plan.site_w):
                at = self.yard.plan.start + timedelta(seconds=k * self.yard.plan.slot_s)
                if at + timedelta(seconds=self.yard.plan.slot_s) > now and at < stop:
                    plan.append(rm.Point(max(at, now), float(watts)))
        past: list[rm.Point] = []
        for m in minutes:
            if not past or past[-1].value != m.limit_w:
                past.append(rm.Point(m.at, float(m.limit_w)))
        coming = limits.steps(self.loop.limits_in_force(), "", start=now, stop=stop)
        limit_points = past + [rm.Point(at, float(limit.value)) for at, limit in coming]
        if not past and limit_points:
            limit_points[0] = rm.Point(start, limit_points[0].value)
        price = [rm.Point(at, float(value)) for at, value in self.tariff.steps(start, stop)]
        return rm.Chart(start=start, stop=stop, measured=measured, plan=plan, limit=limit_points, price=price)


def _counts(counted: Sequence[Visit], readiness: dict[str, Readiness], now: datetime, *, sessions: int) -> rm.Counts:
    """``counted``: the visits that are here or come soon."""
    standings = [readiness[v.visit_id].standing for v in counted]
    leaving = min((v for v in counted if v.announced.depart_at > now), key=lambda v: v.announced.depart_at, default=None)
    return rm.Counts(
        vehicles=len(counted),
        on_time=sum(s in (Standing.ON_TIME, Standing.READY) for s in standings),
        at_risk=standings.count(Standing.AT_RISK),
        late=standings.count(Standing.LATE),
        next_departure=leaving.announced.vehicle_id if leaving else None,
        next_departure_at=leaving.announced.depart_at if leaving else None,
        sessions=sessions,
    )
