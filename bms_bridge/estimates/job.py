"""What is new in the lake, carried to the book: read rows, cut charges, judge each once it is over. Synchronous; one thread.

    lake database (read only) --read()--> a Buffer for each pack --conclude()--> Book

The lake's row id grows with arrival: the job remembers up to where it read. After a restart it begins :data:`AGAIN_DAYS` before that, so
that a charge that was under way is whole; what it has judged before it knows by the charge's end.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from bms_bridge.estimates.book import Book, ChargeEntry, Ended, PackEntry
from bms_bridge.estimates.charge_following import Following
from bms_bridge.estimates.charges import Charge, cut, stretches
from bms_bridge.estimates.estimate import Estimate
from bms_bridge.estimates.facts import Described, Knowledge, Registered, TestWindow, facts_of
from bms_bridge.estimates.judging import PackFacts, judged
from bms_bridge.estimates.outlook import LEAST_YEARS, outlook
from bms_bridge.estimates.samples import Buffer, Samples
from bms_bridge.estimates.shapes import shape_of
from bms_bridge.estimates.shelf import Shelf
from bms_bridge.estimates.taught import NUMBERS, ending, taught
from bms_bridge.estimates.trend import YEAR_S
from bms_bridge.estimates.use import daily_habit, use_so_far
from bms_bridge.lake import lifetime
from bms_bridge.lake.hot import Hot
from bms_bridge.lake.schema import day_of
from depot.values import PackKey

log = logging.getLogger(__name__)

AGAIN_DAYS: Final = 2
AT_ONCE: Final = 20_000
STEP_C_RATE: Final = 0.02
FRESH_S: Final = 86_400.0
"""A charge that ended longer ago gets no count of cycles and no use: the record of the pack's life has gone on since."""

TEST_MOST_S: Final = 2 * 86_400.0
"""A reference test that began longer ago and has no end is over: nobody told how."""

_EMPTY = np.empty(0, np.float32)
_NOTHING = Described()


@dataclass(slots=True)
class _Known:
    """``heard_us``: arrival of the newest row; ``width``: cells that its unit tells."""

    key: PackKey
    buffer: Buffer = field(default_factory=Buffer)
    charge: Following = field(default_factory=Following)
    heard_us: int = 0
    width: int = 0
    judged_at_us: int = -1


@dataclass(frozen=True, slots=True)
class _Used:
    """``counted``: full cycles since new, where those before the depot are known; ``sums`` and ``habit``: as of
    :mod:`bms_bridge.estimates.use`."""

    counted: dict[str, float] = field(default_factory=dict)
    sums: dict[str, float] = field(default_factory=dict)
    cycles_a_year: float | None = None
    habit: dict[str, float] | None = None


