"""What the limiter is told of every connector: facts, grants, readings and the plan, as one :class:`Row` each.

    (yard, traffic, now) --> rows        who wants how much, who comes first, who may be told now

Decides nothing about power; `controller.limiter` does. Its answers depend on the yard and ``now`` alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from controller import lending, limits
from controller.allocation import Row
from controller.grants import EXPIRY_SKEW_S, Grant
from controller.kept_free import reserved_for_another, tags_of
from controller.traffic import LoopSettings, Traffic
from controller.yard import Yard
from depot import events as ev
from depot.registry import ConnectorSpec, DepotSpec
from depot.state import ConnectorFacts, Visit
from depot.values import ConnectorId, Limit

STARTABLE = frozenset(
    {ev.ConnectorStatus.PREPARING, ev.ConnectorStatus.FINISHING, ev.ConnectorStatus.SUSPENDED_EV, ev.ConnectorStatus.SUSPENDED_EVSE}
)
"""Plugged, and no session: most chargers begin another one for the same vehicle; those that do not, refuse."""

PRESSED_S = 900.0
PRESSED_SHARE = 1.15
"""A vehicle is pressed when it leaves within this multiple of the time that its charging takes at least, plus the seconds."""

PRESSED_FIRST_S = 7 * 86400.0
"""Pressed vehicles are served before all others of their priority, among themselves in the order of departure."""

WORTH_A_START = 0.005
"""A session is not begun for a smaller part of what the visit needs."""

FULL_FRESH_S = 900.0
"""A state of charge this old still says how much a battery lacks to be full."""

DOUBTED_SHARE = 0.7
"""Who overdrew is told this share of what it drew, or as much more: another level shows whether it follows levels at all."""


class Rows:
    """Builds them. ``reachable``: whether a station can be told something now."""

    def __init__(
        self, yard: Yard, settings: LoopSettings, traffic: Mapping[ConnectorId, Traffic], *, reachable: Callable[[str], bool]
    ) -> None:
        self._yard = yard
        self._settings = settings
        self._traffic = traffic
        self._reachable = reachable
        self._places: tuple[DepotSpec | None, dict[ConnectorId, int]] = (None, {})

    def build(
        self,
        now: datetime,
        bounds_w: Mapping[ConnectorId, int],
        *,
        gives_w: Mapping[ConnectorId, int] | None = None,
        in_force: Sequence[Limit] = (),
    ) -> list[Row]:
        """One row for every connector that draws, might draw, or has a vehicle. ``bounds_w``: of this moment, of those
        that are not idle; ``gives_w``: of those that may give. ``in_force``: the limits, also later ones. Marks pressed vehicles
        in the traffic."""
        yard = self._yard
        now_s = now.timestamp()
        held_w = limits.of_connectors(in_force, now=now, life=timedelta(seconds=self._settings.life_s + EXPIRY_SKEW_S))
        present = yard.present_visits()
        planned = self._planned(now)
        rows = []
        for key, grant in yard.grants.items():
            visit = present.get(key)
            bound_w = bounds_w.get(key, 0)
            if visit is None and not bound_w and not grant.in_session:
                continue
            rows.append(self._row(key, grant, visit, bound_w, planned, now, now_s, held_w.get(key)))
        for row in rows if gives_w else ():
            row.gives_bound_w = (gives_w or {}).get(row.key, 0)
        lending.wishes(yard, self._settings, self._traffic, rows, planned, now=now, in_force=in_force)
        return rows

    def _row(
        self,
        key: ConnectorId,
        grant: Grant,
        visit: Visit | None,
        bound_w: int,
        planned: Mapping[str, int] | None,
        now: datetime,
        now_s: float,
        held_w: int | None,
    ) -> Row:
        yard = self._yard
        spec = yard.spec.connectors[key]
        facts = yard.state.connector(key)
        traffic = self._traffic[key]
        remaining_wh = yard.remaining_wh(visit) if visit is not None else 0
        asleep = yard.asleep(key, now)
        row = Row(key, self._place(key), spec.rated_w, spec.min_w, told_w=grant.told_w, bound_w=bound_w)
        row.resting_w = grant.resting_w()
        row.default_w = spec.rated_w if grant.default_w is None else grant.default_w
        row.factor = grant.factor
        row.session = grant.in_session
        row.reachable = self._reachable(key.station_id)
        row.pausable = yard.pausable(key, visit)
        row.on_off = grant.all_or_nothing
        load_w, lacks_wh, ahead_wh, tested = 0, None, 0, None
        if visit is not None:
            ahead_wh = yard.plan.ahead_wh.get(visit.visit_id, 0) if planned is not None and yard.plan is not None else 0
            load_w = min(yard.load_w(visit, now), spec.rated_w)
            tested = yard.tested.get(visit.announced.vehicle_id)
            if planned is not None or tested is not None:
                lacks_wh = yard.full_lacks_wh(key, visit, now, fresh_s=FULL_FRESH_S)
        beside_w = max(load_w, spec.min_w) if load_w or lacks_wh == 0 else 0
        row.startable = (
            row.reachable
            and visit is not None
            and self._startable(grant, traffic, facts, visit, max(remaining_wh + ahead_wh, lacks_wh or 0, load_w), now_s)
        )
        if row.startable and visit is not None and yard.state.reservations:
            row.startable = reserved_for_another(yard, key, tags_of(yard, visit), now) is None
        row.ceiling_w = self._ceiling(
            key,
            grant,
            facts,
            visit,
            spec,
            now,
            remaining_wh=remaining_wh,
            asleep=asleep,
            more=bool(lacks_wh or ahead_wh),
            beside_w=beside_w,
        )
        said_w = yard.said_w(key)
        if said_w is not None:
            row.ceiling_w = min(row.ceiling_w, said_w)
        external_w = yard.external_w(key, now)
        if external_w is not None and external_w < row.ceiling_w and not row.on_off:
            row.ceiling_w, row.external = external_w, True
        if held_w is not None:
            self._hold(row, held_w)
        allowed_w = yard.allowed_w(key, visit)
        if allowed_w is not None and allowed_w <= row.ceiling_w:
            row.ceiling_w = allowed_w
            row.unsafe = True
        row.plan_w = self._plan_w(visit, planned, now, grant.factor)
        if beside_w and row.plan_w >= 0:
            row.plan_w = max(row.plan_w, beside_w)
        due_s = math.inf
        if visit is not None:
            due_s = visit.announced.depart_at.timestamp()
            traffic.pressed = row.ceiling_w > 0 and not asleep and self._pressed(row, remaining_wh, due_s - now_s, already=traffic.pressed)
            row.rank = (-float(visit.announced.priority), due_s)
            if traffic.pressed:
                row.plan_w = -1
                row.rank = (-float(visit.announced.priority), due_s - PRESSED_FIRST_S)
            elif asleep or tested is not None or (beside_w and remaining_wh == 0):
                row.rank = (math.inf, due_s)
            if tested is not None and tested.own_pace:
                row.plan_w = -1
        else:
            traffic.pressed = False
            row.rank = (0.0, due_s)
        if grant.in_session:
            free = traffic.calls == 0 and now_s >= traffic.retry_s
            row.stuck = traffic.overdue(grant, self._settings, now_s, bound_w=bound_w)
            row.renew = free and traffic.renewal_due(grant, self._settings, now_s)
            row.calm = row.renew or (free and traffic.quota(self._settings, now_s, paused=grant.told_w == 0))
        else:
            row.calm = traffic.calls == 0
        if yard.pickup is not None and yard.pickup.holds(key, now_s):
            row.waits, row.startable = True, False
            if row.session and not row.on_off:
                row.ceiling_w = min(row.ceiling_w, 0 if row.pausable else row.min_w)
        return row

    def _place(self, key: ConnectorId) -> int:
        """Of what the connector hangs on, among the nodes of the depot as built, which grows while it runs."""
        spec = self._yard.spec
        if self._places[0] is not spec:
            place = {node: i for i, node in enumerate(spec.nodes)}
            self._places = (spec, {each: place[node] for each, node in spec.node_of.items()})
        return self._places[1][key]

    def _hold(self, row: Row, held_w: int) -> None:
        """A limit of the connector itself is hard: below its least power there is only 0."""
        level_w = math.floor(held_w / row.factor)
        if level_w < (row.rated_w if row.on_off else row.min_w):
            level_w = 0
        if level_w < row.ceiling_w:
            row.ceiling_w, row.limited = level_w, True

    def _startable(self, grant: Grant, traffic: Traffic, facts: ConnectorFacts, visit: Visit, remaining_wh: int, now_s: float) -> bool:
        return (
            not grant.in_session
            and facts.operative
            and facts.status in STARTABLE
            and not visit.held
            and not grant.flights
            and grant.default_w is not None
            and now_s >= traffic.start_after_s
            and remaining_wh > WORTH_A_START * visit.needed_wh
        )

    def _ceiling(
        self,
        key: ConnectorId,
        grant: Grant,
        facts: ConnectorFacts,
        visit: Visit | None,
        spec: ConnectorSpec,
        now: datetime,
        *,
        remaining_wh: int,
        asleep: bool,
        more: bool,
        beside_w: int,
    ) -> int:
        """The most that makes sense to tell it, W. ``more``: a full charge is due, or a later stay is bought for; ``beside_w``: what the
        stay asks for at this moment whether its battery needs anything or not."""
        yard = self._yard
        if not facts.operative:
            return 0
        if visit is None:
            return spec.rated_w if grant.in_session else 0
        if visit.held:
            return 0
        if (remaining_wh == 0 and not more and yard.complete(visit)) or yard.full(visit, now):
            return beside_w
        if asleep and not grant.all_or_nothing:
            return max(spec.min_w, beside_w)
        ceiling_w = visit.announced.max_w or spec.rated_w
        accepts_w = yard.acceptance_w.get(key)
        if accepts_w is not None and accepts_w < ceiling_w:
            ceiling_w = accepts_w
        share = yard.phase_share.get(key)
        if share is not None:
            ceiling_w = round(ceiling_w / share)
        ceiling_w = max(min(spec.rated_w, ceiling_w), spec.min_w)
        if grant.doubted_w is not None and grant.in_session and not grant.all_or_nothing:
            ceiling_w = min(ceiling_w, self._probe_w(grant.doubted_w, grant.factor, spec.min_w))
        return ceiling_w

    def _probe_w(self, doubted_w: int, factor: float, min_w: int) -> int:
        """The level that shows whether a charger follows levels at all, W: a lower one, or where it is at its minimum
        already a higher one."""
        lower_w = round(DOUBTED_SHARE * doubted_w / factor)
        return lower_w if lower_w >= min_w else round(doubted_w / DOUBTED_SHARE / factor)

    def _pressed(self, row: Row, remaining_wh: int, left_s: float, *, already: bool) -> bool:
        """Whether a vehicle has no time left to wait in: even at all that it takes it is ready only just before it
        leaves. Departures come before the bill, so a plan holds it back no longer, and it is not let go again before
        it has time to spare: else it would lose its turn whenever it had caught up a little."""
        takes_w = row.ceiling_w * self._yard.phase_share.get(row.key, 1.0)
        spare_s = left_s - remaining_wh * 3600 / takes_w * PRESSED_SHARE
        return remaining_wh > 0 and spare_s < (4 * PRESSED_S if already else PRESSED_S)

    def _planned(self, now: datetime) -> dict[str, int] | None:
        """W per visit in this slot; None without a plan that still holds."""
        plan = self._yard.plan
        if plan is None or now >= plan.expires_at:
            return None
        k = plan.slot_at(now)
        return {} if k is None else {visit_id: row[k] for visit_id, row in plan.power_w.items() if k < len(row)}

    def _plan_w(self, visit: Visit | None, planned: Mapping[str, int] | None, now: datetime, factor: float) -> int:
        plan = self._yard.plan
        if planned is None or plan is None or visit is None:
            return -1
        wish_w = planned.get(visit.visit_id)
        if wish_w is not None:
            share = self._yard.phase_share.get(visit.connector, 1.0) if visit.connector is not None else 1.0
            return max(0, round(wish_w / share / factor))  # it draws a multiple of its level: the plan means what is drawn
        age = now - max(plan.made_at, visit.announced.arrive_at)
        return 0 if age < timedelta(seconds=self._settings.unplanned_grace_s) else -1
