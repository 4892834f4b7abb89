"""What was said of a pack's state of charge in the last fortnight: one point a quarter of an hour, so that people see it beside its own
system's.

    Track, Bins --points--> [ChargePoint]      --add_points--> table estimates_soc_past      --past_of--> [ChargePoint], the oldest first

The newest look at a quarter of an hour counts. What is older than :data:`KEPT` goes when a new point comes: at most 1,344 rows a pack.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection, text

from bms_bridge.estimates.charge_view import ChargePoint
from bms_bridge.lake.schema import moment
from bms_bridge.soc.estimate import Track, Verdict
from bms_bridge.soc.ocv import Floats
from depot.values import PackKey

SLOT_S: Final = 900
KEPT: Final = timedelta(days=14)
KEPT_SLOTS: Final = round(KEPT.total_seconds()) // SLOT_S


def points(time_s: Floats, bms: Floats, track: Track) -> list[ChargePoint]:
    """One a quarter of an hour: the last step with a state of charge or a word of its own system. ``time_s``, ``bms`` [n]: Unix seconds,
    what its own system says (NaN: nothing); ``track``: of the same steps (row 0)."""
    told = track.verdict[0] == Verdict.TOLD
    slots = np.floor(time_s / SLOT_S).astype(np.int64)
    found = []
    for slot in np.unique(slots):
        own = np.flatnonzero((slots == slot) & (told | np.isfinite(bms)))
        if len(own):
            last = int(own[-1])
            soc, low, high = (_share(row[0, last]) if told[last] else None for row in (track.soc, track.low, track.high))
            found.append(ChargePoint(moment(round(time_s[last] * 1e6)), soc, low, high, _share(bms[last])))
    return found


def _share(value: float) -> float | None:
    return round(float(value), 4) if math.isfinite(value) else None


def add_points(connection: Connection, pack: PackKey, found: Sequence[ChargePoint]) -> None:
    """Keep them, each in the place of the one before of its quarter of an hour; those that are too old go."""
    if not found:
        return
    rows = [_named(pack) | _columns(one) for one in found]
    connection.execute(
        text("INSERT OR REPLACE INTO estimates_soc_past VALUES (:vehicle, :pack, :slot, :at, :soc, :low, :high, :bms)"), rows
    )
    connection.execute(
        text("DELETE FROM estimates_soc_past WHERE vehicle_id = :vehicle AND pack_id = :pack AND slot <= :last"),
        _named(pack) | {"last": max(row["slot"] for row in rows) - KEPT_SLOTS},
    )


def past_of(connection: Connection, pack: PackKey, at: datetime) -> list[ChargePoint]:
    """The last fortnight's before ``at``, the oldest first; also of a book that an older version made (nothing)."""
    if not connection.execute(text("SELECT count(*) FROM sqlite_master WHERE name = 'estimates_soc_past'")).scalar():
        return []
    query = text(
        "SELECT at_us, soc, low, high, bms FROM estimates_soc_past WHERE vehicle_id = :vehicle AND pack_id = :pack AND slot > :last "
        "ORDER BY slot DESC LIMIT :most"
    )
    found = connection.execute(query, _named(pack) | {"last": _slot(at - KEPT), "most": KEPT_SLOTS})
    return [ChargePoint(moment(at_us), soc, low, high, bms) for at_us, soc, low, high, bms in found][::-1]


def _columns(one: ChargePoint) -> dict[str, Any]:
    at_us = round(one.at.timestamp() * 1e6)
    return {"slot": _slot(one.at), "at": at_us, "soc": one.soc, "low": one.low, "high": one.high, "bms": one.bms_soc}


def _slot(at: datetime) -> int:
    return math.floor(at.timestamp() / SLOT_S)


def _named(pack: PackKey) -> dict[str, Any]:
    return {"vehicle": pack.vehicle_id, "pack": pack.pack_id}
