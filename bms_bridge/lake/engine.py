"""One owner of the lake: takes batches, keeps records, moves rows from tier to tier. Synchronous; used by one thread at a time.

    take(batch): rows + raw + "this batch is here" in one transaction --> Ack           nothing acknowledged is lost or doubled
    step():      one piece of what is due: seal a partition, forget, archive --> whether more is due
    persist():   records of packs' lives, with the row id up to which they know

A record is kept with the row id up to which it knows; after a crash the rows beyond it are folded again, so that it is always the
fold of all rows, each once. A file says in its footer up to which row id it is complete; the manifest is mended from that.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import shutil
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from bms_bridge import lake as room
from bms_bridge.lake import LakeDamaged, LakeError, lifetime, rules, warm
from bms_bridge.lake.derive import Decoder, Deriver
from bms_bridge.lake.hot import TIER_COLD, TIER_WARM, FileEntry, Hot, PackEntry, Unsealed, lake_file
from bms_bridge.lake.lifetime import Life
from bms_bridge.lake.rules import Retention
from bms_bridge.lake.schema import DAY_US, Row, arrow_table, day_of, read_back, rows_of
from bms_bridge.lake.wire import Ack, Batch, State
from depot.values import PackKey
from storage import Lease, Store, StoreUnavailable

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger(__name__)

HOUR_US: Final = 3_600_000_000
MINUTE_US: Final = 60_000_000
COPY_US: Final = 600_000_000
"""How often the records are copied to a file of their own, which is in every backup."""

MARKS_KEPT: Final = 8
_RAW_LEVEL = 1
LIVES_SCHEMA: Final = "pack_lives/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where the lake lies. ``folder``: the depot's; ``cold``: of the archive, None: there is none."""

    folder: Path
    depot_id: str
    cold: Path | None = None

    @property
    def database(self) -> Path:
        return lake_file(self.folder, self.depot_id)

    @property
    def root(self) -> Path:
        return self.folder / f"{self.depot_id}-lake"

    @property
    def warm(self) -> Path:
        return self.root / "warm"

    @property
    def exports(self) -> Path:
        return self.root / "exports"

    @property
    def histories(self) -> Path:
        return self.root / "histories"

    @property
    def swap(self) -> Path:
        return self.root / ".swap"

    @property
    def lives(self) -> Path:
        return self.folder / f"{self.depot_id}-lifetimes.json"

    def of(self, entry: FileEntry) -> Path:
        """Where a file of the manifest lies."""
        base = self.cold if entry.tier == TIER_COLD else self.warm
        if base is None:
            raise LakeError(f"{entry.path} is in the archive, and the settings name none")
        return base / entry.path


@dataclass(slots=True)
class Figures:
    """What this run has done, for people."""

    rows: int = 0
    batches: int = 0
    thinned: int = 0
    dropped: int = 0
    undecoded: int = 0
    sealed: int = 0


@dataclass(slots=True)
class _Known:
    """A pack with its record. ``through``: the last row id that the record knows; ``saved``: what is on the disk of it."""

    entry: PackEntry
    life: Life = field(default_factory=Life)
    through: int = 0
    saved: int = -1
    marked_day: int = -1