class Job:
    """See the module. ``registered``: what the registry says of a pack now; ``now_us``: the machine's clock; ``before``: done
    before each look, such as reading the registry; ``shelf``: where health by cell is kept; ``tests``: the reference tests of a pack's
    vehicle; the charge of one that is under way waits for its end. Raises :class:`storage.StorageError`."""

    def __init__(
        self,
        hot: Hot,
        book: Book,
        known: Knowledge,
        *,
        registered: Callable[[PackKey], Registered],
        now_us: Callable[[], int],
        before: Callable[[], None] = lambda: None,
        shelf: Shelf | None = None,
        tests: Callable[[PackKey], Sequence[TestWindow]] = lambda _: (),
    ) -> None:
        self._hot, self._book, self._settings, self._shelf = hot, book, known, shelf
        self._registered, self._now_us, self._before, self._tests = registered, now_us, before, tests
        self._packs: dict[int, _Known] = {}
        self._cursor: int | None = None

    @property
    def cursor(self) -> int:
        """The newest row id that was read."""
        return self._cursor or 0

    def catch_up(self) -> int:
        """Read all that is new and judge what is over. How many charges are new."""
        self._before()
        new, more = 0, True
        while more:
            more = self._read()
            new += self._conclude()
            self._book.set_meta("at_work_us", str(self._now_us()))
        self._book.set_meta("cursor", str(self.cursor))
        self._book.set_meta("looked_us", str(self._now_us()))
        return new

    def _read(self) -> bool:
        """A piece of what is new; whether there is more."""
        with self._hot.look() as connection:
            if self._cursor is None:
                self._cursor = self._begin()
            entries = {entry.no: entry.key for entry in self._hot.packs(connection)}
            count = 0
            for row in self._hot.numbers(connection, after=self._cursor, most=AT_ONCE):
                count += 1
                self._cursor = row.row_id
                key = entries.get(row.pack_no)
                if key is None or row.withdrawn:
                    continue
                known = self._packs.get(row.pack_no)
                if known is None:
                    known = self._packs[row.pack_no] = _Known(key)
                cells = np.frombuffer(row.cells_v, np.float32) if row.cells_v else _EMPTY
                warmth = np.frombuffer(row.temperatures_c, np.float32) if row.temperatures_c else _EMPTY
                known.buffer.add(row.received_us / 1e6 - row.age_s, row.current_a, row.voltage_v, cells, warmth)
                if self._shelf is not None:
                    known.charge.add(row, cells, warmth)
                known.heard_us = max(known.heard_us, row.received_us)
                known.width = len(cells) or known.width
        return count == AT_ONCE

    def _begin(self) -> int:
        """From where to read after a start."""
        before = int(self._book.meta("cursor") or 0)
        if not before:
            return 0
        with self._hot.look() as connection:
            return self._hot.first_id_since(connection, day_of(self._now_us()) - AGAIN_DAYS, at_most=before)

    def _conclude(self) -> int:
        """Judge the charges that are over."""
        now_us, new = self._now_us(), 0
        for pack_no, known in self._packs.items():
            registered = self._registered(known.key)
            facts, note = facts_of(known.key, registered, self._settings, cells_told=known.width)
            if facts.nominal_ah is not None:
                known.buffer.step_a = max(0.5, STEP_C_RATE * facts.nominal_ah)
            layout = facts.layout
            entry = PackEntry(
                pack=known.key,
                heard_us=known.heard_us,
                chemistry=registered.chemistry,
                nominal_ah=None if facts.nominal_ah is None else round(facts.nominal_ah, 2),
                cells=None if layout is None else layout.series,
                modules=None if layout is None else layout.modules,
                note=note,
            )
            found: list[tuple[ChargeEntry, list[Estimate]]] = []
            if not note:
                samples = known.buffer.samples()
                used = self._used(pack_no, known.key, facts)
                found = self._judge(known.key, samples, facts, now_us / 1e6, used)
                parts = stretches(samples)
                if parts and not any(_open(test, now_us / 1e6) for test in self._tests(known.key)):
                    known.buffer.forget_before(float(samples.t_s[parts[-1][0]]))
            fresh = self._book.put(entry, found, now_us=now_us)
            new += fresh
            if self._shelf is not None:
                health = self._book.counting(known.key).one if known.charge.ready(now_us / 1e6) else None
                known.charge.look(self._shelf, known.key, facts, note, health, now_us / 1e6)
            if self._shelf is not None:
                for cells in (one.cells for _, estimates in found for one in estimates):
                    if cells is not None:
                        self._shelf.put_cells(known.key, cells)
            if fresh and self._settings.lives:
                self._look_ahead(known.key, registered.chemistry, used, now_us)
        return new

    def _used(self, pack_no: int, pack: PackKey, facts: PackFacts) -> _Used:
        """What the record of its life says."""
        before = self._settings.packs.get(pack, _NOTHING).cycles_before
        with self._hot.look() as connection:
            found = self._hot.lives(connection).get(pack_no)
        if found is None or facts.nominal_ah is None:
            return _Used()
        life = lifetime.decode(found[1])
        here = life.charge_in_ah / facts.nominal_ah
        years = (life.last_us - life.first_us) / 1e6 / YEAR_S
        a_year = here / years if years >= LEAST_YEARS else None
        return _Used(
            {} if before is None else {"cycles": round(before + here, 1)},
            use_so_far(life, facts.nominal_ah),
            a_year,
            None if a_year is None else daily_habit(life, facts.nominal_ah, a_year),
        )

    def _look_ahead(self, pack: PackKey, chemistry: str, used: _Used, now_us: int) -> None:
        known = self._settings.packs.get(pack, _NOTHING).cycles_before is not None
        history = self._book.dated(pack)
        said = outlook(self._settings.lives, chemistry, str(pack), history, cycles_a_year=used.cycles_a_year, cycles_known=known)
        if said is not None:
            said = replace(said, detail=said.detail | ({} if used.habit is None else {"habit": used.habit}))
            self._book.put_outlook(pack, said, now_us=now_us)

    def _judge(
        self, pack: PackKey, samples: Samples, facts: PackFacts, now_s: float, used: _Used
    ) -> list[tuple[ChargeEntry, list[Estimate]]]:
        assert facts.nominal_ah is not None
        found: list[tuple[ChargeEntry, list[Estimate]]] = []
        fresh: list[Ended] = []
        tests = self._tests(pack)
        for charge in cut(samples, facts.nominal_ah, now_s=now_s):
            entry = _entry(samples, charge, facts)
            if self._book.knows(pack, entry.ended_us):
                continue
            test = next((one for one in tests if one.holds(float(samples.t_s[charge.first]), float(samples.t_s[charge.last]))), None)
            if test is not None and _open(test, now_s):
                continue
            try:
                estimates = judged(samples, charge, facts, tested=test is not None and test.done)
                if self._settings.teaching is not None:
                    by_model, said = self._by_model(pack, samples, charge, facts, fresh)
                    estimates, entry = [*estimates, by_model], replace(entry, detail=entry.detail | said)
                if used.sums and now_s - float(samples.t_s[charge.last]) < FRESH_S:
                    more = used.counted | {"use": used.sums}
                    estimates = [replace(one, detail=one.detail | more) for one in estimates]
                entry = replace(entry, detail=entry.detail | shape_of(samples, charge, facts))
            except (ValueError, FloatingPointError):
                log.exception("a charge of %s could not be judged; it is left out", pack)
                estimates = []
            found.append((entry, estimates))
        return found

    def _by_model(
        self, pack: PackKey, samples: Samples, charge: Charge, facts: PackFacts, fresh: list[Ended]
    ) -> tuple[Estimate, dict[str, Any]]:
        """What the taught model says of a charge, and the charge's own numbers; ``fresh``: of charges that are not in the book yet."""
        teaching = self._settings.teaching
        assert teaching is not None
        assert facts.nominal_ah is not None
        from_s, until_s = (float(samples.t_s[at]) for at in (charge.first, charge.last))
        window = teaching.windows.get(facts.chemistry)
        if window is None:
            return taught(teaching, facts, [], {}, from_s=from_s, until_s=until_s), {}
        said, ended_us = ending(samples, charge, facts, window), round(until_s * 1e6)
        known = sorted([*self._book.endings(pack, window.label(facts.nominal_ah)), *fresh])
        before = [numbers for at_us, numbers in known if at_us < ended_us]
        if NUMBERS in said:
            fresh.append((ended_us, said[NUMBERS]))
        return taught(teaching, facts, before, said, from_s=from_s, until_s=until_s), said


def _open(test: TestWindow, now_s: float) -> bool:
    return test.until_s is None and now_s - test.from_s < TEST_MOST_S


def _entry(samples: Samples, charge: Charge, facts: PackFacts) -> ChargeEntry:
    part = slice(charge.first, charge.last + 1)
    warm, cold = samples.hottest_c[part], samples.coldest_c[part]
    assert facts.nominal_ah is not None
    detail = {
        "most_c_rate": round(float(samples.current_a[part].max()) / facts.nominal_ah, 3),
        "hottest_c": round(float(np.nanmax(warm)), 1) if np.isfinite(warm).any() else None,
        "coldest_c": round(float(np.nanmin(cold)), 1) if np.isfinite(cold).any() else None,
    }
    started, ended = (round(float(samples.t_s[at]) * 1e6) for at in (charge.first, charge.last))
    return ChargeEntry(started, ended, round(charge.charged_ah, 3), detail)
