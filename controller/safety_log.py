"""What happened for safety, from the journal's facts: the timeline of the page *Safety*.

newest facts at the start, then every durable batch --row_of()--> Row, newest last, at most MOST
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from controller import emergency_words
from controller import safety_rules as rules
from controller.safety_row import Row as Row
from depot import events as ev
from depot.state import DepotState
from depot.values import ConnectorId

MOST: Final = 200
DERATED_APART: Final = 3
"""More packs that are held back at one moment are one row."""

TYPES: Final = tuple(
    kind.TYPE
    for kind in (
        ev.PackTripped, ev.PackDerated, ev.PackReset, ev.TelemetryBusChanged, ev.ConnectorIsolated, ev.ConnectorAvailabilitySet,
        ev.TransactionStopped, ev.DefaultInstalled, ev.ConnectorStatusChanged, ev.CommandRequested, ev.CommandFinished,
        ev.AreaIsolated, ev.AreaReset, ev.OutputMoved, ev.OutputTested, *emergency_words.KINDS,
    )
)  # fmt: skip


class SafetyLog:
    """The newest rows. Which connectors were shut is followed by the facts themselves."""

    def __init__(self, facts: Iterable[ev.Envelope] = ()) -> None:
        self.rows: deque[Row] = deque(maxlen=MOST)
        self._shut: set[ConnectorId] = set()
        self._resets: dict[str, str] = {}
        for fact in facts:
            self._take([fact])

    def landed(self, facts: Sequence[ev.Envelope], _: DepotState) -> None:
        """A durable batch."""
        self._take(facts)

    def _take(self, facts: Sequence[ev.Envelope]) -> None:
        derated = [fact for fact in facts if isinstance(fact.data, ev.PackDerated)]
        if len(derated) > DERATED_APART:
            held = sum(fact.data.share < 1 for fact in derated if isinstance(fact.data, ev.PackDerated))
            words = f"{held} batteries are held back" if held else f"{len(derated)} batteries may take their whole level again"
            self.rows.append(Row(at=derated[0].occurred_at, title=words, tone="warn" if held else "done"))
        for fact in facts:
            if isinstance(fact.data, ev.PackDerated) and len(derated) > DERATED_APART:
                continue
            row = self.row_of(fact)
            if row is not None:
                self.rows.append(row)

    def row_of(self, fact: ev.Envelope) -> Row | None:
        """The line of one fact; None for one that the timeline does not tell of."""
        at = fact.occurred_at
        match fact.data:
            case ev.PackTripped(pack, cause, evidence):
                return Row(at=at, title=f"{pack} tripped", detail=rules.cause_words(cause, evidence), tone="alarm")
            case ev.PackReset(pack, person, role, reason):
                return Row(at=at, title=f"{pack} reset", detail=reason, tone="done", by=f"{person}, {role}")
            case ev.PackDerated(pack, share, reason) if share < 1:
                return Row(at=at, title=f"{pack} may take {share:.0%} of its level", detail=reason, tone="warn")
            case ev.PackDerated(pack):
                return Row(at=at, title=f"{pack} may take its whole level again", tone="done")
            case ev.TelemetryBusChanged(lost, reason):
                title = "Telemetry of all vehicles lost" if lost else "Telemetry is back"
                return Row(at=at, title=title, detail=reason, tone="warn" if lost else "done")
            case ev.ConnectorIsolated(connector, pack):
                self._shut.add(connector)
                return Row(at=at, title=f"{connector} out of service", detail=f"{pack} is tripped", tone="alarm")
            case ev.CommandRequested(command_id, "ResetPack", target, reason):
                self._resets[command_id] = target
                return Row(at=at, title=f"Reset of {target} requested", detail=reason, by=fact.actor)
            case ev.CommandFinished(command_id, outcome, message) if command_id in self._resets:
                target = self._resets.pop(command_id)
                return Row(at=at, title=f"Reset of {target} {outcome}", detail=message, tone="done" if outcome == "done" else "warn")
            case other:
                return _of_output(other, at) or emergency_words.row_of(other, at) or self._of_connector(other, at)

    def _of_connector(self, data: ev.Event, at: datetime) -> Row | None:
        """What happened on connectors that are shut."""
        match data:
            case ev.TransactionStopped(number, connector, _, reason) if connector in self._shut:
                return Row(at=at, title=f"{connector} ended session {number}", detail=f"reason {reason}", tone="done")
            case ev.DefaultInstalled(connector, 0) if connector in self._shut:
                return Row(at=at, title=f"{connector} confirmed a default of 0 kW", tone="done")
            case ev.ConnectorStatusChanged(connector, status) if connector in self._shut:
                return Row(at=at, title=f"{connector} reports {status}")
            case ev.ConnectorAvailabilitySet(connector, operative, reason) if connector in self._shut:
                if operative:
                    self._shut.discard(connector)
                return Row(at=at, title=f"{connector} {'in' if operative else 'out of'} service", detail=reason, tone="done")
            case _:
                return None


def _of_output(data: ev.Event, at: datetime) -> Row | None:
    """What happened to areas and outputs."""
    match data:
        case ev.AreaIsolated(area, origin, reason, by):
            return Row(at=at, title=f"{area.title} isolated ({origin})", detail=reason, tone="alarm", by="" if by == "controller" else by)
        case ev.AreaReset(area, person, role, reason):
            return Row(at=at, title=f"{area.title} reset", detail=reason, tone="done", by=f"{person}, {role}")
        case ev.OutputMoved(output_id, state, proof, reason):
            tone = "alarm" if proof == "not confirmed" else "done"
            return Row(at=at, title=f"{output_id} {state}, {proof}", detail=reason, tone=tone)
        case ev.OutputTested(output_id, passed, result, by):
            tone = "done" if passed else "warn"
            return Row(at=at, title=f"Test of {output_id} {'passed' if passed else 'failed'}", detail=result, tone=tone, by=by)
        case _:
            return None