class Lake:
    """See the module. ``now_us``: the machine's clock. ``free_bytes``: of the lake's disk."""

    def __init__(
        self,
        places: Places,
        store: Store,
        *,
        key: bytes,
        decoders: Mapping[str, Decoder],
        retention: Retention,
        now_us: Callable[[], int],
        capacity_of: Callable[[PackKey], int | None] = lambda _: None,
        redact: Callable[[str], str] = str,
        free_bytes: Callable[[], int] | None = None,
    ) -> None:
        self.places = places
        self.hot = Hot(store)
        self.retention = retention
        self.figures = Figures()
        self.state = State.GOOD
        self.trouble = ""
        self.now_us = now_us
        self.deriver = Deriver(key, decoders, capacity_of, redact)
        self._free = free_bytes or (lambda: shutil.disk_usage(places.folder).free)
        self._packs: dict[str, _Known] = {}
        self._boots: dict[str, int] = {}
        self._kept: dict[str, tuple[int, str, bool]] = {}
        self._forgot_us = 0
        self._archiving = False
        self._copied_us = 0
        places.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        places.warm.mkdir(exist_ok=True, mode=0o700)
        self._recover()

    @classmethod
    @contextlib.contextmanager
    def open(cls, places: Places, **parts: Any) -> Iterator[Self]:
        """The lake with its tables up to date; its only owner. Raises :class:`storage.StorageError` (one: the lease is taken)."""
        places.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with Lease.take(places.database), contextlib.closing(Store.open(places.database)) as store:
            store.migrate([room])
            lake = cls(places, store, **parts)
            yield lake
            lake.persist()

    # -- what comes in -------------------------------------------------------------------------------------------------

    def take(self, batch: Batch, body: bytes) -> Ack:
        """Keep a batch (``body``: its bytes). An answer with a lower number: it was not kept, and should come again."""
        last = self._boots.get(batch.boot)
        if last is None:
            with self.hot.look() as connection:
                last = self._boots[batch.boot] = self.hot.last_number(connection, batch.boot)
        if batch.number <= last:
            return Ack(batch.boot, last, self.state, self.trouble)
        self._press()
        if self.state is State.FULL:
            return Ack(batch.boot, last, self.state, self.trouble)
        try:
            self._keep(batch, body)
        except (StoreUnavailable, OSError) as error:
            self._struck(error)
            return Ack(batch.boot, last, self.state, self.trouble)
        self._boots[batch.boot] = batch.number
        self.figures.batches += 1
        self.figures.dropped += batch.dropped
        self.figures.undecoded = self.deriver.undecoded
        return Ack(batch.boot, batch.number, self.state, self.trouble)

    def _keep(self, batch: Batch, body: bytes) -> None:
        now_us = self.now_us()
        added: dict[str, _Known] = {}
        with self.hot.work() as connection:
            number = self.hot.next_batch(connection)
            rows: list[Row] = []
            for key, row in self.deriver.rows(batch, number):
                if row.pack not in self._packs and row.pack not in added:
                    added[row.pack] = _Known(self.hot.add_pack(connection, row.pack, key, row.received_us))
                rows.append(row)
            if self.state is State.THIN:
                kept = rules.thinned(rows, self._kept)
                self.figures.thinned += len(rows) - len(kept)
                rows = kept
            else:
                self.hot.put_raw(
                    connection, number, now_us, len(batch.items), zlib.compress(self.deriver.kept_raw(batch, body), _RAW_LEVEL)
                )
            numbers = {row.pack: (self._packs.get(row.pack) or added[row.pack]).entry.no for row in rows}
            self.hot.put_rows(connection, rows, numbers)
            self.hot.took(connection, batch.boot, batch.number, now_us)
        self._packs |= added
        for row in rows:
            self._fold(self._packs[row.pack], row)
        self.figures.rows += len(rows)

    def _press(self) -> None:
        state = rules.pressure(self._free(), self.retention)
        if state is not self.state:
            log.log(logging.INFO if state is State.GOOD else logging.WARNING, "the lake's disk: %s", state)
        self.state = state
        self.trouble = {
            State.GOOD: "",
            State.THIN: "the disk is short: one sample of a pack a minute is kept, no raw messages",
            State.FULL: "the disk is full: nothing is kept",
        }[state]

    def _struck(self, error: Exception) -> None:
        log.error("the lake cannot write: %s", error)
        self.state, self.trouble = State.FULL, f"cannot write: {error}"[:300]

    # -- records -------------------------------------------------------------------------------------------------------

    def _fold(self, known: _Known, row: Row) -> None:
        lifetime.heard(known.life, row)
        known.through = row.row_id

    def fact(self, key: PackKey, *, at_us: int, seq: int, cause: str | None) -> None:
        """The journal says that a pack was tripped (``cause``) or reset (None). One that the lake has not heard of is added."""
        name = self.deriver.name_of(key)
        known = self._packs.get(name)
        if known is None:
            with self.hot.work() as connection:
                known = self._packs[name] = _Known(self.hot.add_pack(connection, name, key, at_us))
        if cause is None:
            lifetime.was_reset(known.life, at_us, seq)
        else:
            lifetime.tripped(known.life, at_us, cause, seq)
        known.saved = -1

    @property
    def facts_seq(self) -> int:
        """Up to which position the journal was read, as it is on the disk."""
        with self.hot.look() as connection:
            return int(self.hot.meta(connection, "facts_seq") or 0)

    def persist(self, *, facts_seq: int | None = None) -> None:
        """Put all records on the disk that have changed. Raises :class:`storage.StorageError`."""
        now_us = self.now_us()
        today = now_us // DAY_US
        changed = [known for known in self._packs.values() if known.saved != known.through]
        with self.hot.work() as connection:
            for known in changed:
                record = lifetime.encode(known.life)
                self.hot.put_life(connection, known.entry.no, known.through, record)
                if known.marked_day != today:
                    self.hot.put_life(connection, known.entry.no, known.through, record, day=today)
                    self.hot.drop_marks(connection, known.entry.no, before_day=today - MARKS_KEPT)
            if facts_seq is not None:
                self.hot.set_meta(connection, "facts_seq", str(facts_seq))
        for known in changed:
            known.saved, known.marked_day = known.through, today
        if now_us - self._copied_us >= COPY_US and self._packs:
            self._copied_us = now_us
            self._copy_lives()

    def _copy_lives(self) -> None:
        """All records into a file of their own, whole or not at all: it is in every backup, the rows are not."""
        lives = [
            {
                "vehicle_id": known.entry.key.vehicle_id,
                "pack_id": known.entry.key.pack_id,
                "first_us": known.entry.first_us,
                "record": b64encode(lifetime.encode(known.life)).decode(),
            }
            for known in self._packs.values()
        ]
        aside = self.places.lives.with_name(f".{self.places.lives.name}{warm.PART}")
        try:
            with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
                file.write(json.dumps({"schema": LIVES_SCHEMA, "lives": lives}).encode())
                file.flush()
                os.fsync(file.fileno())
            aside.replace(self.places.lives)
        except OSError as error:
            aside.unlink(missing_ok=True)
            log.warning("the copy of the records cannot be written: %s", error)

    def _adopt_lives(self) -> None:
        """A lake that knows nothing takes over the records of a backup."""
        try:
            found = json.loads(self.places.lives.read_bytes())
            entries = [
                (PackKey(row["vehicle_id"], row["pack_id"]), int(row["first_us"]), lifetime.decode(b64decode(row["record"])))
                for row in found["lives"]
            ]
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise LakeDamaged(f"{self.places.lives} cannot be read ({error}): restore it from a backup, or remove it") from error
        with self.hot.work() as connection:
            for key, first_us, life in entries:
                name = self.deriver.name_of(key)
                entry = self.hot.add_pack(connection, name, key, first_us)
                self.hot.put_life(connection, entry.no, 0, lifetime.encode(life))
                self.hot.put_life(connection, entry.no, 0, lifetime.encode(life), day=0)
        log.warning("%d records of packs' lives were taken from %s; their samples are not here", len(entries), self.places.lives)

    def know(self, entries: Iterable[PackEntry]) -> None:
        """Packs that a replay has found."""
        for entry in entries:
            self._packs.setdefault(entry.pack, _Known(entry))

    def life_of(self, key: PackKey) -> Life | None:
        """The record as it is now."""
        known = self._packs.get(self.deriver.name_of(key))
        return None if known is None else known.life

    @property
    def lives(self) -> dict[PackKey, Life]:
        return {known.entry.key: known.life for known in self._packs.values()}

    @property
    def entries(self) -> list[PackEntry]:
        return [known.entry for known in self._packs.values()]

    def entry_of(self, key: PackKey) -> PackEntry | None:
        known = self._packs.get(self.deriver.name_of(key))
        return None if known is None else known.entry

    def refold(self, from_id: int) -> None:
        """Fold again what lies from ``from_id`` on, because rows there have changed. Facts of the journal stay as they are."""
        for known in self._packs.values():
            if 0 < known.through < from_id:
                continue
            with self.hot.look() as connection:
                mark = self.hot.mark_before(connection, known.entry.no, from_id)
            through, life = (mark[0], lifetime.decode(mark[1])) if mark is not None else (0, Life())
            self._carry_facts(known.life, life)
            known.life, known.through = life, through
            for row in self.rows(known.entry, after=through):
                self._fold(known, row)
            known.saved = -1
        with self.hot.work() as connection:
            self.hot.set_meta(connection, "refold_from", "")
        self.persist()

    def recomputed(self, key: PackKey) -> Life:
        """The record, folded anew over all rows that are kept; facts of the journal as they are. Raises what :meth:`rows` does."""
        known = self._packs[self.deriver.name_of(key)]
        life = Life()
        self._carry_facts(known.life, life)
        for row in self.rows(known.entry):
            lifetime.heard(life, row)
        return life

    @staticmethod
    def _carry_facts(old: Life, new: Life) -> None:
        new.trips, new.resets, new.causes = old.trips, old.resets, dict(old.causes)
        new.newest_trips, new.facts_seq = list(old.newest_trips), old.facts_seq

    def rows(self, entry: PackEntry, *, after: int = 0) -> Iterator[Row]:
        """All rows of a pack by id, whatever tier they are in, each in its newest revision. Raises LakeDamaged, OSError."""
        with self.hot.look() as connection:
            files = [found for found in self.hot.files(connection, pack_no=entry.no) if found.rows]
            newest = {row[0]: row for row in self.hot.stored_rows(connection, entry, after=after)}
        told: set[int] = set()
        for found in files:
            if found.through_id and found.through_id <= after:
                continue
            for row in rows_of(warm.read(self.places.of(found))):
                if row.row_id > after and row.row_id not in told:
                    told.add(row.row_id)
                    yield read_back(newest[row.row_id]) if row.row_id in newest else row
        for row_id, values in newest.items():
            if row_id not in told:
                yield read_back(values)

    def months(self, entry: PackEntry) -> Iterator[tuple[str, pa.Table]]:
        """All rows of a pack by month of arrival, each in its newest revision. Raises LakeDamaged, OSError."""
        with self.hot.look() as connection:
            files = self.hot.files(connection, pack_no=entry.no)
            waiting = [part for part in self.hot.unsealed(connection) if part.pack_no == entry.no]
            through = {found.first_day: found.through_id for found in files if found.tier == TIER_WARM}
            fresh = {
                part.day: arrow_table(self.hot.stored_rows(connection, entry, day=part.day, after=through.get(part.day, 0)))
                for part in waiting
            }
        for month in sorted({rules.month_of(found.first_day) for found in files} | {rules.month_of(day) for day in fresh}):
            table = None
            for found in files:
                if rules.month_of(found.first_day) == month:
                    table = warm.merged(table, warm.read(self.places.of(found)))
            for day, rows in fresh.items():
                if rules.month_of(day) == month:
                    table = warm.merged(table, rows)
            assert table is not None
            yield month, table

    # -- what is due ---------------------------------------------------------------------------------------------------

    def step(self) -> bool:
        """Do one piece of what is due. True: more may be due at once. Raises nothing that a disk does: that is told in ``trouble``."""
        try:
            return self._step()
        except (OSError, StoreUnavailable) as error:
            self._struck(error)
            return False

    def _step(self) -> bool:
        now_us = self.now_us()
        too_large = self.hot.used_bytes > self.retention.hot_mb * 1024 * 1024
        with self.hot.look() as connection:
            waiting = self.hot.unsealed(connection)
        due = rules.to_seal(waiting, now_us, hurry=too_large)
        if due:
            return self.seal(due[0])
        if self._archiving:
            self._archiving = self._archive(now_us)
            return self._archiving
        if now_us - self._forgot_us < (MINUTE_US if too_large else HOUR_US):
            return False
        self._forgot_us = now_us
        self._forget(now_us, too_large=too_large)
        self._archiving = self.places.cold is not None
        return self._archiving

    def seal(self, part: Unsealed) -> bool:
        """Write what waits of a pack and day into its file. False: somebody reads just now, try again."""
        entry = next(known.entry for known in self._packs.values() if known.entry.no == part.pack_no)
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
        self.figures.sealed += 1
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

    def _forget(self, now_us: int, *, too_large: bool) -> None:
        self.persist()
        through = min((known.through for known in self._packs.values() if known.saved != known.through), default=1 << 62)
        before_day = rules.hot_before(now_us, self.retention, too_large=too_large)
        with self.hot.work() as connection:
            rows = self.hot.forget_rows(connection, before_day=before_day, through_id=through)
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

    def _archive(self, now_us: int) -> bool:
        """Fold one month of one pack into a file of the archive. True: there may be more."""
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
        name = next(known.entry.pack for known in self._packs.values() if known.entry.no == pack_no)
        path = warm.month_path(self.places.depot_id, month, name)
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

    # -- after a start -------------------------------------------------------------------------------------------------

    def _recover(self) -> None:
        with self.hot.look() as connection:
            packs, lives = self.hot.packs(connection), self.hot.lives(connection)
            refold = self.hot.meta(connection, "refold_from")
        if not packs:
            self._adopt_lives()
            with self.hot.look() as connection:
                packs, lives = self.hot.packs(connection), self.hot.lives(connection)
        for entry in packs:
            through, record = lives.get(entry.no, (0, b""))
            life = lifetime.decode(record) if record else Life()
            self._packs[entry.pack] = _Known(entry, life, through, through if record else -1)
        self._mend_files()
        for known in self._packs.values():
            for row in self.rows(known.entry, after=known.through):
                self._fold(known, row)
        if refold:
            self.refold(int(refold))

    def _mend_files(self) -> None:
        """What a crash left: parts of files, a file that the manifest does not have or has an older version of, one that is archived."""
        for part in self.places.warm.rglob(f"*{warm.PART}"):
            part.unlink(missing_ok=True)
        numbers = {entry.pack: entry.no for entry in self.entries}
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
