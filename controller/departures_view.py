"""Departures: each vehicle's stay with its prediction, the one reason that binds, and what would help, cheapest first.

    facts, readings, plan, last allocation --rows--> DeparturesView, most urgent first

Pure reading. A remedy stands there only where it is true by what is known: it names the act and where it is done.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from msgspec import Struct

from controller.chain import cabinet_binds_w, reason_chain, vehicle_w
from controller.readiness import Readiness, Standing
from controller.views_tiles import kwh_short, label, soc_of, soc_target_of
from controller.yard import Yard
from depot import events as ev
from depot.fleet import Vehicle
from depot.registry import ConnectorSpec, Current
from depot.state import Visit
from depot.values import Because, ConnectorId, InvalidValue, LimitSource

OVERDUE = timedelta(minutes=10)
"""Who comes later than this after the announced time is missed."""

ROWS_MOST = 5000
STEP = 20
"""Stays between two breaths of the core's loop."""

REMEDIES_FOR = 50
"""So many of the most urgent get remedies: nobody reads more, and the core has other work."""

_URGENT = {Standing.LATE: 0, Standing.AT_RISK: 1, Standing.ON_TIME: 2, Standing.READY: 2}


class Remedy(Struct, frozen=True):
    """``act``: change, charger, limits: the page on which it is done; ``at``: what it is done to; ``set``: field → value."""

    text: str
    costs: str
    act: str = ""
    at: str = ""
    set: dict[str, str] = {}


class Span(Struct, frozen=True, array_like=True):
    """A time of the plan in which power flows."""

    start: datetime
    stop: datetime


class DepartureRow(Struct, frozen=True, kw_only=True):
    """One stay. ``standing``: ready, on_time, at_risk, late; ``margin_min`` negative: after departure; ``missing_wh``: grid
    energy short at departure; ``remaining_wh``: still to flow. ``why``: the reason that binds, ``detail`` its numbers."""

    visit_id: str
    stay: ev.VisitAnnounced
    registered: bool
    model: str
    connector: str | None
    label: str
    present: bool
    standing: str
    ready_at: datetime | None
    margin_min: int | None
    missing_wh: int
    remaining_wh: int
    needed_wh: int
    delivered_wh: int
    power_w: int | None
    soc: float | None
    soc_target: float | None
    why: str
    detail: str
    remedies: list[Remedy] = []
    planned: list[Span] = []


class DeparturesView(Struct, frozen=True, kw_only=True):
    """``total``: of all stays that are known; ``rows`` may be the first of them only."""

    at: datetime
    timezone: str
    rows: list[DepartureRow]
    total: int
    on_time: int
    at_risk: int
    late: int


def departures_view(yard: Yard, ready: Callable[[Visit, datetime], Readiness], args: Mapping[str, str]) -> DeparturesView:
    """All stays, most urgent first. ``limit``, ``visit``: only so many, only this one. Raises :class:`InvalidValue`."""
    steps = departures_in_steps(yard, ready, args)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            view: DeparturesView = done.value
            return view


def departures_in_steps(
    yard: Yard, ready: Callable[[Visit, datetime], Readiness], args: Mapping[str, str]
) -> Generator[None, None, DeparturesView]:
    """The same; hands back control after every STEP stays, for a loop that has better to do than a long list."""
    text = args.get("limit", "500")
    if not text.isdecimal() or not 1 <= int(text) <= ROWS_MOST:
        raise InvalidValue(f"limit must be within 1 and {ROWS_MOST}")
    now = yard.clock.now()
    visits = list(yard.state.visits.values())
    predicted: dict[str, Readiness] = {}
    for visit in visits:
        predicted[visit.visit_id] = ready(visit, now)
        if len(predicted) % STEP == 0:
            yield
    standings = [found.standing for found in predicted.values()]
    chosen = [visit for visit in visits if visit.visit_id == args["visit"]] if "visit" in args else visits
    chosen.sort(key=lambda v: (_URGENT[predicted[v.visit_id].standing], v.announced.depart_at, v.announced.vehicle_id))
    places = _Places.of(yard)
    rows: list[DepartureRow] = []
    for visit in chosen[: int(text)]:
        rows.append(_row(yard, visit, predicted[visit.visit_id], now, places if len(rows) < REMEDIES_FOR else None))
        if len(rows) % STEP == 0:
            yield
    return DeparturesView(
        at=now,
        timezone=yard.spec.timezone,
        rows=rows,
        total=len(visits),
        on_time=sum(standing in (Standing.ON_TIME, Standing.READY) for standing in standings),
        at_risk=standings.count(Standing.AT_RISK),
        late=standings.count(Standing.LATE),
    )


