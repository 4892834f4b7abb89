"""The sentences of *Now*: the answer to the one question, and what needs a person. Pure, but for since when.

What needs a person is a *condition* (:mod:`controller.alarms`): shown here at once as a notice, and raised as an alarm
when it stays. The board is a source of the alarm desk for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from controller import coverage
from controller import readmodel as rm
from controller.alarms import KINDS, Condition
from controller.readiness import Readiness, Standing
from controller.views_tiles import kwh_short, label
from controller.yard import Yard
from depot import events as ev
from depot.state import Visit
from depot.values import ConnectorId


def answer(counts: rm.Counts, site: rm.SiteView, health: rm.Health, late: Sequence[Visit], trips: Sequence[rm.TripBrief] = ()) -> rm.Answer:
    """Will every vehicle leave on time, under the limit? ``late``: those that will not. A tripped battery comes first."""
    if trips:
        first = trips[0]
        where = f" on {first.label}" if first.label is not None else ""
        more = f" {len(trips) - 1} more." if len(trips) > 1 else ""
        return rm.Answer(tone="alarm", text=f"Battery trip: {first.vehicle_id}{where}. {first.power_text}.{more}")
    headroom = site.headroom_w or 0
    under = f"Site {headroom / 1000:.0f} kW under limit." if headroom >= 0 else f"Site {-headroom / 1000:.0f} kW OVER its limit."
    if site.stale and headroom >= 0:
        under = "Site meter silent: the worst background is assumed."
    if headroom < 0:
        return rm.Answer(tone="alarm", text=f"No. {under}")
    if late:
        others = f" and {len(late) - 1} more" if len(late) > 1 else ""
        verb = "leave" if others else "leaves"
        risk = f", {counts.at_risk} at risk" if counts.at_risk else ""
        return rm.Answer(tone="alarm", text=f"No. {late[0].announced.vehicle_id}{others} {verb} short{risk}. {under}")
    if health.journal == "frozen":
        return rm.Answer(tone="alarm", text=f"Not sure. The journal cannot write, nothing new starts. {under}")
    tone = "warn" if site.stale else "ok"
    if not counts.vehicles:
        return rm.Answer(tone=tone, text=f"No vehicle is expected. {under}")
    if counts.at_risk:
        return rm.Answer(tone="warn", text=f"Nearly. {counts.at_risk} of {counts.vehicles} vehicles at risk. {under}")
    all_of = "The one vehicle leaves" if counts.vehicles == 1 else f"All {counts.vehicles} vehicles leave"
    return rm.Answer(tone=tone, text=f"Yes. {all_of} on time. {under}")


MANY_STATIONS = 5
"""So many stations offline, and more than half of all: it is the network, not the stations."""


@dataclass(slots=True)
class NoticeBoard:
    """Builds the notices, and remembers since when each stands: what the facts do not say is seen first here. ``more``:
    rooms add theirs."""

    yard: Yard
    kinds: frozenset[str] = frozenset(
        {
            "journal_frozen", "meter_silent", "planner_failed", "unknown_station", "vehicle_late", "vehicle_at_risk", "charger_defiant",
            "charger_overdraws", "charger_faulted", "charger_offline", "stations_offline", "approval_wanted", "pack_tripped",
            "charger_uncovered", "schedule_differs",
        }
    )  # fmt: skip
    more: list[Callable[[datetime], Sequence[_Found]]] = field(default_factory=list)
    _since: dict[str, datetime] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)
    _conditions: list[Condition] | None = None

    def build(
        self,
        now: datetime,
        *,
        readiness: Mapping[str, Readiness],
        health: rm.Health,
        site: rm.SiteView,
        planner_failed_since: datetime | None,
    ) -> list[rm.Notice]:
        """Worst first."""
        self._seen = set()
        found = [*self._depot(now, health, site, planner_failed_since), *self._vehicles(now, readiness), *self._facts(now)]
        network = self._network()
        if network is not None:
            found.append((network, self._first_seen(network.key, now), None))
        for key in self.yard.spec.connectors:
            found += self._connector(key, now, "most stations are offline" if network is not None else "")
        for others in self.more:
            news = others(now)
            known = {condition.key for condition, _, _ in news}
            found = [*(entry for entry in found if entry[0].key not in known), *news]
        for gone in self._since.keys() - self._seen:
            del self._since[gone]
        self._conditions = [condition for condition, _, _ in found]
        notices = [_notice(condition, since, key) for condition, since, key in found if not condition.suppressed_by]
        return sorted(notices, key=lambda n: (n.priority, n.title))

    def conditions(self, now: datetime) -> Sequence[Condition] | None:
        """What held when the notices were built last; None before the first time."""
        return self._conditions

    def _first_seen(self, what: str, now: datetime) -> datetime:
        self._seen.add(what)
        return self._since.setdefault(what, now)

    def _standing(self, now: datetime, condition: Condition, key: ConnectorId | None = None, since: datetime | None = None) -> _Found:
        return condition, since or self._first_seen(condition.key, now), key

    def _depot(self, now: datetime, health: rm.Health, site: rm.SiteView, planner_failed_since: datetime | None) -> list[_Found]:
        out: list[_Found] = []
        if health.journal == "frozen":
            out.append(self._standing(now, Condition("journal_frozen", "", "The journal cannot write", health.journal_text)))
        if site.stale:
            action = "Check the meter's power and network; less is charged until it is back."
            out.append(self._standing(now, Condition("meter_silent", "", "Site meter silent", action)))
        if health.planner in ("late", "dead"):
            action = "It is started again by itself; until then the last plan holds, then the earliest departure goes first."
            title = "The planner is late" if health.planner == "late" else "The planner is dead"
            out.append(self._standing(now, Condition("planner_failed", "", title, action), since=planner_failed_since))
        for station_id in health.quarantined:
            action = "If it is yours, accept it on the page Stations; else find out who it is."
            out.append(self._standing(now, Condition("unknown_station", station_id, f"Unknown station {station_id}", action)))
        return out

    def _facts(self, now: datetime) -> list[_Found]:
        """What the journal says: it holds over a restart."""
        out: list[_Found] = []
        for pack, trip in self.yard.state.tripped.items():
            action = "Follow the emergency plan. Reset it on the page Safety, only after the cause has gone."
            out.append(
                self._standing(now, Condition("pack_tripped", str(pack), f"Pack {pack} tripped: {trip.cause}", action), since=trip.since)
            )
        for approval in self.yard.state.approvals.values():
            if not approval.granted_by:
                until = approval.until.astimezone(ZoneInfo(self.yard.spec.timezone))
                title = f"{approval.kind} of {approval.target or 'the depot'} waits for a second person"
                action = f"Approve or refuse it by {until:%H:%M}, on the page Alarms. {approval.asked_by} asked for it."
                out.append(self._standing(now, Condition("approval_wanted", approval.command_id, title, action), since=approval.asked_at))
        return out

    def _network(self) -> Condition | None:
        """Most stations are gone at once: one alarm, and none for each of them."""
        links = [self.yard.links.get(s.station_id) for s in self.yard.spec.stations]
        gone = sum(link is not None and not link.connected for link in links)
        if gone < MANY_STATIONS or 2 * gone <= len(links):
            return None
        action = "Look at the network switch and its power before you look at single chargers."
        return Condition("stations_offline", "", f"{gone} of {len(links)} stations offline", action)

    def _vehicles(self, now: datetime, readiness: Mapping[str, Readiness]) -> list[_Found]:
        out: list[_Found] = []
        for visit in self.yard.state.visits.values():
            ready = readiness[visit.visit_id]
            vehicle, key = visit.announced.vehicle_id, visit.connector
            if not visit.present or key is None:
                continue
            if ready.standing is Standing.LATE:
                action = "Let it leave later, or move it to a free charger that gives more."
                condition = Condition("vehicle_late", vehicle, f"{vehicle} leaves {kwh_short(ready.missing_wh)} short", action)
                out.append(self._standing(now, condition, key))
            elif ready.standing is Standing.AT_RISK:
                if visit.held:
                    action = "A person stopped its charging: start the session again, or let it leave as it is."
                else:
                    action = f"Look at {label(self.yard, key)}: what its reason chain says is all that keeps it."
                out.append(self._standing(now, Condition("vehicle_at_risk", vehicle, f"{vehicle} is at risk", action), key))
        return out

    def _connector(self, key: ConnectorId, now: datetime, network: str) -> list[_Found]:
        yard = self.yard
        facts, link = yard.state.connector(key), yard.links.get(key.station_id)
        quiet = facts.trust is not ev.TrustLevel.DEFIANT and facts.trust is not ev.TrustLevel.OVERDRAWS
        uncovered = yard.uncovered(key)
        quiet = quiet and not uncovered and not facts.schedule_differs
        if quiet and facts.status is not ev.ConnectorStatus.FAULTED and (link is None or link.connected):
            return []  # nearly all, every second
        name, out = label(yard, key), list[_Found]()
        out_of_service = "" if facts.operative else "its charger is out of service"
        if facts.trust is ev.TrustLevel.DEFIANT:
            action = "It is budgeted at its rating and only switched on and off. Have it serviced."
            condition = Condition("charger_defiant", str(key), f"{name} does not follow limits", action, out_of_service)
            out.append(self._standing(now, condition, key))
        elif facts.trust is ev.TrustLevel.OVERDRAWS:
            action = f"It draws {facts.trust_factor:.2f} × what it is told and is budgeted so. Have its meter and limit checked."
            condition = Condition("charger_overdraws", str(key), f"{name} draws more than told", action, out_of_service)
            out.append(self._standing(now, condition, key))
        if uncovered:
            reserved = f"{uncovered} It is counted at {yard.spec.connectors[key].rated_w / 1000:.0f} kW: {coverage.ADVICE}"
            condition = Condition("charger_uncovered", str(key), f"{name} has no sure default", reserved, out_of_service)
            out.append(self._standing(now, condition, key))
        if facts.schedule_differs:
            action = f"Its meter decides what it is budgeted at: {facts.schedule_differs}. See on its page which profiles are there."
            title = f"{name} holds other limits than it was given"
            out.append(self._standing(now, Condition("schedule_differs", str(key), title, action, out_of_service), key))
        if facts.status is ev.ConnectorStatus.FAULTED:
            what = f": {facts.error_code}" if facts.error_code not in ("", "NoError") else ""
            visit = yard.visit_on(key)
            action = f"Move {visit.announced.vehicle_id} to a free charger, then look at this one." if visit else "Look at the charger."
            condition = Condition("charger_faulted", str(key), f"{name} faulted{what}", action, out_of_service)
            out.append(self._standing(now, condition, key, facts.status_since))
        if link is not None and not link.connected:
            held_w = yard.grants[key].bound_w(now.timestamp())
            reserved = f" {held_w / 1000:.0f} kW stay reserved." if held_w >= 500 else ""
            action = f"Check its breaker and network.{reserved}"
            condition = Condition("charger_offline", str(key), f"{name} offline", action, out_of_service or network)
            out.append(self._standing(now, condition, key, link.since))
        return out


_Found = tuple[Condition, datetime, ConnectorId | None]
"""A condition, since when it holds, and the connector to look at."""


def _notice(condition: Condition, since: datetime, key: ConnectorId | None) -> rm.Notice:
    return rm.Notice(
        priority=KINDS[condition.kind].priority,
        title=condition.title,
        action=condition.action,
        since=since,
        connector=str(key) if key is not None else None,
        key=condition.key,
    )
