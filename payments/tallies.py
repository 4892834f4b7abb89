"""How often, and when last: webhooks turned away, answers of the gateway. Counted in memory and written at most once a
second, so that whoever floods the receiver writes nothing to the disk; a death loses that second's count."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlmodel import Session, select

from depot.ports import Clock
from payments.tables import TallyRow
from payments.times import from_ms, to_ms
from storage import Store

__all__ = ["GATEWAY_ANSWERED", "GATEWAY_SILENT", "WEBHOOK_FORGED", "WEBHOOK_UNREADABLE", "Tallies", "Tally", "tallies_of"]

WEBHOOK_FORGED = "webhook_forged"
WEBHOOK_UNREADABLE = "webhook_unreadable"
GATEWAY_ANSWERED = "gateway_answered"
GATEWAY_SILENT = "gateway_silent"

_EVERY_S = 1.0
_MOST_NOTE = 200


@dataclass(frozen=True, slots=True)
class Tally:
    """``number`` times, the last time ``at``, of which ``note`` says more."""

    number: int
    at: datetime
    note: str


@dataclass(slots=True)
class Tallies:
    """The one writer of a depot's tallies."""

    store: Store
    depot_id: str
    clock: Clock
    _new: dict[str, Tally] = field(default_factory=dict)
    _written_s: float = float("-inf")

    def count(self, name: str, note: str = "") -> None:
        """Once more."""
        known = self._new.get(name)
        self._new[name] = Tally((known.number if known else 0) + 1, self.clock.now(), note[:_MOST_NOTE])

    def heard(self, trouble: str) -> None:
        """The gateway answered (""), or why it did not."""
        self.count(GATEWAY_SILENT if trouble else GATEWAY_ANSWERED, trouble)

    def write(self) -> None:
        """Add what was counted to what is stored, if it is time. Raises :class:`~storage.StoreUnavailable`."""
        now_s = self.clock.monotonic()
        if not self._new or now_s < self._written_s + _EVERY_S:
            return
        with self.store.unit() as session:
            for name, tally in self._new.items():
                row = session.get(TallyRow, (self.depot_id, name))
                if row is None:
                    row = TallyRow(depot_id=self.depot_id, name=name, number=0, last_ms=0)
                    session.add(row)
                row.number, row.last_ms, row.note = row.number + tally.number, to_ms(tally.at), tally.note
        self._new.clear()
        self._written_s = now_s


def tallies_of(session: Session, depot_id: str) -> dict[str, Tally]:
    """Everything that was counted, by name."""
    rows = session.exec(select(TallyRow).where(TallyRow.depot_id == depot_id)).all()
    return {row.name: Tally(row.number, from_ms(row.last_ms), row.note) for row in rows}
