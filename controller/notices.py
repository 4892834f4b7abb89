"""The sentences of *Now*: the answer to the one question, and what needs a person. Pure, but for since when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from controller import readmodel as rm
from controller.readiness import Readiness, Standing
from controller.views_tiles import kwh_short, label
from controller.yard import Yard
from depot import events as ev
from depot.state import Visit
from depot.values import ConnectorId


def answer(counts: rm.Counts, site: rm.SiteView, health: rm.Health, late: Sequence[Visit]) -> rm.Answer:
    """Will every vehicle leave on time, under the limit? ``late``: those that will not."""
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


@dataclass(slots=True)
class NoticeBoard:
    """Builds the notices, and remembers since when each stands: what the facts do not say is seen first here."""

    yard: Yard
    _since: dict[str, datetime] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)

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
        out = [*self._depot(now, health, site, planner_failed_since), *self._vehicles(now, readiness)]
        for key in self.yard.spec.connectors:
            out += self._connector(key, now)
        for gone in self._since.keys() - self._seen:
            del self._since[gone]
        return sorted(out, key=lambda n: (n.priority, n.title))

    def _first_seen(self, what: str, now: datetime) -> datetime:
        self._seen.add(what)
        return self._since.setdefault(what, now)

    def _depot(self, now: datetime, health: rm.Health, site: rm.SiteView, planner_failed_since: datetime | None) -> list[rm.Notice]:
        out: list[rm.Notice] = []
        if health.journal == "frozen":
            out.append(_notice(1, "The journal cannot write", health.journal_text, self._first_seen("journal", now)))
        if site.stale:
            action = "Check the meter's power and network; less is charged until it is back."
            out.append(_notice(1, "Site meter silent", action, self._first_seen("meter", now)))
        if health.planner in ("late", "dead"):
            since = planner_failed_since or self._first_seen("planner", now)
            action = "It is started again by itself; until then the last plan holds, then the earliest departure goes first."
            out.append(_notice(2, "The planner is late" if health.planner == "late" else "The planner is dead", action, since))
        for station_id in health.quarantined:
            action = "If it is yours, add it to the configuration and restart; else find out who it is."
            since = self._first_seen(f"quarantined {station_id}", now)
            out.append(_notice(3, f"Unknown station {station_id}", action, since))
        return out

    def _vehicles(self, now: datetime, readiness: Mapping[str, Readiness]) -> list[rm.Notice]:
        out = []
        for visit in self.yard.state.visits.values():
            ready = readiness[visit.visit_id]
            vehicle, key = visit.announced.vehicle_id, visit.connector
            if not visit.present or key is None:
                continue
            if ready.standing is Standing.LATE:
                since = self._first_seen(f"late {visit.visit_id}", now)
                action = "Let it leave later, or move it to a free charger that gives more."
                out.append(_notice(1, f"{vehicle} leaves {kwh_short(ready.missing_wh)} short", action, since, key))
            elif ready.standing is Standing.AT_RISK:
                since = self._first_seen(f"risk {visit.visit_id}", now)
                if visit.held:
                    action = "A person stopped its charging: start the session again, or let it leave as it is."
                else:
                    action = f"Look at {label(self.yard, key)}: what its reason chain says is all that keeps it."
                out.append(_notice(2, f"{vehicle} is at risk", action, since, key))
        return out

    def _connector(self, key: ConnectorId, now: datetime) -> list[rm.Notice]:
        yard, name, out = self.yard, label(self.yard, key), list[rm.Notice]()
        facts, link = yard.state.connector(key), yard.links.get(key.station_id)
        if facts.trust is ev.TrustLevel.DEFIANT:
            action = "It is budgeted at its rating and only switched on and off. Have it serviced."
            out.append(_notice(2, f"{name} does not follow limits", action, self._first_seen(f"defiant {key}", now), key))
        elif facts.trust is ev.TrustLevel.OVERDRAWS:
            action = f"It draws {facts.trust_factor:.2f} × what it is told and is budgeted so. Have its meter and limit checked."
            out.append(_notice(3, f"{name} draws more than told", action, self._first_seen(f"overdraws {key}", now), key))
        if facts.status is ev.ConnectorStatus.FAULTED:
            what = f": {facts.error_code}" if facts.error_code not in ("", "NoError") else ""
            visit = yard.visit_on(key)
            action = f"Move {visit.announced.vehicle_id} to a free charger, then look at this one." if visit else "Look at the charger."
            since = facts.status_since or self._first_seen(f"faulted {key}", now)
            out.append(_notice(2, f"{name} faulted{what}", action, since, key))
        if link is not None and not link.connected:
            held_w = yard.grants[key].bound_w(now.timestamp())
            reserved = f" {held_w / 1000:.0f} kW stay reserved." if held_w >= 500 else ""
            out.append(_notice(2, f"{name} offline", f"Check its breaker and network.{reserved}", link.since, key))
        return out


def _notice(priority: int, title: str, action: str, since: datetime, key: ConnectorId | None = None) -> rm.Notice:
    return rm.Notice(priority=priority, title=title, action=action, since=since, connector=str(key) if key is not None else None)
