"""Rows in files: one for a pack and day (warm), one for a pack and month in the archive (cold); what was kept long enough goes.

    seal, archive, forget, mend     each leaves files and manifest so that a crash in between costs nothing

A file says in its footer up to which row id it is complete; the manifest is mended from that.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from bms_bridge.lake import LakeDamaged, rules, warm
from bms_bridge.lake.hot import TIER_COLD, TIER_WARM, FileEntry, Hot, PackEntry, Unsealed
from bms_bridge.lake.places import Places
from bms_bridge.lake.rules import Retention
from bms_bridge.lake.schema import arrow_table, day_of

log = logging.getLogger(__name__)

HOUR_US: Final = 3_600_000_000


class Tiers:
    """The files of one lake; used by its one owner alone."""

    def __init__(self, places: Places, hot: Hot, retention: Retention) -> None:
        self.places, self.hot, self.retention = places, hot, retention

    def seal(self, part: Unsealed, entry: PackEntry) -> bool:
        """Write what waits of a pack (``entry``) and day into its file. False: somebody reads just now, try again."""
        path = warm.day_path(self.places.depot_id, part.day, entry.pack)
        target = self.places.warm / path
        with self.hot.look() as connection:
            before = next((found for found in self.hot.files(connection, pack_no=part.pack_no, tier=TIER_WARM) if found.path == path), None)
            through = before.through_id if before is not None else 0
            new = arrow_table(self.hot.stored_rows(connection, entry, day=part.day, after=through, most_id=part.last_id))
        old = warm.read(target) if before is not None and target.exists() else None
        table = warm.merged(old, new)
        with self.swapping() as mine:
            if not mine:
                return False
            written = warm.write(target, table, part.last_id)
            with self.hot.work() as connection:
                self.hot.put_file(connection, _file(path, TIER_WARM, part.pack_no, part.day, part.day, written))
        return True

    @contextlib.contextmanager
    def swapping(self) -> Iterator[bool]:
        """File and manifest change as one for queries: False where one is reading."""
        with self.places.swap.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True

    def forget(self, now_us: int, *, through_id: int, too_large: bool) -> None:
        """Rows that are in files, raw messages and old files go. ``through_id``: the records know all rows up to it."""
        before_day = rules.hot_before(now_us, self.retention, too_large=too_large)
        with self.hot.work() as connection:
            rows = self.hot.forget_rows(connection, before_day=before_day, through_id=through_id)
            connection.execute("DELETE FROM lake_raw WHERE at_us < ?", (now_us - self.retention.raw_h * HOUR_US,))
            size = connection.execute("SELECT coalesce(sum(length(body)), 0) FROM lake_raw").fetchone()[0]
            over = size - self.retention.raw_mb * 1024 * 1024
            if over > 0:  # the oldest go, in the same measure
                first, last = connection.execute("SELECT min(batch), max(batch) FROM lake_raw").fetchone()
                connection.execute("DELETE FROM lake_raw WHERE batch < ?", (first + (last - first + 1) * over // size + 1,))
        if rows:
            log.info("%d rows are in files alone now", rows)
        with self.hot.look() as connection:
            files = self.hot.files(connection)
        gone = rules.to_forget([found for found in files if found.tier == TIER_COLD], now_us, self.retention.cold_days)
        if self.places.cold is None:
            gone += rules.to_forget([found for found in files if found.tier == TIER_WARM], now_us, self.retention.warm_days)
        for entry in gone:
            self._drop(entry)

    def _drop(self, entry: FileEntry) -> None:
        """Out of the manifest first: a file that nobody names hurts nobody."""
        with self.hot.work() as connection:
            self.hot.drop_file(connection, entry.path)
        path = self.places.of(entry)
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            path.parent.rmdir()
            path.parent.parent.rmdir()

    def archive(self, now_us: int, name_of: Callable[[int], str]) -> bool:
        """Fold one month of one pack into a file of the archive; ``name_of``: a pack's pseudonym by its number. True: there may be more.
        Raises LakeDamaged."""
        assert self.places.cold is not None
        with self.hot.look() as connection:
            files = self.hot.files(connection, tier=TIER_WARM)
        due = rules.to_archive(files, now_us, self.retention)
        if not due:
            return False
        pack_no, month, entries = due[0]
        table = None
        for entry in entries:
            if not self._sound(entry):
                raise LakeDamaged(f"{self.places.of(entry)} is not what was written; it is not archived")
            table = warm.merged(table, warm.read(self.places.of(entry)))
        assert table is not None
        path = warm.month_path(self.places.depot_id, month, name_of(pack_no))
        written = warm.write(self.places.cold / path, table, max(entry.through_id for entry in entries))
        cold = _file(path, TIER_COLD, pack_no, entries[0].first_day, entries[-1].last_day, written)
        with self.swapping() as mine:
            if not mine:
                return False
            with self.hot.work() as connection:
                self.hot.put_file(connection, cold)
                for entry in entries:
                    self.hot.drop_file(connection, entry.path)
            for entry in entries:
                self.places.of(entry).unlink(missing_ok=True)
                with contextlib.suppress(OSError):
                    self.places.of(entry).parent.rmdir()
        return len(due) > 1

    def _sound(self, entry: FileEntry) -> bool:
        try:
            return warm.sha256_of(self.places.of(entry)) == entry.sha256
        except FileNotFoundError:
            return False

    def mend(self, numbers: Mapping[str, int]) -> None:
        """What a crash left: parts of files, a file that the manifest does not have or has an older version of, one that is archived.
        ``numbers``: of packs by pseudonym."""
        for part in self.places.warm.rglob(f"*{warm.PART}"):
            part.unlink(missing_ok=True)
        with self.hot.look() as connection:
            files = self.hot.files(connection)
            open_parts = {(part.pack_no, part.day) for part in self.hot.unsealed(connection)}
        known = {entry.path: entry for entry in files if entry.tier == TIER_WARM}
        cold = {(entry.pack_no, rules.month_of(entry.first_day)) for entry in files if entry.tier == TIER_COLD}
        for path in self.places.warm.rglob(warm.NAME):
            name = str(path.relative_to(self.places.warm))
            entry = known.get(name)
            number = numbers.get(path.parent.name.removeprefix("pack="))
            if number is None:
                continue  # not ours; the check names it
            if entry is not None and (number, entry.first_day) not in open_parts and path.stat().st_size == entry.bytes:
                continue
            if entry is not None and warm.sha256_of(path) == entry.sha256:
                continue
            written = warm.described(path)
            day = day_of(written.first_us)
            if entry is None and (number, rules.month_of(day)) in cold:
                path.unlink()  # its rows are in the archive: the crash came between manifest and removal
                continue
            with self.hot.work() as connection:
                self.hot.put_file(connection, _file(name, TIER_WARM, number, day, day, written))
            log.warning("%s was written when the process ended; taken into the manifest", name)


def _file(path: str, tier: str, pack_no: int, first_day: int, last_day: int, written: warm.Written) -> FileEntry:
    return FileEntry(
        path=path,
        tier=tier,
        pack_no=pack_no,
        first_day=first_day,
        last_day=last_day,
        rows=written.rows,
        bytes=written.bytes,
        sha256=written.sha256,
        through_id=written.through_id,
        first_us=written.first_us,
        last_us=written.last_us,
        version=written.version,
    )
