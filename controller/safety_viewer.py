"""Builds the view of the page *Safety* from the room. Pure reading: nothing here changes anything."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec import structs

from bms_bridge.guard import PackView
from controller import safety_rules as rules
from controller.isolation import Ask
from controller.pack_danger import danger_of
from controller.pack_view import PackDetail, PacksView, TripsView
from controller.pack_viewer import cell_of, chemistry_of, detail_of, rows_of
from controller.safety import Safety
from controller.safety_log import SafetyLog
from controller.safety_notices import SafetyNotices, power_words
from controller.safety_view import Act, Degrees, Refused, SafetyView, ShutConnector, TelemetryView, TrippedPack
from controller.views_tiles import FLOWS_W, label
from depot.values import ConnectorId, Outcome, PackKey

MOST_TRIPPED = 20
MOST_PACKS = 50
MOST_CELLS = 1000
MOST_REFUSED = 5
MOST_ROWS = 60


class SafetyViewer:
    """Builds the view. ``log``: the facts' timeline."""

    def __init__(self, safety: Safety, notices: SafetyNotices, log: SafetyLog) -> None:
        self._safety = safety
        self._notices = notices
        self._log = log

    async def view(self, _: Mapping[str, str]) -> SafetyView:
        """The page of this moment."""
        safety = self._safety
        seen = {view.pack: view for view in safety.guard.views()}
        briefs = self._notices.trips()
        rows = await rows_of(safety, list(seen.values()))
        return SafetyView(
            at=safety.yard.clock.now(),
            tripped=[self._tripped(PackKey(b.vehicle_id, b.pack_id), seen, b.since) for b in briefs[:MOST_TRIPPED]],
            tripped_count=len(briefs),
            shut=[self._shut(key) for key in safety.isolation.shut],
            packs=rows[:MOST_PACKS],
            pack_count=len(rows),
            strip=[cell_of(row) for row in rows[:MOST_CELLS]],
            telemetry=self._telemetry(),
            timeline=list(self._log.rows)[-MOST_ROWS:][::-1],
        )

    async def packs(self, _: Mapping[str, str]) -> PacksView:
        """All batteries."""
        rows = await rows_of(self._safety, self._safety.guard.views())
        return PacksView(at=self._safety.yard.clock.now(), packs=rows, count=len(rows))

    async def pack(self, arguments: Mapping[str, str]) -> PackDetail | None:
        """One battery; None for one that the depot does not know."""
        pack = PackKey(arguments.get("vehicle", ""), arguments.get("pack", ""))
        brief = next((b for b in self._notices.trips() if (b.vehicle_id, b.pack_id) == (pack.vehicle_id, pack.pack_id)), None)
        view = self._safety.guard.view(pack)
        found = detail_of(self._safety, pack, self._tripped(pack, {pack: view}, brief.since) if brief is not None else None)
        return None if found is None else structs.replace(found, danger=await danger_of(view, self._safety.parts.in_thread))

    async def trips(self, _: Mapping[str, str]) -> TripsView:
        """All tripped batteries."""
        seen = {view.pack: view for view in self._safety.guard.views()}
        trips = [self._tripped(PackKey(b.vehicle_id, b.pack_id), seen, b.since) for b in self._notices.trips()]
        return TripsView(at=self._safety.yard.clock.now(), trips=trips)

    def _tripped(self, pack: PackKey, seen: Mapping[PackKey, PackView], since: datetime) -> TrippedPack:
        safety = self._safety
        trip, view, limits = safety.guard.trip_of(pack), seen.get(pack), safety.guard.limits_of(pack)
        key = next(iter(safety.where(pack)), None)
        curve = safety.curves.get(pack)
        return TrippedPack(
            vehicle_id=pack.vehicle_id,
            pack_id=pack.pack_id,
            chemistry=chemistry_of(safety, pack),
            cause=trip.cause.value if trip is not None else "",
            text=rules.cause_words(trip.cause.value, trip.evidence) if trip is not None else "",
            evidence=dict(trip.evidence) if trip is not None else {},
            since=since,
            connector=str(key) if key is not None else None,
            label=label(safety.yard, key) if key is not None else None,
            power_text=power_words(safety, key)[0],
            acts=self._acts(key),
            curve=[Degrees(*point) for point in curve.points] if curve is not None else [],
            trip_c=limits.trip_c,
            reset_c=limits.reset_below_c,
            hottest_c=view.hottest_c if view is not None else None,
            soc=view.soc if view is not None else None,
            age_s=view.age_s if view is not None else None,
            against_reset=safety.guard.against_reset(pack),
        )

    def _acts(self, key: ConnectorId | None) -> list[Act]:
        """What was asked of the charger, and what it has confirmed."""
        safety = self._safety
        shut = safety.isolation.shut.get(key) if key is not None else None
        if key is None or shut is None:
            return []
        name, grant = label(safety.yard, key), safety.yard.grants[key]
        running = safety.yard.state.transaction_on(key)
        stop = _act(shut.stop, "Stop of the session", confirmed=running is None)
        if shut.transaction_id is None:
            stop = Act(title="No session was running", detail="nothing had to be stopped", state="none")
        flows = grant.measured_w if grant.in_session else 0
        power = Act(title=f"{name} reports no power", detail="no session runs, nothing is metered", state="done")
        if flows is None or (running is not None and flows <= FLOWS_W):
            power = Act(title=f"{name} has not ended its session yet", detail="waiting for its meter and its word", state="open")
        elif flows > FLOWS_W:
            power = Act(title=f"{name} still draws {flows / 1000:.1f} kW", detail="switch it off by hand", state="failed")
        default = _act(shut.default, "Default of 0 kW: what it falls to without this controller", confirmed=grant.default_w == 0)
        if safety.yard.state.connector(key).default_w is None and grant.default_w is None and shut.default.asked_s > 0:
            default = Act(title="Default of 0 kW", detail="not confirmed: it may hold none, asked again every minute", state="open")
        return [stop, power, _act(shut.inoperative, "Out of service at the charger"), default]

    def _shut(self, key: ConnectorId) -> ShutConnector:
        entry = self._safety.isolation.shut[key]
        words, confirmed = power_words(self._safety, key)
        return ShutConnector(
            connector=str(key),
            label=label(self._safety.yard, key),
            pack=str(entry.pack),
            since=entry.since,
            power_text=words,
            confirmed=confirmed,
        )

    def _telemetry(self) -> TelemetryView:
        safety = self._safety
        guard, link = safety.guard, safety.link
        words = "; ".join(guard.problems) or "every trip is on the disk"
        if safety.unwritten:
            words = f"{guard.unwritten} trips are not on the disk: {safety.unwritten}"
        elif safety.missing:
            words = f"it had lost {', '.join(map(str, safety.missing[:3]))}"
        return TelemetryView(
            configured=safety.parts.broker is not None,
            up=link.up,
            reason=link.reason,
            since=link.since,
            bus_lost=safety.bus_lost,
            expected=len(safety.expected),
            heard=sum(1 for view in guard.views() if view.pack in safety.expected and view.age_s is not None and view.age_s <= 60),
            refused={reason.value: count for reason, count in guard.rejections.counts.items()},
            newest_refused=[
                Refused(at=r.received_at, topic=r.topic, text=r.text) for r in list(guard.rejections.newest)[-MOST_REFUSED:][::-1]
            ],
            latches=words,
            latches_ok=not (guard.problems or safety.missing or safety.unwritten),
        )


def _act(ask: Ask, title: str, *, confirmed: bool = False) -> Act:
    """An ask as it stands. ``confirmed``: what it was for has happened, whatever was answered."""
    if confirmed or ask.done:
        took = f", {ask.took_s * 1000:.0f} ms after it was told" if ask.took_s is not None and ask.done else ""
        return Act(title=title, detail=f"confirmed by the charger{took}", state="done", at=ask.answered_at)
    if ask.outcome is None:
        words = "told, no answer yet" if ask.first_at is not None else "the charger cannot be told now"
        return Act(title=title, detail=words, state="open", at=ask.first_at)
    state = "open" if ask.outcome is Outcome.OFFLINE else "failed"
    return Act(title=title, detail=f"not accepted ({ask.outcome}); asked again", state=state, at=ask.answered_at)