@dataclass(frozen=True, slots=True)
class _Places:
    """What is free now, and who is expected where: looked up once for all rows."""

    free: Sequence[tuple[ConnectorId, ConnectorSpec]]
    expected: Mapping[ConnectorId, Sequence[Visit]]

    @classmethod
    def of(cls, yard: Yard) -> _Places:
        expected: dict[ConnectorId, list[Visit]] = {}
        for visit in yard.state.visits.values():
            if visit.connector is not None:
                expected.setdefault(visit.connector, []).append(visit)
        free = []
        for key, spec in yard.spec.connectors.items():
            facts = yard.state.connector(key)
            if facts.operative and facts.status is ev.ConnectorStatus.AVAILABLE and yard.connected(key.station_id):
                free.append((key, spec))
        return cls(free, expected)


def _row(yard: Yard, visit: Visit, found: Readiness, now: datetime, places: _Places | None) -> DepartureRow:
    stay, key = visit.announced, visit.connector
    vehicle = yard.state.vehicles.get(stay.vehicle_id)
    here = key if visit.present and key in yard.grants else None
    running = yard.session_energy_wh(here) if here is not None else 0
    why, detail = _why(yard, visit, found, now)
    urgent = found.standing in (Standing.LATE, Standing.AT_RISK)
    return DepartureRow(
        visit_id=visit.visit_id,
        stay=stay,
        registered=vehicle is not None,
        model=vehicle.model if vehicle is not None else "",
        connector=str(key) if key is not None else None,
        label=label(yard, key) if key in yard.grants and key is not None else "",
        present=visit.present,
        standing=found.standing.value,
        ready_at=found.ready_at,
        margin_min=found.margin_min(stay.depart_at),
        missing_wh=found.missing_wh,
        remaining_wh=yard.remaining_wh(visit),
        needed_wh=visit.needed_wh,
        delivered_wh=visit.delivered_wh + running,
        power_w=yard.grants[here].measured_w if here is not None and yard.grants[here].in_session else (0 if here is not None else None),
        soc=soc_of(yard, here, visit) if here is not None else stay.soc_arrival,
        soc_target=soc_target_of(visit),
        why=why,
        detail=detail,
        remedies=_remedies(yard, visit, vehicle, found, now, places) if urgent and places is not None else [],
        planned=_planned(yard, visit, now),
    )


def _planned(yard: Yard, visit: Visit, now: datetime) -> list[Span]:
    """The plan's power of this visit from now on, neighbouring slots joined."""
    plan = yard.plan
    row = plan.power_w.get(visit.visit_id) if plan is not None and now < plan.expires_at else None
    spans: list[Span] = []
    if plan is None or row is None:
        return spans
    slot = timedelta(seconds=plan.slot_s)
    for k, watts in enumerate(row):
        start, stop = plan.start + k * slot, plan.start + (k + 1) * slot
        if watts <= 0 or stop <= now:
            continue
        if spans and spans[-1].stop == start:
            spans[-1] = Span(spans[-1].start, stop)
        else:
            spans.append(Span(max(start, now), stop))
    return spans


# -- why --------------------------------------------------------------------------------------------------------------


