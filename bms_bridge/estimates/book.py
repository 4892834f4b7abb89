"""What was estimated, kept: packs, charges, estimates, and how far the lake was read. One database of its own for each depot.

One process writes (the health job); others look on. An estimate of the same window is written once: the job may look twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection, text

from bms_bridge.estimates.charge_past import past_of
from bms_bridge.estimates.charge_view import as_of
from bms_bridge.estimates.choice import Counting, counting
from bms_bridge.estimates.curve_of_make import words_of_makes
from bms_bridge.estimates.estimate import COUNTED, COUNTS, LIFE, RESISTANCE, TAUGHT, Estimate
from bms_bridge.estimates.outlook import Dated
from bms_bridge.estimates.shelf import charge_of, mark_of, prospect_of
from bms_bridge.estimates.trend import trend
from bms_bridge.estimates.view import FleetHealthView, HealthCharge, HealthEstimate, HealthTrend, PackHealthRow, PackHealthView
from bms_bridge.lake.schema import moment
from depot.values import PackKey
from storage import Store

SHOWN_ESTIMATES: Final = 2_000
SHOWN_CHARGES: Final = 20
KEPT_CHARGES: Final = 500
"""Of one pack; estimates are kept for ever."""

Ended = tuple[int, list[float]]
"""When a charge ended (Unix microseconds), and the sixteen numbers of its end."""


def book_file(folder: Path, depot_id: str) -> Path:
    """The book in the depot's folder."""
    return folder / f"{depot_id}-health.db"


@dataclass(frozen=True, slots=True)
class PackEntry:
    """A pack as it was judged. ``note``: why nothing can be estimated, "" where it can."""

    pack: PackKey
    heard_us: int
    chemistry: str
    nominal_ah: float | None
    cells: int | None
    modules: int | None
    note: str


@dataclass(frozen=True, slots=True)
class ChargeEntry:
    """A charge that was looked at. Times: Unix microseconds."""

    started_us: int
    ended_us: int
    charged_ah: float
    detail: dict[str, Any]


