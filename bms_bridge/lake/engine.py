"""One owner of the lake: takes batches, keeps records, has rows moved from tier to tier. Synchronous; used by one thread at a time.

    take(batch): rows + raw + "this batch is here" in one transaction --> Ack           nothing acknowledged is lost or doubled
    step():      one piece of what is due: seal a partition, forget, archive (:mod:`bms_bridge.lake.tiers`) --> whether more is due
    persist():   records of packs' lives, with the row id up to which they know

A record is kept with the row id up to which it knows; after a crash the rows beyond it are folded again, so that it is always the
fold of all rows, each once.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from bms_bridge import lake as room
from bms_bridge.lake import LakeDamaged, lifetime, rules, warm
from bms_bridge.lake.derive import Decoder, Deriver
from bms_bridge.lake.hot import TIER_WARM, Hot, PackEntry, Unsealed
from bms_bridge.lake.lifetime import Life
from bms_bridge.lake.places import Places
from bms_bridge.lake.rules import Retention
from bms_bridge.lake.schema import DAY_US, Row, arrow_table, read_back, rows_of
from bms_bridge.lake.tiers import HOUR_US, Tiers
from bms_bridge.lake.wire import Ack, Batch, State
from depot.values import PackKey
from storage import Lease, Store, StoreUnavailable

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["COPY_US", "HOUR_US", "LIVES_SCHEMA", "MARKS_KEPT", "MINUTE_US", "Figures", "Lake", "Places"]

log = logging.getLogger(__name__)

MINUTE_US: Final = 60_000_000
COPY_US: Final = 600_000_000
"""How often the records are copied to a file of their own, which is in every backup."""

MARKS_KEPT: Final = 8
_RAW_LEVEL = 1
LIVES_SCHEMA: Final = "pack_lives/1"


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
        self.tiers = Tiers(places, self.hot, retention)
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
            self._archiving = self.tiers.archive(now_us, self._pseudonym)
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
        done = self.tiers.seal(part, entry)
        self.figures.sealed += done
        return done

    def _forget(self, now_us: int, *, too_large: bool) -> None:
        self.persist()
        through = min((known.through for known in self._packs.values() if known.saved != known.through), default=1 << 62)
        self.tiers.forget(now_us, through_id=through, too_large=too_large)

    def _pseudonym(self, pack_no: int) -> str:
        return next(known.entry.pack for known in self._packs.values() if known.entry.no == pack_no)

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
        self.tiers.mend({entry.pack: entry.no for entry in self.entries})
        for known in self._packs.values():
            for row in self.rows(known.entry, after=known.through):
                self._fold(known, row)
        if refold:
            self.refold(int(refold))
