"""The prospects of all packs, made one after the other while there is time: the rim of :mod:`bms_bridge.estimates.prospect`.

    book (packs, health), shelf (cells), lake (records of life) --look()--> shelf (prospects)

A pack's prospect is made anew after a start (the settings may be others), when an assumption was changed, as soon as its first health is
known, a day after the last one where its health is newer, and after a week in any case. A look ends after its budget; the next one goes on
with those that wait longest.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from bms_bridge import BmsError
from bms_bridge.estimates.beside_new import NewResistance, at_rest, bend, beside_new
from bms_bridge.estimates.book import Book, PackEntry
from bms_bridge.estimates.choice import FRESH
from bms_bridge.estimates.duties import habit
from bms_bridge.estimates.facts import Described, Knowledge, Registered, capacity_kwh, facts_of
from bms_bridge.estimates.prospect import Told, prospect
from bms_bridge.estimates.prospect_view import PackProspect
from bms_bridge.estimates.shelf import Shelf
from bms_bridge.estimates.trend import DAY_S
from bms_bridge.lake import lifetime
from bms_bridge.lake.hot import Hot
from bms_bridge.lake.lifetime import Life
from bms_bridge.lake.schema import moment
from bms_bridge.second_life.assumptions import Assumptions
from depot.values import PackKey

log = logging.getLogger(__name__)

BUDGET_S: Final = 60.0
DAY_US: Final = 86_400_000_000
WEEK_US: Final = 7 * DAY_US
_FRESH_S: Final = FRESH / timedelta(seconds=1)

_NOTHING = Described()


class Prospects:
    """See the module. One thread. ``monotonic_s``: measures the budget; ``new_resistance``: what others than the settings say of a pack
    when it was new; ``assumptions``: those that count now (unset: those of the settings); all are made anew when they change.
    Raises :class:`storage.StorageError`."""

    def __init__(
        self,
        hot: Hot,
        book: Book,
        shelf: Shelf,
        known: Knowledge,
        *,
        registered: Callable[[PackKey], Registered],
        now_us: Callable[[], int],
        monotonic_s: Callable[[], float],
        new_resistance: Callable[[PackKey], NewResistance | None] = lambda _: None,
        assumptions: Callable[[], Assumptions] | None = None,
    ) -> None:
        self._hot, self._book, self._shelf, self._settings = hot, book, shelf, known
        self._registered, self._now_us, self._monotonic_s = registered, now_us, monotonic_s
        self._new_resistance = new_resistance
        self._assumptions = assumptions or (lambda: known.assumptions)
        self._given = known.assumptions
        self._made: dict[PackKey, int] = {}
        self._waiting: set[PackKey] = set()

    def look(self, budget_s: float = BUDGET_S) -> int:
        """Make those that are due, as many as the budget allows, one at least. How many were made."""
        began_s, made = self._monotonic_s(), 0
        given = self._assumptions()
        if given != self._given:
            self._given = given
            self._made.clear()
        due = [entry for entry in self._book.packs() if self._due(entry.pack)]
        if not due:
            return 0
        lives = self._lives()
        for entry in sorted(due, key=lambda one: self._made.get(one.pack, 0)):
            if made and self._monotonic_s() - began_s > budget_s:
                break
            now_us = self._now_us()
            self._made[entry.pack] = now_us
            try:
                found = self._of(entry, lives.get(entry.pack), now_us)
            except (BmsError, ValueError, FloatingPointError):
                log.exception("what %s is still good for could not be reckoned; it is tried again in a day", entry.pack)
                continue
            self._shelf.put_prospect(entry.pack, found, now_us=now_us)
            (self._waiting.add if found.health_at is None and not entry.note else self._waiting.discard)(entry.pack)
            made += 1
        return made

    def _due(self, pack: PackKey) -> bool:
        made_us = self._made.get(pack)
        if made_us is None:
            return True
        age_us = self._now_us() - made_us
        if age_us < DAY_US and pack not in self._waiting:
            return False
        one = self._book.counting(pack).one
        if pack in self._waiting and one is not None:
            return True
        return age_us >= WEEK_US or (one is not None and one.until > moment(made_us))

    def _lives(self) -> dict[PackKey, Life]:
        with self._hot.look() as connection:
            keys = {entry.no: entry.key for entry in self._hot.packs(connection)}
            found = self._hot.lives(connection)
        return {keys[number]: lifetime.decode(record) for number, (_, record) in found.items() if number in keys}

    def _of(self, entry: PackEntry, life: Life | None, now_us: int) -> PackProspect:
        pack, now = entry.pack, moment(now_us)
        if entry.note:
            return PackProspect(now, None, entry.note)
        registered, said = self._registered(pack), self._settings.packs.get(pack, _NOTHING)
        facts, _ = facts_of(pack, registered, self._settings, cells_told=entry.cells or 0)
        health, cells = self._book.counting(pack), self._shelf.cells(pack)
        if cells is not None and health.one is not None and abs(health.one.until.timestamp() - cells.until_s) > _FRESH_S:
            cells = None
        told = Told(
            name=str(pack),
            chemistry=registered.chemistry,
            capacity_kwh=capacity_kwh(registered, facts),
            nominal_ah=facts.nominal_ah,
            life=life,
            cycles_before=said.cycles_before,
            since_s=said.since_s,
            needed_kwh=said.needed_kwh,
            inspected=said.inspected,
            resistance=beside_new(
                self._book.resistances(pack),
                cycles_before=said.cycles_before,
                first_heard_s=0.0 if life is None else life.first_us / 1e6,
                new=self._new(pack, said),
            ),
            self_discharge=at_rest(self._shelf.loss(pack), today=int(now.timestamp() / DAY_S)),
            slope=bend(self._book.dated(pack), since_s=said.since_s),
        )
        return prospect(told, health, cells, habit(life, facts.nominal_ah), self._given, now=now)

    def _new(self, pack: PackKey, said: Described) -> NewResistance | None:
        """The settings' word, else what others say."""
        if said.resistance_new_ohm is not None:
            return NewResistance(said.resistance_new_ohm, "as the settings say")
        return self._new_resistance(pack)
