"""The raw messages of the last days once more through decoder, validation and record: after a map was corrected, or a rule.

    raw batches (kept as they came) --derive--> rows --compare--> changed ones get revision + 1, their partitions are sealed anew,
                                                                  records are folded again from there

A row keeps its id, so a second replay changes nothing. A row that is not derived any more is withdrawn, not removed. The messages
of the hour before are decoded too, but only to warm the memory of the validation. Cut off at any point, it is begun again.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from bms_bridge.lake import LakeRefused
from bms_bridge.lake.derive import Decoder, Deriver, first_id
from bms_bridge.lake.engine import HOUR_US, Lake
from bms_bridge.lake.schema import Quality, Row, day_of
from bms_bridge.lake.wire import decode_batch
from depot.values import PackKey

log = logging.getLogger(__name__)

WARM_UP_US: Final = HOUR_US
REPORT_EVERY: Final = 50


@dataclass(slots=True)
class Replayed:
    """What a replay found. ``same``: rows that came out as they were."""

    number: int = 0
    batches: int = 0
    rows: int = 0
    same: int = 0
    changed: int = 0
    new: int = 0
    withdrawn: int = 0


def replay(
    lake: Lake,
    *,
    key: bytes,
    decoders: Mapping[str, Decoder],
    capacity_of: Callable[[PackKey], int | None],
    hours: float,
    by: str,
    on_progress: Callable[[int, int], None] = lambda done, of: None,
) -> Replayed:
    """Derive the rows of the last ``hours`` anew. ``by``: why, for the list of replays. ``on_progress(batches, of)``.

    Raises :class:`~bms_bridge.lake.LakeRefused` where nothing raw is kept of that time, :class:`storage.StorageError`.
    """
    since_us = lake.now_us() - round(hours * HOUR_US)
    hot = lake.hot
    with hot.look() as connection:
        batches = [batch for batch, _, _ in hot.raw_since(connection, since_us - WARM_UP_US)]
        first = connection.execute("SELECT min(batch) FROM lake_raw WHERE at_us >= ?", (since_us,)).fetchone()[0]
    if first is None:
        raise LakeRefused(f"no raw message of the last {hours:g} h is kept (settings lake.raw_h, lake.raw_mb)")
    found = Replayed()
    with hot.work() as connection:
        refold = int(hot.meta(connection, "refold_from") or 0)
        hot.set_meta(connection, "refold_from", str(min(refold, first_id(first)) if refold else first_id(first)))
        row = (lake.now_us(), first_id(first), by[:200])
        sql = "INSERT INTO lake_replay (at_us, first_id, by, rows, changed, new, withdrawn, done) VALUES (?, ?, ?, 0, 0, 0, 0, 0)"
        found.number = connection.execute(sql, row).lastrowid or 0
    deriver = Deriver(key, decoders, capacity_of, lake.deriver.redact)
    for place, batch in enumerate(batches):
        _batch(lake, deriver, batch, found, keep=batch >= first)
        if place % REPORT_EVERY == 0:
            on_progress(place, len(batches))
    lake.refold(first_id(first))
    with hot.work() as connection:
        values = (found.rows, found.changed, found.new, found.withdrawn, found.number)
        connection.execute("UPDATE lake_replay SET rows = ?, changed = ?, new = ?, withdrawn = ?, done = 1 WHERE number = ?", values)
    on_progress(len(batches), len(batches))
    log.info("replay %d: %d rows, %d changed, %d new, %d withdrawn", found.number, found.rows, found.changed, found.new, found.withdrawn)
    return found


def _batch(lake: Lake, deriver: Deriver, batch: int, found: Replayed, *, keep: bool) -> None:
    """One batch, in one transaction."""
    hot = lake.hot
    with hot.look() as connection:
        stored = connection.execute("SELECT body FROM lake_raw WHERE batch = ?", (batch,)).fetchone()
    if stored is None:
        return  # forgotten since
    derived = {row.row_id: (key, row) for key, row in deriver.rows(decode_batch(zlib.decompress(stored[0])), batch)}
    if not keep:
        return
    found.batches += 1
    found.rows += len(derived)
    with hot.work() as connection:
        entries = {entry.pack: entry for entry in hot.packs(connection)}
        for key, row in derived.values():
            if row.pack not in entries:
                entries[row.pack] = hot.add_pack(connection, row.pack, key, row.received_us)
        names = {entry.no: entry.pack for entry in entries.values()}
        before = hot.rows_between(connection, first_id(batch), first_id(batch + 1) - 1, names)
        changed = _changed(before, {row_id: row for row_id, (_, row) in derived.items()}, found)
        hot.put_rows(connection, changed, {pack: entry.no for pack, entry in entries.items()})
        for pack, day in {(row.pack, day_of(row.received_us)) for row in changed}:
            sealed_again = "UPDATE lake_file SET through_id = 0 WHERE pack_no = ? AND first_day = ? AND tier = 'warm'"
            connection.execute(sealed_again, (entries[pack].no, day))
    lake.know([entries[row.pack] for row in changed])


def _changed(before: Mapping[int, Row], derived: Mapping[int, Row], found: Replayed) -> list[Row]:
    """The rows that are not as they were, with their next revision."""
    changed = []
    for row_id, row in derived.items():
        old = before.get(row_id)
        if old is None:
            found.new += 1
            changed.append(row)
        elif msgspec.structs.replace(row, revision=old.revision) == old:
            found.same += 1
        else:
            found.changed += 1
            changed.append(msgspec.structs.replace(row, revision=old.revision + 1))
    for row_id, old in before.items():
        if row_id not in derived and old.quality != Quality.WITHDRAWN:
            found.withdrawn += 1
            nothing = dict.fromkeys(("soc", "soh", "current_a", "voltage_v", "cell_min_v", "cell_max_v", "insulation_ohm"))
            rest = dict.fromkeys(("limit_a", "limit_v", "c_rate_per_h"))
            row = msgspec.structs.replace(
                old, revision=old.revision + 1, quality=Quality.WITHDRAWN, temperatures_c=(), cells_v=(), balancing_a=(), alarms="",
                stop=False, **nothing, **rest,
            )  # fmt: skip
            changed.append(row)
    return changed
