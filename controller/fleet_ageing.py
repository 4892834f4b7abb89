"""How the depot's own fleet ages beside the table, from its estimates of health. Pure up to :class:`FleetAgeing`, which is the rim.

    estimates of each pack, how it was used between them --fleet_rows()--> rows --fit_factors()--> AgeingFound of each chemistry, kept

Each pack's estimates are those of the method that counts; between two of them temperature, state of charge and charging rate are the
means of what was heard in that time. Why little is said: packs are few, their estimates lie close together, or their sensors tell too
little. Then there is a reason, and plans count with what they counted with before.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from bms_bridge.estimates.ageing_view import AgeingFound
from bms_bridge.estimates.book import Book
from bms_bridge.estimates.outlook import Dated
from bms_bridge.estimates.shelf import Shelf
from bms_bridge.estimates.trend import YEAR_S
from bms_bridge.estimates.use import NAMES, between
from bms_bridge.lake.schema import moment
from bms_bridge.life.calibration import LEAST_PACKS, PRIOR_SPREAD, Factors, fit_factors
from bms_bridge.life.history import NINETY
from controller.life_factors import PLAIN_DEVIATION, expected
from optimizer.life_table import GENTLE_C, MODEL_OF

log = logging.getLogger(__name__)

LEAST_DAYS: Final = 90.0
"""Between a pack's first and last estimate: in less time a pack loses less than an estimate may be wrong."""

UNKNOWN: Final = "unknown"
LEAST_ROWS: Final = 3
TELLS: Final = 0.9
"""Factors both of which are known no better than this share of the prior's spread tell nothing yet."""

WEEK_US: Final = 7 * 86_400_000_000
DAY_US: Final = 86_400_000_000


@dataclass(frozen=True, slots=True)
class FleetRow:
    """An estimate of a pack, with its use since the one before. ``years``: since its first estimate; ``cycles``: that the depot saw."""

    pack: str
    years: float
    cycles: float
    soh: float
    deviation: float
    temp_c: float
    soc: float
    rate_c: float


def pack_rows(pack: str, history: Sequence[Dated]) -> tuple[list[FleetRow], str]:
    """The rows of a pack in order, and why there are none ("" where there are)."""
    known = [one for one in history if one.use is not None and one.use.keys() >= set(NAMES)]
    if len(known) < LEAST_ROWS or (known[-1].until_s - known[0].until_s) / 86_400 < LEAST_DAYS:
        return [], f"no {LEAST_ROWS} estimates over {LEAST_DAYS:.0f} days"
    rows = []
    before: Mapping[str, float] | None = None
    for one in known:
        assert one.use is not None
        use = between(one.use, before)
        if not (math.isfinite(use.temp_c) and math.isfinite(use.soc)):
            return [], "temperature or state of charge is not told by its unit"
        rate_c = use.rate_c if math.isfinite(use.rate_c) else GENTLE_C
        deviation = max((one.high - one.low) / 2 / NINETY, PLAIN_DEVIATION / 10)
        years = (one.until_s - known[0].until_s) / YEAR_S
        rows.append(FleetRow(pack, years, use.cycles, one.soh, deviation, use.temp_c, use.soc, rate_c))
        before = one.use
    return rows, ""


def factors_of_rows(chemistry: str, rows: Sequence[FleetRow]) -> Factors:
    """Rows sorted by pack and time. DataRefused: fewer than five packs. KeyError: nothing is known of the chemistry."""
    names = np.array([row.pack for row in rows], dtype=np.str_)
    years, cycles, soh, deviation, temp_c, soc, rate_c = (
        np.array([getattr(row, name) for row in rows], dtype=np.float64)
        for name in ("years", "cycles", "soh", "deviation", "temp_c", "soc", "rate_c")
    )
    calendar, cycle = expected(chemistry, names, years, cycles, temp_c=temp_c, soc=soc, rate_c=rate_c)
    return fit_factors(names, calendar, cycle, soh, deviation)


def found_of(chemistry: str, histories: Mapping[str, Sequence[Dated]], *, now_us: int) -> AgeingFound:
    """What the packs of one chemistry say, or why they say nothing yet. ``histories``: by the pack's name."""
    now = moment(now_us)
    if chemistry == UNKNOWN:
        return AgeingFound(chemistry, now, reason="the chemistry of these packs is not known: enter it in the registry")
    if chemistry not in MODEL_OF:
        known = ", ".join(sorted(MODEL_OF))
        return AgeingFound(chemistry, now, reason=f"how {chemistry} cells age is not in the table that plans count with (it knows {known})")
    rows: list[FleetRow] = []
    without: dict[str, int] = {}
    packs = 0
    for pack in sorted(histories):
        its, why = pack_rows(pack, histories[pack])
        rows += its
        packs += bool(its)
        if why:
            without[why] = without.get(why, 0) + 1
    if packs < LEAST_PACKS:
        more = "".join(f"; {count} of the others: {why}" for why, count in sorted(without.items()))
        return AgeingFound(chemistry, now, packs=packs, rows=len(rows), reason=f"{packs} packs can be used, {LEAST_PACKS} are needed{more}")
    found = factors_of_rows(chemistry, rows)
    if min(found.calendar_spread, found.cycle_spread) > TELLS * PRIOR_SPREAD:
        return AgeingFound(
            chemistry, now, packs=packs, rows=len(rows), reason="the packs have lost too little yet to tell their pace from chance"
        )
    calendar, cycle, calendar_spread, cycle_spread = (
        round(value, 3) for value in (found.calendar, found.cycle, found.calendar_spread, found.cycle_spread)
    )
    return AgeingFound(chemistry, now, calendar, cycle, calendar_spread, cycle_spread, found.packs, found.rows, found.bounded)


def of_fleet(book: Book, *, now_us: int) -> list[AgeingFound]:
    """Of each chemistry of which a pack was heard. Raises :class:`storage.StorageError`."""
    by_kind: dict[str, dict[str, Sequence[Dated]]] = {}
    for entry in book.packs():
        if not entry.note:
            by_kind.setdefault(entry.chemistry, {})[str(entry.pack)] = book.dated(entry.pack)
    return [found_of(kind, histories, now_us=now_us) for kind, histories in sorted(by_kind.items())]


def as_factors(found: Iterable[AgeingFound]) -> dict[str, Factors]:
    """Those that say something, as the file of factors takes them."""
    return {
        one.chemistry: Factors(one.calendar, one.cycle, one.calendar_spread, one.cycle_spread, one.packs, one.rows, one.bounded)
        for one in found
        if one.calendar is not None and one.cycle is not None
    }


class FleetAgeing:
    """Looks once a week, and once a day while nothing can be said. Raises :class:`storage.StorageError`."""

    def __init__(self, book: Book, shelf: Shelf, *, now_us: Callable[[], int]) -> None:
        self._book, self._shelf, self._now_us = book, shelf, now_us

    def look(self) -> int:
        """If it is time. How many chemistries were looked at."""
        now_us = self._now_us()
        kept = self._shelf.ageing()
        kinds = {entry.chemistry for entry in self._book.packs() if not entry.note}
        said = {one.chemistry for one in kept}
        if kinds <= said and all(one.at > moment(now_us - (DAY_US if one.reason else WEEK_US)) for one in kept if one.chemistry in kinds):
            return 0
        found = of_fleet(self._book, now_us=now_us)
        for one in found:
            self._shelf.put_ageing(one, now_us=now_us)
            log.info("ageing of %s packs: %s", one.chemistry, one.reason or f"{one.calendar:g} in time, {one.cycle:g} by cycles")
        return len(found)