def _why(yard: Yard, visit: Visit, found: Readiness, now: datetime) -> tuple[str, str]:
    """The one reason, in words, and its numbers."""
    stay, key = visit.announced, visit.connector
    if found.standing is Standing.READY:
        return "Has what was announced", ""
    trouble = _trouble(yard, visit, now)
    if trouble is not None:
        return trouble
    left_s = (stay.depart_at - max(now, now if visit.present else stay.arrive_at)).total_seconds()
    most_w = vehicle_w(yard, key) if visit.present and key is not None else stay.max_w
    if found.standing is Standing.LATE and most_w and yard.remaining_wh(visit) > most_w * max(0.0, left_s) / 3600:
        needed = f"{kwh_short(yard.remaining_wh(visit))} in {_span_words(left_s)}"
        if left_s <= 0:
            return "Its time to leave is over", f"{kwh_short(yard.remaining_wh(visit))} are missing"
        return (
            "Too little time",
            f"{needed} take {yard.remaining_wh(visit) * 3.6 / left_s:.0f} kW; it gets {most_w / 1000:.0f} kW at most here",
        )
    if not visit.present:
        comes = stay.arrive_at.astimezone(ZoneInfo(yard.spec.timezone))
        if found.standing is Standing.ON_TIME:
            return f"Comes {comes:%H:%M}", "" if key is not None else "no charger is chosen"
        return "The limits are shared", f"the plan leaves it {kwh_short(found.missing_wh)} short; it comes {comes:%H:%M}"
    assert key is not None
    step = next((step for step in reason_chain(yard, key, now) if step.binding), None)
    if step is None:
        return "Not judged yet", ""
    level = f"{step.level_w / 1000:.0f} kW, " if step.level_w is not None else ""
    return step.title, f"{level}{step.detail}"


def _trouble(yard: Yard, visit: Visit, now: datetime) -> tuple[str, str] | None:
    """What keeps it from charging until a person acts."""
    stay, key = visit.announced, visit.connector
    if visit.held:
        return "Held", "a person stopped its session"
    if not visit.present:
        zone = ZoneInfo(yard.spec.timezone)
        if stay.returning:
            return "Left before its time", f"at {stay.arrive_at.astimezone(zone):%H:%M}; plug it in again"
        if now > stay.arrive_at + OVERDUE:
            return "Not here", f"was expected {stay.arrive_at.astimezone(zone):%H:%M}"
        return None
    if key is None or key not in yard.grants:
        return "Its charger is not known", ""
    facts = yard.state.connector(key)
    if not facts.operative:
        return "Charger out of service", facts.inoperative_reason or "by a person"
    if facts.status is ev.ConnectorStatus.FAULTED:
        return "Charger faulted", facts.error_code
    if not yard.connected(key.station_id):
        return "Charger offline", "it keeps its last profile until that expires"
    return None


def _span_words(seconds: float) -> str:
    minutes = max(0, round(seconds / 60))
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


# -- what would help ----------------------------------------------------------------------------------------------------


def _remedies(yard: Yard, visit: Visit, vehicle: Vehicle | None, found: Readiness, now: datetime, places: _Places) -> list[Remedy]:
    stay, key = visit.announced, visit.connector
    out: list[Remedy] = []
    broken = False
    if visit.present and key is not None and key in yard.grants:
        facts = yard.state.connector(key)
        broken = not facts.operative or facts.status is ev.ConnectorStatus.FAULTED or not yard.connected(key.station_id)
        if visit.held:
            out.append(Remedy("Start its session again", "nothing", "charger", str(key)))
        if not facts.operative:
            out.append(Remedy(f"Look at {label(yard, key)} and put it back in service", "a look", "charger", str(key)))
        elif broken:
            out.append(Remedy(f"Look at {label(yard, key)}: power, network, fault", "a look", "charger", str(key)))
    shared = _shared(yard, visit)
    if shared and not broken:
        out += _limits_by_hand(yard, key, now)
        rivals = _rivals(yard, visit)
        if rivals:
            most = max(other.announced.priority for other in rivals)
            names = ", ".join(other.announced.vehicle_id for other in rivals[:3]) + (" …" if len(rivals) > 3 else "")
            setting = {"priority": str(max(most, stay.priority) + 1)}
            out.append(Remedy("Serve it before the others", f"less for {names}", "change", visit.visit_id, setting))
    out += _other_places(yard, visit, vehicle, now, places, broken=broken)
    zone = ZoneInfo(yard.spec.timezone)
    if found.ready_at is not None and found.ready_at > stay.depart_at:
        local = (found.ready_at + timedelta(minutes=1)).astimezone(zone)
        late_min = round((found.ready_at - stay.depart_at).total_seconds() / 60)
        out.append(
            Remedy(f"Leave {local:%H:%M}", f"{late_min} min later", "change", visit.visit_id, {"depart_at": f"{local:%Y-%m-%d %H:%M}"})
        )
    if found.standing is Standing.LATE and found.missing_wh:
        battery_wh = round(found.missing_wh * stay.efficiency)
        share = f", {100 * battery_wh / stay.battery_wh:.0f} % of its battery" if stay.battery_wh else ""
        energy = {"energy_kwh": f"{max(0, stay.battery_energy_wh - battery_wh) / 1000:.1f}"}
        out.append(Remedy("Leave on time with less", f"{kwh_short(battery_wh)} less range{share}", "change", visit.visit_id, energy))
    return out


