"""What of safety needs a person, as sentences: conditions for notices and alarms, and the red banner of every page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from controller import readmodel as rm
from controller import safety_rules as rules
from controller.alarms import Condition
from controller.safety import Safety
from controller.views_tiles import FLOWS_W, label
from depot.values import ConnectorId, PackKey

Found = tuple[Condition, datetime, ConnectorId | None]
"""A condition, since when it holds, and the connector to look at."""

KINDS = frozenset({"pack_tripped", "telemetry_lost", "packs_held_back", "latches_unsafe"})


class SafetyNotices:
    """Reads the room; remembers since when what has no time of its own stands."""

    def __init__(self, safety: Safety) -> None:
        self._safety = safety
        self._since: dict[str, datetime] = {}

    def trips(self) -> list[rm.TripBrief]:
        """All tripped packs, those on a charger first, the newest first."""
        found = [self._brief(pack) for pack in self._safety.guard.tripped]
        return sorted(found, key=lambda brief: (brief.connector is None, -brief.since.timestamp(), brief.vehicle_id))

    def _brief(self, pack: PackKey) -> rm.TripBrief:
        safety = self._safety
        trip = safety.guard.trip_of(pack)
        known = safety.yard.state.tripped.get(pack)
        key = next(iter(safety.where(pack)), None)
        power, done = power_words(safety, key)
        return rm.TripBrief(
            vehicle_id=pack.vehicle_id,
            pack_id=pack.pack_id,
            connector=str(key) if key is not None else None,
            label=label(safety.yard, key) if key is not None else None,
            since=safety.guard.since(pack) or (known.since if known is not None else safety.started_at),
            text=rules.cause_words(trip.cause.value, trip.evidence) if trip is not None else "",
            power_text=power,
            done=done,
        )

    def conditions(self, now: datetime) -> Sequence[Found]:
        """What holds now, for the notice board and the alarms."""
        safety, out = self._safety, list[Found]()

        def add(kind: str, subject: str, title: str, action: str, since: datetime | None = None, key: ConnectorId | None = None) -> None:
            condition = Condition(kind, subject, title, action)
            out.append((condition, since or self._since.setdefault(condition.key, now), key))

        for trip in self.trips():
            action = f"Keep people away and look at it from a distance: {trip.text}. {trip.power_text}. Reset it on the page Safety."
            key = ConnectorId.parse(trip.connector) if trip.connector is not None else None
            pack = PackKey(trip.vehicle_id, trip.pack_id)
            add("pack_tripped", str(pack), f"Battery of {trip.vehicle_id} tripped", action, trip.since, key)
        if safety.bus_lost is not None:
            action = f"Look at the broker: {safety.bus_lost}. Batteries that no charger speaks of are charged at half their level."
            add("telemetry_lost", "", "Telemetry of all vehicles lost", action)
        tripped = set(safety.guard.tripped)
        derated = [pack for pack, share in safety.shares.items() if share < 1.0 and pack not in tripped]
        if derated and safety.bus_lost is None:
            names = ", ".join(sorted({pack.vehicle_id for pack in derated})[:3])
            more = f" and {len(derated) - 3} more" if len(derated) > 3 else ""
            add("packs_held_back", "", "Batteries are held back", f"{names}{more}: the page Safety says why.")
        for problem in safety.guard.problems:
            action = f"{problem}. Those packs count as tripped: look at the vehicles, then reset them."
            add("latches_unsafe", problem, "The latch file is damaged", action)
        if safety.missing:
            names = ", ".join(map(str, safety.missing[:3]))
            action = f"{names}: tripped by the journal. Find out who removed or replaced the file, then look at the vehicles."
            add("latches_unsafe", "missing", "The latch file had lost trips", action)
        if safety.unwritten:
            action = f"They act, but a restart must not happen now: {safety.unwritten}. Free disk space."
            add("latches_unsafe", "unwritten", "Trips cannot be written down", action)
        for gone in self._since.keys() - {condition.key for condition, _, _ in out}:
            del self._since[gone]
        return out


def power_words(safety: Safety, key: ConnectorId | None) -> tuple[str, bool]:
    """What is known of the power on a connector that is shut, and whether all is confirmed."""
    if key is None:
        return "It is on no charger of this depot", True
    yard, shut = safety.yard, safety.isolation.shut.get(key)
    name = label(yard, key)
    if not yard.connected(key.station_id):
        return f"{name} is offline: switch it off by hand", False
    grant = yard.grants[key]
    running = yard.state.transaction_on(key) is not None
    if running and grant.measured_w is not None and grant.measured_w > FLOWS_W:
        return f"Still {grant.measured_w / 1000:.1f} kW on {name}: switch it off by hand", False
    if running:
        return f"{name} is told to stop, not confirmed yet", False
    if shut is None or not shut.inoperative.done:
        return "Power is off; out of service not confirmed yet", False
    return "Power is off, and confirmed", True