class Book:
    """See the module. Raises :class:`storage.StorageError`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    # -- written by the job --------------------------------------------------------------------------------------------

    def put(self, entry: PackEntry, charges: Iterable[tuple[ChargeEntry, Sequence[Estimate]]], *, now_us: int) -> int:
        """A pack, and charges with what they told. How many charges are new."""
        new = 0
        with self._store.writing() as connection:
            self._put_pack(connection, entry, now_us)
            for charge, estimates in charges:
                values = _named(entry.pack) | {
                    "ended": charge.ended_us,
                    "started": charge.started_us,
                    "ah": charge.charged_ah,
                    "detail": json.dumps(charge.detail),
                }
                new += connection.execute(
                    text("INSERT OR IGNORE INTO estimates_charge VALUES (:vehicle, :pack, :ended, :started, :ah, :detail)"), values
                ).rowcount
                for one in estimates:
                    put_estimate(connection, entry.pack, one, now_us)
            connection.execute(
                text(
                    "DELETE FROM estimates_charge WHERE vehicle_id = :vehicle AND pack_id = :pack AND ended_us < (SELECT ended_us FROM "
                    "estimates_charge WHERE vehicle_id = :vehicle AND pack_id = :pack ORDER BY ended_us DESC LIMIT 1 OFFSET :kept)"
                ),
                _named(entry.pack) | {"kept": KEPT_CHARGES},
            )
        return new

    def _put_pack(self, connection: Connection, entry: PackEntry, now_us: int) -> None:
        values = _named(entry.pack) | {
            "heard": entry.heard_us,
            "looked": now_us,
            "chemistry": entry.chemistry,
            "ah": entry.nominal_ah,
            "cells": entry.cells,
            "modules": entry.modules,
            "note": entry.note,
        }
        connection.execute(
            text(
                "INSERT OR REPLACE INTO estimates_pack VALUES (:vehicle, :pack, :heard, :looked, :chemistry, :ah, :cells, :modules, :note)"
            ),
            values,
        )

    def knows(self, pack: PackKey, ended_us: int) -> bool:
        """Whether this charge was looked at."""
        with self._store.reading() as connection:
            query = text("SELECT 1 FROM estimates_charge WHERE vehicle_id = :vehicle AND pack_id = :pack AND ended_us = :ended")
            return connection.execute(query, _named(pack) | {"ended": ended_us}).first() is not None

    def meta(self, name: str) -> str | None:
        """A word of the job's own."""
        with self._store.reading() as connection:
            found = connection.execute(text("SELECT value FROM estimates_meta WHERE name = :name"), {"name": name}).scalar()
        return None if found is None else str(found)

    def set_meta(self, name: str, value: str) -> None:
        """Remember a word."""
        with self._store.writing() as connection:
            connection.execute(text("INSERT OR REPLACE INTO estimates_meta VALUES (:name, :value)"), {"name": name, "value": value})

    def packs(self) -> list[PackEntry]:
        """As they were judged last, in order."""
        with self._store.reading() as connection:
            found = connection.execute(text(f"{_PACKS} ORDER BY vehicle_id, pack_id"))
            return [PackEntry(PackKey(vehicle, pack), *rest) for vehicle, pack, *rest in found]

    def endings(self, pack: PackKey, window: str) -> list[Ended]:
        """The sixteen numbers of the ends of its charges by a window (its label), in order."""
        with self._store.reading() as connection:
            query = text(
                "SELECT ended_us, detail FROM estimates_charge WHERE vehicle_id = :vehicle AND pack_id = :pack "
                "AND detail LIKE '%\"window_of\":%' ORDER BY ended_us"
            )
            found = [(ended, json.loads(detail)) for ended, detail in connection.execute(query, _named(pack))]
        return [(ended, said["window"]) for ended, said in found if said["window_of"] == window]

    def counting(self, pack: PackKey) -> Counting:
        """The estimate of health that counts."""
        with self._store.reading() as connection:
            return counting(_by_method(connection, _named(pack)))

    def dated(self, pack: PackKey) -> list[Dated]:
        """Estimates of health by the method that counts, in order: two methods in one line would be steps that the pack never took."""
        with self._store.reading() as connection:
            one = counting(_by_method(connection, _named(pack))).one
            query = text(f"{_ESTIMATES} AND quantity = 'soh' AND method IN (:method, :other) AND value IS NOT NULL ORDER BY until_us")
            values = _named(pack) | _alike(COUNTED if one is None else one.method)
            found = [_estimate(row) for row in connection.execute(query, values)]
        return [
            Dated(one.until.timestamp(), one.detail.get("cycles"), one.value, one.low, one.high, one.detail.get("use"))
            for one in found
            if one.value is not None and one.low is not None and one.high is not None
        ]

    def resistances(self, pack: PackKey) -> list[HealthEstimate]:
        """Estimates of its resistance with a value, in order."""
        with self._store.reading() as connection:
            query = text(f"{_ESTIMATES} AND quantity = 'resistance' AND value IS NOT NULL ORDER BY until_us")
            return [_estimate(row) for row in connection.execute(query, _named(pack))]

    def put_outlook(self, pack: PackKey, one: Estimate, *, now_us: int) -> None:
        """Remaining life, in the place of the one before of the same day's health."""
        with self._store.writing() as connection:
            values = _named(pack) | {"quantity": one.quantity, "until": round(one.until_s * 1e6)}
            connection.execute(
                text(
                    "DELETE FROM estimates_estimate WHERE vehicle_id = :vehicle AND pack_id = :pack AND quantity = :quantity "
                    "AND until_us = :until"
                ),
                values,
            )
            put_estimate(connection, pack, one, now_us)

    # -- read by everybody ---------------------------------------------------------------------------------------------

    def fleet(self, at: datetime) -> FleetHealthView:
        """The table of all packs."""
        with self._store.reading() as connection:
            rows = [_row(connection, found, at) for found in connection.execute(text(f"{_PACKS} ORDER BY vehicle_id, pack_id"))]
            looked = connection.execute(text("SELECT value FROM estimates_meta WHERE name = 'looked_us'")).scalar()
        return FleetHealthView(at, True, "", None if looked is None else moment(int(looked)), rows, words_of_makes(rows))

    def one(self, pack: PackKey, at: datetime) -> PackHealthView | None:
        """One pack's history; None: it was never heard of."""
        with self._store.reading() as connection:
            query = text(f"{_PACKS} WHERE vehicle_id = :vehicle AND pack_id = :pack")
            found = connection.execute(query, _named(pack)).first()
            if found is None:
                return None
            estimates = list(
                connection.execute(
                    text(f"{_ESTIMATES} ORDER BY until_us DESC LIMIT :most"),
                    _named(pack) | {"most": SHOWN_ESTIMATES},
                )
            )
            charges = connection.execute(
                text(
                    "SELECT started_us, ended_us, charged_ah, detail FROM estimates_charge "
                    "WHERE vehicle_id = :vehicle AND pack_id = :pack ORDER BY ended_us DESC LIMIT :most"
                ),
                _named(pack) | {"most": SHOWN_CHARGES},
            )
            oldest = connection.execute(
                text(
                    "SELECT started_us, ended_us, charged_ah, detail FROM estimates_charge WHERE vehicle_id = :vehicle AND pack_id = :pack "
                    "AND detail LIKE '%\"ica\":%' ORDER BY ended_us LIMIT 1"
                ),
                _named(pack),
            ).first()
            return PackHealthView(
                at,
                _row(connection, found, at),
                [_estimate(one) for one in reversed(estimates)],
                [HealthCharge(moment(start), moment(end), ah, json.loads(detail)) for start, end, ah, detail in charges],
                None if oldest is None else HealthCharge(moment(oldest[0]), moment(oldest[1]), oldest[2], json.loads(oldest[3])),
                prospect_of(connection, pack),
                charge_past=past_of(connection, pack, at),
            )