def _shared(yard: Yard, visit: Visit) -> bool:
    """Whether a limit that it shares with others holds it back, as far as is known."""
    last = yard.last
    if visit.present and visit.connector is not None and last is not None and visit.connector in last.index:
        return last.allocation.because[last.index[visit.connector]] in (Because.SITE, Because.FEEDER, Because.PLAN)
    return yard.plan is not None and yard.plan.unmet_wh.get(visit.visit_id, 0) > 0


def _limits_by_hand(yard: Yard, key: ConnectorId | None, now: datetime) -> list[Remedy]:
    scopes = {"", yard.spec.feeder_of[key]} if key is not None and key in yard.spec.feeder_of else {""}
    return [
        Remedy(
            f"Lift the manual limit of {'the site' if not limit.scope_id else limit.scope_id}",
            f"{limit.value / 1000:.0f} kW by {limit.set_by or 'hand'}: {limit.reason or 'no reason given'}",
            "limits",
        )
        for limit in yard.state.limits.values()
        if limit.source is LimitSource.MANUAL and limit.scope_id in scopes and limit.holds_at(now)
    ]


def _rivals(yard: Yard, visit: Visit) -> Sequence[Visit]:
    """Who charges under the same limit and is served before it or beside it, the last to leave first."""
    feeder = yard.spec.feeder_of.get(visit.connector) if visit.connector is not None else None
    last = yard.last
    because = None
    if last is not None and visit.connector is not None and visit.connector in last.index:
        because = last.allocation.because[last.index[visit.connector]]
    cabinet = because is Because.FEEDER and visit.connector is not None and cabinet_binds_w(yard, visit.connector) is not None
    found = [
        other
        for key, other in yard.present_visits().items()
        if other.visit_id != visit.visit_id
        and other.announced.priority >= visit.announced.priority
        and yard.grants[key].in_session
        and (yard.grants[key].measured_w or 0) > 0
        and (because is not Because.FEEDER or yard.spec.feeder_of[key] == feeder)
        and (not cabinet or visit.connector is None or key.station_id == visit.connector.station_id)
    ]
    return sorted(found, key=lambda other: other.announced.depart_at, reverse=True)


def _other_places(yard: Yard, visit: Visit, vehicle: Vehicle | None, now: datetime, places: _Places, *, broken: bool) -> list[Remedy]:
    """The free charger that gives it most, where that is enough, and more than its own."""
    stay, key = visit.announced, visit.connector
    own_w = 0 if broken or key is None else (vehicle_w(yard, key) or 0) if visit.present else stay.max_w
    begins = now if visit.present else max(now, stay.arrive_at)
    left_h = (stay.depart_at - begins).total_seconds() / 3600
    needed_w = yard.remaining_wh(visit) / left_h if left_h > 0 else float("inf")
    here = yard.spec.connectors.get(key) if key is not None else None
    best: tuple[int, ConnectorId] | None = None
    for other, spec in places.free:
        could_w = _takes_w(vehicle, stay, here, spec)
        if other == key or could_w < needed_w or could_w <= own_w * 1.05 or (best is not None and could_w <= best[0]):
            continue
        if not any(v is not visit and v.announced.arrive_at < stay.depart_at for v in places.expected.get(other, ())):
            best = (could_w, other)
    if best is None:
        return []
    text = f"Plug it in at {label(yard, best[1])}, which is free"
    return [Remedy(text, f"a move; up to {best[0] / 1000:.0f} kW there", "change", visit.visit_id, {"connector": str(best[1])})]


def _takes_w(vehicle: Vehicle | None, stay: ev.VisitAnnounced, here: ConnectorSpec | None, there: ConnectorSpec) -> int:
    """What it can take there; 0 where that is not known."""
    if vehicle is not None:
        own = vehicle.ac_max_w if there.current is Current.AC else vehicle.dc_max_w
        return min(there.rated_w, there.rated_w if own is None else own)
    if here is None or here.current is not there.current:
        return 0
    return min(there.rated_w, stay.max_w or there.rated_w)
