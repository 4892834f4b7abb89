"""Fills the read model from facts, readings and the last allocation. Pure reading: nothing here changes anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from controller import limits
from controller import readmodel as rm
from controller.chain import reason_chain
from controller.history import History
from controller.loop import ControlLoop
from controller.orders import Order, Orders
from controller.planner import PlannerState
from controller.planning import Planning, Prices
from controller.readiness import Readiness, Standing, predict
from controller.yard import Yard
from depot import events as ev
from depot.state import Visit
from depot.values import ConnectorId, Limit, LimitSource

METER_STALE_S = 3.0

SOURCE_TEXT = {
    LimitSource.CONTRACT: "grid contract",
    LimitSource.RATING: "feeder rating",
    LimitSource.MANUAL: "manual limit",
    LimitSource.SCADA: "SCADA",
    LimitSource.FAILSAFE: "fail-safe, no meter",
    LimitSource.SAFETY: "safety",
}


class Frame(Protocol):
    """A line of a station's message log."""

    @property
    def at(self) -> datetime: ...
    @property
    def direction(self) -> str: ...
    @property
    def action(self) -> str: ...
    @property
    def summary(self) -> str: ...


class TariffSteps(Prices, Protocol):
    """Prices with their steps, for the chart's strip."""

    def steps(self, start: datetime, stop: datetime) -> Sequence[tuple[datetime, object]]: ...


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

    # -- now ----------------------------------------------------------------------------------------------------

    def now(self) -> rm.NowView:
        yard, now = self.yard, self.yard.clock.now()
        readiness = self._readiness(now)
        tiles = [self._tile(key, now, readiness) for key in yard.spec.connectors]
        counts = self._counts(now, readiness)
        site = self._site(now)
        health = self._health()
        notices = self._notices(now, readiness, health, site)
        return rm.NowView(
            depot_id=yard.spec.depot_id,
            depot_name=yard.spec.name,
            timezone=yard.spec.timezone,
            at=now,
            tick=self.loop.ticks,
            seq=yard.state.seq,
            clock_speed=self.clock_speed,
            answer=self._answer(counts, site, readiness, notices),
            counts=counts,
            site=site,
            feeders=[self._feeder(i, now) for i in range(len(yard.spec.feeders))],
            tiles=tiles,
            chart=self._chart(now),
            notices=notices,
            health=health,
            limits=[self._limit_view(limit, now) for limit in self.loop.limits_in_force() if limit.holds_at(now)],
            commands=[
                _command_view(o) for o in list(self.orders.recent)[-10:] if o.target in ("site", *(f.feeder_id for f in yard.spec.feeders))
            ],
        )

    def _readiness(self, now: datetime) -> dict[str, Readiness]:
        out: dict[str, Readiness] = {}
        for visit in self.yard.state.visits.values():
            key = visit.connector
            reading = self.yard.readings.get(key) if key is not None and visit.present else None
            grant = self.yard.grants.get(key) if key is not None else None
            power = reading.power_w or 0 if reading is not None and grant is not None and grant.in_session else 0
            out[visit.visit_id] = predict(
                visit_id=visit.visit_id,
                remaining_wh=self.yard.remaining_wh(visit),
                needed_wh=visit.needed_wh,
                depart_at=visit.announced.depart_at,
                now=now,
                power_w=power,
                plan=self.yard.plan,
            )
        return out

    def _counts(self, now: datetime, readiness: dict[str, Readiness]) -> rm.Counts:
        present = [v for v in self.yard.state.visits.values() if v.present or v.announced.arrive_at <= now + timedelta(hours=16)]
        standings = [readiness[v.visit_id].standing for v in present]
        leaving = min((v for v in present if v.announced.depart_at > now), key=lambda v: v.announced.depart_at, default=None)
        return rm.Counts(
            vehicles=len(present),
            on_time=sum(s in (Standing.ON_TIME, Standing.READY) for s in standings),
            at_risk=standings.count(Standing.AT_RISK),
            late=standings.count(Standing.LATE),
            next_departure=leaving.announced.vehicle_id if leaving else None,
            next_departure_at=leaving.announced.depart_at if leaving else None,
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

    # -- tiles --------------------------------------------------------------------------------------------------

    def _tile(self, key: ConnectorId, now: datetime, readiness: dict[str, Readiness]) -> rm.Tile:
        yard = self.yard
        facts, grant, visit = yard.state.connector(key), yard.grants[key], yard.visit_on(key)
        reading = yard.readings.get(key) if grant.in_session else None
        ready = readiness.get(visit.visit_id) if visit is not None else None
        state, text = self._tile_state(key, now, visit, ready)
        single = sum(1 for other in yard.spec.connectors if other.station_id == key.station_id) == 1
        target = None
        if visit is not None and visit.announced.soc_arrival is not None and visit.announced.battery_wh:
            target = min(1.0, visit.announced.soc_arrival + visit.announced.battery_energy_wh / visit.announced.battery_wh)
        soc = reading.soc if reading is not None else None
        if soc is None and visit is not None and visit.announced.soc_arrival is not None and visit.announced.battery_wh:
            gained = (visit.delivered_wh + yard.session_energy_wh(key)) * visit.announced.efficiency
            soc = min(1.0, visit.announced.soc_arrival + gained / visit.announced.battery_wh)
        return rm.Tile(
            connector=str(key),
            label=key.station_id if single else str(key),
            feeder_id=yard.spec.feeder_of[key],
            state=state,
            state_text=text,
            vehicle_id=visit.announced.vehicle_id if visit is not None else None,
            power_w=(grant.measured_w if grant.in_session else 0) if yard.connected(key.station_id) or grant.in_session else None,
            power_age_s=(now - reading.received_at).total_seconds() if reading is not None else None,
            soc=soc,
            soc_target=target,
            due_at=visit.announced.depart_at if visit is not None else None,
            ready_at=ready.ready_at if ready is not None else None,
            margin_min=ready.margin_min(visit.announced.depart_at) if ready is not None and visit is not None else None,
            trust=facts.trust.value,
        )

    def _tile_state(self, key: ConnectorId, now: datetime, visit: Visit | None, ready: Readiness | None) -> tuple[rm.TileState, str]:
        yard = self.yard
        facts, grant = yard.state.connector(key), yard.grants[key]
        charging = grant.in_session and (grant.measured_w or 0) > 300
        if visit is not None and ready is not None and ready.standing is Standing.LATE:
            return rm.TileState.LATE, f"Late, {ready.missing_wh / 1000:.0f} kWh short"
        if facts.status is ev.ConnectorStatus.FAULTED:
            return rm.TileState.FAULTED, f"Faulted, {facts.error_code}"
        if not facts.operative:
            return rm.TileState.OUT_OF_SERVICE, "Out of service"
        if not yard.connected(key.station_id):
            return rm.TileState.OFFLINE, "Offline"
        if visit is not None and ready is not None and ready.standing is Standing.AT_RISK:
            return rm.TileState.AT_RISK, "At risk"
        if visit is None:
            if grant.in_session:
                return rm.TileState.CHARGING, "Charging, unannounced"
            if facts.status is ev.ConnectorStatus.UNKNOWN:
                return rm.TileState.UNKNOWN, "No status yet"
            if facts.status is ev.ConnectorStatus.UNAVAILABLE:
                return rm.TileState.OUT_OF_SERVICE, "Unavailable"
            return (rm.TileState.WAITING, "Plugged, unknown") if facts.status.plugged else (rm.TileState.AVAILABLE, "Available")
        if ready is not None and ready.standing is Standing.READY and not charging:
            return rm.TileState.FINISHED, "Finished"
        if charging:
            row = yard.last.index.get(key) if yard.last is not None else None
            if row is not None and yard.last is not None and yard.last.allocation.because[row].value in ("site", "feeder"):
                return rm.TileState.LIMITED, "Charging, limited"
            return rm.TileState.CHARGING, "Charging"
        if visit.held:
            return rm.TileState.WAITING, "Held by a person"
        starts = self._starts(visit, now)
        zone = ZoneInfo(yard.spec.timezone)
        return rm.TileState.WAITING, f"Starts {starts.astimezone(zone):%H:%M}" if starts is not None else "Waiting"

    def _starts(self, visit: Visit, now: datetime) -> datetime | None:
        plan = self.yard.plan
        row = plan.power_w.get(visit.visit_id) if plan is not None else None
        if plan is None or row is None:
            return None
        for k, watts in enumerate(row):
            at = plan.start + timedelta(seconds=k * plan.slot_s)
            if watts > 0 and at + timedelta(seconds=plan.slot_s) > now:
                return max(at, now)
        return None

    # -- sentences ----------------------------------------------------------------------------------------------

    def _answer(self, counts: rm.Counts, site: rm.SiteView, readiness: dict[str, Readiness], notices: list[rm.Notice]) -> rm.Answer:
        headroom = site.headroom_w or 0
        under = f"Site {headroom / 1000:.0f} kW under limit." if headroom >= 0 else f"Site {-headroom / 1000:.0f} kW OVER its limit."
        if site.stale:
            under = "The site meter is silent; the worst background is assumed."
        if headroom < 0:
            return rm.Answer(tone="alarm", text=f"No. {under}")
        if not counts.vehicles:
            return rm.Answer(tone="ok", text=f"No vehicle is expected. {under}")
        if counts.late:
            first = next(v.announced.vehicle_id for v in self.yard.state.visits.values() if readiness[v.visit_id].standing is Standing.LATE)
            others = f" and {counts.late - 1} more" if counts.late > 1 else ""
            risk = f", {counts.at_risk} at risk" if counts.at_risk else ""
            return rm.Answer(tone="alarm", text=f"No. {first}{others} will be short of energy{risk}. {under}")
        if counts.at_risk:
            return rm.Answer(
                tone="warn", text=f"Nearly. {counts.at_risk} of {counts.vehicles} vehicles have less than 10 min to spare. {under}"
            )
        return rm.Answer(tone="warn" if site.stale else "ok", text=f"Yes. All {counts.vehicles} vehicles leave on time. {under}")

    def _notices(self, now: datetime, readiness: dict[str, Readiness], health: rm.Health, site: rm.SiteView) -> list[rm.Notice]:
        yard, out = self.yard, list[rm.Notice]()
        if health.journal == "frozen":
            out.append(rm.Notice(priority=1, title="The journal cannot write", action=health.journal_text, since=now))
        if site.stale:
            out.append(
                rm.Notice(
                    priority=1,
                    title="Site meter silent",
                    action="Check the meter's power and network; less is charged until it is back.",
                    since=now,
                )
            )
        for visit in yard.state.visits.values():
            ready = readiness[visit.visit_id]
            if ready.standing is Standing.LATE and visit.present:
                out.append(
                    rm.Notice(
                        priority=1,
                        title=f"{visit.announced.vehicle_id} leaves {ready.missing_wh / 1000:.0f} kWh short",
                        action="Move its departure, raise its priority, or free another charger.",
                        since=now,
                        connector=str(visit.connector),
                    )
                )
        for key in yard.spec.connectors:
            facts = yard.state.connector(key)
            since = facts.status_since or now
            link = yard.links.get(key.station_id)
            if facts.trust is ev.TrustLevel.DEFIANT:
                out.append(
                    _notice(
                        2,
                        f"{key} does not follow limits",
                        "It is budgeted at its rating and only switched on and off. Have it serviced.",
                        since,
                        key,
                    )
                )
            elif facts.trust is ev.TrustLevel.OVERDRAWS:
                text = f"It draws {facts.trust_factor:.2f} × what it is told and is budgeted so. Have its meter and limit checked."
                out.append(_notice(3, f"{key} draws more than told", text, since, key))
            if facts.status is ev.ConnectorStatus.FAULTED:
                out.append(
                    _notice(
                        2, f"{key} faulted: {facts.error_code}", "Move its vehicle to a free charger, then look at this one.", since, key
                    )
                )
            if link is not None and not link.connected:
                held = yard.grants[key].bound_w(now.timestamp())
                action = f"Check its breaker and network. {held / 1000:.0f} kW stay reserved." if held else "Check its breaker and network."
                out.append(_notice(2, f"{key} offline", action, link.since, key))
        for station_id in health.quarantined:
            out.append(
                _notice(
                    3,
                    f"Unknown station {station_id}",
                    "If it is yours, add it to the configuration and restart; else find out who it is.",
                    now,
                    None,
                )
            )
        if health.planner in ("late", "dead"):
            out.append(rm.Notice(priority=2, title="No new plan", action=health.planner_text, since=self.planning.failed_since or now))
        out.sort(key=lambda n: (n.priority, n.title))
        return out

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
        price = [rm.Point(at, float(str(value))) for at, value in self.tariff.steps(start, stop)]
        return rm.Chart(start=start, stop=stop, measured=measured, plan=plan, limit=limit_points, price=price)

    # -- one charger --------------------------------------------------------------------------------------------

    def charger(self, connector: str) -> rm.ChargerView | None:
        yard, now = self.yard, self.yard.clock.now()
        try:
            key = ConnectorId.parse(connector)
            spec = yard.spec.connector(key)
        except ValueError:
            return None
        facts, grant, visit = yard.state.connector(key), yard.grants[key], yard.visit_on(key)
        station = yard.state.stations.get(key.station_id)
        boot = station.boot if station is not None else None
        link = yard.links.get(key.station_id)
        connected = yard.connected(key.station_id)
        transaction = yard.state.transaction_on(key)
        reading = yard.readings.get(key) if transaction is not None else None
        pausable = yard.pausable(key, visit)
        points = list(self.history.sessions.get(key, ()))
        session = None
        if transaction is not None:
            energy = yard.session_energy_wh(key) if reading is not None and reading.energy_wh is not None else None
            session = rm.SessionView(
                session_id=transaction.session_id,
                transaction_id=transaction.transaction_id,
                started_at=transaction.started_at,
                id_tag=_redact(transaction.id_tag),
                delivered_wh=energy,
                meter_start_wh=transaction.meter_start_wh,
                meter_now_wh=reading.energy_wh if reading is not None else None,
                power_w=grant.measured_w,
                power_age_s=(now - reading.received_at).total_seconds() if reading is not None else None,
                cost=round(energy / 1000 * self.history.price(now), 2) if energy is not None else None,
            )
        link_text = f"OCPP {link.version} · link {'up' if connected else 'down'} since" if link is not None else "never connected"
        return rm.ChargerView(
            tile=self._tile(key, now, self._readiness(now)),
            station_id=key.station_id,
            connector=key.connector,
            vendor=boot.vendor if boot else "",
            model=boot.model if boot else "",
            firmware=boot.firmware if boot else "",
            rated_w=spec.rated_w,
            min_w=spec.min_w,
            current=spec.current.value,
            pausable="yes" if pausable else "no, starts late instead" if spec.pausable is False else "unknown, taken as no",
            link_text=link_text,
            link_since=link.since if link is not None else None,
            connected=connected,
            status=facts.status.value,
            error_code=facts.error_code,
            chain=reason_chain(yard, key, now),
            session=session,
            profiles=_profiles(grant.confirmed_w, grant.confirmed_until_s, grant.default_w, spec.rated_w, now, in_session=grant.in_session),
            if_silent=_if_silent(key, grant.confirmed_w if grant.in_session else None, grant.default_w, spec.rated_w),
            power=[rm.Point(at, float(w)) for at, w, _ in points],
            soc=[rm.Point(at, s) for at, _, s in points if s is not None],
            needed_wh=visit.needed_wh if visit is not None else None,
            missing_wh=yard.remaining_wh(visit) if visit is not None else None,
            frames=[
                rm.FrameView(at=f.at, direction=f.direction, action=f.action, summary=f.summary)
                for f in reversed(list(self.frames(key.station_id))[-40:])
            ],
            commands=[_command_view(o) for o in reversed(self.orders.recent) if o.target == str(key)][:5],
            can_start=connected and facts.operative and transaction is None and facts.status.plugged,
            can_stop=transaction is not None,
            operative=facts.operative,
            inoperative_reason=facts.inoperative_reason,
            at=now,
        )


def _notice(priority: int, title: str, action: str, since: datetime, key: ConnectorId | None) -> rm.Notice:
    return rm.Notice(priority=priority, title=title, action=action, since=since, connector=str(key) if key is not None else None)


def _redact(tag: str) -> str:
    return tag if len(tag) <= 4 else f"••••{tag[-4:]}"


def _profiles(
    confirmed_w: int | None, until_s: float, default_w: int | None, rated_w: int, now: datetime, *, in_session: bool
) -> list[rm.ProfileView]:
    out: list[rm.ProfileView] = []
    if in_session and confirmed_w is not None and until_s > now.timestamp():
        expires = datetime.fromtimestamp(until_s, now.tzinfo)
        out.append(rm.ProfileView(purpose="transaction", limit_w=confirmed_w, expires_at=expires, confirmed=True))
    out.append(
        rm.ProfileView(
            purpose="default", limit_w=default_w if default_w is not None else rated_w, expires_at=None, confirmed=default_w is not None
        )
    )
    return out


def _if_silent(key: ConnectorId, confirmed_w: int | None, default_w: int | None, rated_w: int) -> str:
    falls = (
        f"its default of {default_w / 1000:.1f} kW" if default_w is not None else f"no default: up to its rating of {rated_w / 1000:.0f} kW"
    )
    if confirmed_w is None:
        return f"{key} holds {falls}."
    return f"{key} keeps {confirmed_w / 1000:.1f} kW until its profile expires, then falls to {falls} by itself."


def _command_view(order: Order) -> rm.CommandView:
    return rm.CommandView(
        command_id=order.command.command_id,
        kind=order.kind,
        status=order.result.status.value,
        message=order.result.message,
        actor=order.command.actor,
        at=order.at,
        audit_seq=order.result.audit_seq,
    )