_PACKS = "SELECT vehicle_id, pack_id, heard_us, chemistry, nominal_ah, cells, modules, note FROM estimates_pack"
_ESTIMATES = (
    "SELECT quantity, method, from_us, until_us, value, low, high, reason, detail FROM estimates_estimate "
    "WHERE vehicle_id = :vehicle AND pack_id = :pack"
)


def put_estimate(connection: Connection, pack: PackKey, one: Estimate, now_us: int) -> None:
    """Once for each window, quantity and method."""
    values = _named(pack) | {
        "quantity": one.quantity,
        "method": one.method,
        "since": round(one.from_s * 1e6),
        "until": round(one.until_s * 1e6),
        "made": now_us,
        "value": one.value,
        "low": one.low,
        "high": one.high,
        "reason": one.reason,
        "detail": json.dumps(one.detail),
    }
    connection.execute(
        text(
            "INSERT OR IGNORE INTO estimates_estimate (vehicle_id, pack_id, quantity, method, until_us, from_us, made_us, "
            "value, low, high, reason, detail) "
            "VALUES (:vehicle, :pack, :quantity, :method, :until, :since, :made, :value, :low, :high, :reason, :detail)"
        ),
        values,
    )


def _row(connection: Connection, found: Any, at: datetime) -> PackHealthRow:
    vehicle, pack, heard, chemistry, ah, cells, modules, note = found
    key = {"vehicle": vehicle, "pack": pack}
    newest = {}
    for quantity in (RESISTANCE, LIFE):
        there = "" if quantity == LIFE else " AND value IS NOT NULL"
        query = text(f"{_ESTIMATES} AND quantity = :quantity{there} ORDER BY until_us DESC LIMIT 1")
        one = connection.execute(query, key | {"quantity": quantity}).first()
        newest[quantity] = None if one is None else _estimate(one)
    by_method = _by_method(connection, key)
    counts = counting(by_method)
    charges = connection.execute(
        text("SELECT count(*) FROM estimates_charge WHERE vehicle_id = :vehicle AND pack_id = :pack"), key
    ).scalar()
    said = _last_said(connection, key)
    why = note or (
        said if said is not None else "no charge was seen from its beginning to its end yet" if not charges else "its charges told nothing"
    )
    mark = mark_of(connection, PackKey(vehicle, pack))
    return PackHealthRow(
        vehicle_id=vehicle,
        pack_id=pack,
        chemistry=chemistry,
        nominal_ah=ah,
        cells=cells,
        modules=modules,
        heard_at=moment(heard),
        charges=int(charges or 0),
        soh=counts.one,
        resistance=newest[RESISTANCE],
        life=newest[LIFE],
        trend=_trend(connection, key, COUNTED if counts.one is None else counts.one.method),
        why_not=why,
        soh_by=by_method,
        soh_note=counts.note,
        disagree=counts.disagree,
        grade="" if mark is None else mark.grade,
        grade_why="it comes within minutes of the first estimate of its health"
        if mark is None
        else mark.why_not or "; ".join(mark.because),
        charge=as_of(charge_of(connection, PackKey(vehicle, pack)), at),
    )


