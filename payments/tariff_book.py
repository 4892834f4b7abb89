"""The depot's driver tariffs: every version that was ever put, and which of them is in force for whom. Versions are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlmodel import col, select

from depot.ports import Clock
from payments import Refused, UnknownRecord
from payments.driver_tariff import DriverTariff
from payments.records import looking
from payments.tables import TariffRow
from payments.tariff_text import digest_of, from_text, to_text
from payments.times import from_ms, maybe_from_ms, to_ms
from storage import Store

__all__ = ["TariffBook", "TariffVersion", "in_force"]

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class TariffVersion:
    """``number``: from 1 for each tariff. ``ended_at``: from when on no session starts under it, by a person's word."""

    tariff: DriverTariff
    number: int
    digest: str
    actor: str
    put_at: datetime
    ended_at: datetime | None

    def holds_at(self, at: datetime) -> bool:
        """Whether a session may start under it then."""
        return self.tariff.holds_at(at) and (self.ended_at is None or at < self.ended_at)


def in_force(versions: Sequence[TariffVersion], *, driver_id: str, group: str, station_id: str, at: datetime) -> TariffVersion | None:
    """The one that holds for this driver at this station. Of one tariff the newest version that holds; of several tariffs the more
    particular (:class:`~payments.driver_tariff.Audience`), then the one that began last, then the one put last. None: none holds."""
    newest: dict[str, TariffVersion] = {}
    for version in versions:
        if version.holds_at(at):
            known = newest.get(version.tariff.tariff_id)
            if known is None or version.number > known.number:
                newest[version.tariff.tariff_id] = version
    fitting = [
        version for version in newest.values() if version.tariff.audience.fits(driver_id=driver_id, group=group, station_id=station_id)
    ]
    return max(fitting, key=_rank, default=None)


def _rank(version: TariffVersion) -> tuple[int, datetime, datetime, str]:
    tariff = version.tariff
    return tariff.audience.rank, tariff.valid_from or _LONG_AGO, version.put_at, tariff.tariff_id


@dataclass(frozen=True, slots=True)
class TariffBook:
    """One depot's tariffs. Blocking, like everything that touches the store."""

    store: Store
    depot_id: str
    clock: Clock

    def versions(self) -> list[TariffVersion]:
        """All of them, by tariff and number."""
        with looking(self.store) as session:
            query = select(TariffRow).where(TariffRow.depot_id == self.depot_id)
            rows = session.exec(query.order_by(col(TariffRow.tariff_id), col(TariffRow.number))).all()
            return [_version(row) for row in rows]

    def put(self, tariff: DriverTariff, *, actor: str) -> TariffVersion:
        """A new version; the same text as the newest one is the newest one. Running sessions keep theirs."""
        digest = digest_of(tariff)
        with self.store.unit() as session:
            query = select(TariffRow).where(TariffRow.depot_id == self.depot_id, TariffRow.tariff_id == tariff.tariff_id)
            last = session.exec(query.order_by(col(TariffRow.number).desc())).first()
            if last is not None and last.digest == digest and last.ended_ms is None:
                return _version(last)
            row = TariffRow(
                depot_id=self.depot_id,
                tariff_id=tariff.tariff_id,
                number=last.number + 1 if last is not None else 1,
                digest=digest,
                body=to_text(tariff),
                actor=actor,
                put_ms=to_ms(self.clock.now()),
            )
            session.add(row)
            return _version(row)

    def end(self, tariff_id: str, *, at: datetime | None = None) -> int:
        """No session starts under any version of the tariff from ``at`` on, at the earliest now; how many versions that ends.
        Raises :class:`~payments.UnknownRecord`, :class:`~payments.Refused` where all have ended."""
        now = self.clock.now()
        until = max(now, at or now)
        with self.store.unit() as session:
            rows = session.exec(select(TariffRow).where(TariffRow.depot_id == self.depot_id, TariffRow.tariff_id == tariff_id)).all()
            if not rows:
                raise UnknownRecord(f"there is no tariff {tariff_id}")
            ending = [row for row in rows if row.ended_ms is None or row.ended_ms > to_ms(until)]
            if not ending:
                raise Refused(f"tariff {tariff_id} has ended already")
            for row in ending:
                row.ended_ms = to_ms(until)
            return len(ending)


def _version(row: TariffRow) -> TariffVersion:
    return TariffVersion(from_text(row.body), row.number, row.digest, row.actor, from_ms(row.put_ms), maybe_from_ms(row.ended_ms))