def _by_method(connection: Connection, key: dict[str, Any]) -> list[HealthEstimate]:
    """The newest estimate of health with a value, of each method."""
    found: list[HealthEstimate] = []
    for method in (COUNTED, TAUGHT):
        query = text(
            f"{_ESTIMATES} AND quantity = 'soh' AND method IN (:method, :other) AND value IS NOT NULL ORDER BY until_us DESC LIMIT 1"
        )
        one = connection.execute(query, key | _alike(method)).first()
        found += [] if one is None else [_estimate(one)]
    return found


def _last_said(connection: Connection, key: dict[str, Any]) -> str | None:
    """Why the newest charge gave no health by any method, "" where it gave one by some; None: there was none to judge."""
    query = text(f"{_ESTIMATES} AND quantity = 'soh' ORDER BY until_us DESC LIMIT 4")
    rows = [_estimate(row) for row in connection.execute(query, key)]
    if not rows:
        return None
    same: dict[str, HealthEstimate] = {}
    for one in rows:
        if one.until >= rows[0].since:
            same.setdefault(one.method, one)
    if any(one.value is not None for one in same.values()):
        return ""
    if len(same) == 1:
        return rows[0].reason
    return "; ".join(f"by {one.method}: {one.reason}" for _, one in sorted(same.items()))


def _alike(method: str) -> dict[str, str]:
    """Of a question: the methods that make one line with this one."""
    first, other = COUNTS if method in COUNTS else (method, method)
    return {"method": first, "other": other}


def _trend(connection: Connection, key: dict[str, str], method: str) -> HealthTrend:
    query = text(
        "SELECT until_us, value, (high - low) / 2 FROM estimates_estimate WHERE vehicle_id = :vehicle AND pack_id = :pack "
        "AND quantity = 'soh' AND method IN (:method, :other) AND value IS NOT NULL ORDER BY until_us DESC LIMIT 200"
    )
    found = np.array([tuple(row) for row in connection.execute(query, key | _alike(method))], float).reshape(-1, 3)
    said = trend(found[:, 0] / 1e6, found[:, 1], found[:, 2])
    return HealthTrend(said.per_year, said.low, said.high, said.reason)


def _estimate(row: Any) -> HealthEstimate:
    quantity, method, since, until, value, low, high, reason, detail = row
    return HealthEstimate(quantity, method, moment(since), moment(until), value, low, high, reason, json.loads(detail))


def _named(pack: PackKey) -> dict[str, Any]:
    return {"vehicle": pack.vehicle_id, "pack": pack.pack_id}
