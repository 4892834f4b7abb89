"""What is due in the lake: pure decisions over numbers.

disk, settings --pressure()--> good, thin, full            thin: one sample of a pack a minute, and all that somebody should see
unsealed rows, today --to_seal()--> partitions             the oldest first
manifest, today --to_archive(), to_forget()--> files
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from typing import Final

from bms_bridge.lake.hot import FileEntry, Unsealed
from bms_bridge.lake.schema import DAY_US, Row
from bms_bridge.lake.wire import State

SEAL_ROWS: Final = 2_000
"""A partition of today is sealed when so many rows of it, and a quarter of what its file has, wait: then all rewriting of a day
together is some five times its size at most."""

SEAL_SHARE: Final = 0.25
SEAL_AFTER_US: Final = 600_000_000
"""A day that is over by so much gets no rows any more, as a rule: what waits of it is sealed."""

THIN_US: Final = 60_000_000
FULL_SHARE: Final = 0.25
"""Below this part of ``least_free_mb`` nothing is stored any more."""

_MB = 1024 * 1024
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long what is kept. ``raw_h``: messages as they came, h; ``raw_mb``, ``hot_mb``: the most of them and of the database;
    ``warm_days``: then the archive, where there is one, else nothing; ``cold_days`` 0: for ever. ``least_free_mb``: of the disk."""

    hot_days: int = 30
    hot_mb: int = 4096
    raw_h: int = 72
    raw_mb: int = 2048
    warm_days: int = 730
    cold_days: int = 0
    least_free_mb: int = 1024


def pressure(free_bytes: int, retention: Retention) -> State:
    """How the disk stands."""
    if free_bytes < retention.least_free_mb * _MB * FULL_SHARE:
        return State.FULL
    return State.THIN if free_bytes < retention.least_free_mb * _MB else State.GOOD


def thinned(rows: Sequence[Row], last: dict[str, tuple[int, str, bool]]) -> list[Row]:
    """What is kept while the disk is short: a row of each pack a minute, and every row where its alarms or its demand to stop change.
    ``last``: when a row of each pack was kept, with both; it is changed."""
    kept = []
    for row in rows:
        at_us, alarms, stop = last.get(row.pack, (0, "", False))
        if row.received_us - at_us >= THIN_US or (row.alarms, row.stop) != (alarms, stop):
            last[row.pack] = (row.received_us, row.alarms, row.stop)
            kept.append(row)
    return kept


def to_seal(waiting: Iterable[Unsealed], now_us: int, *, hurry: bool = False) -> list[Unsealed]:
    """Which partitions are to be written. ``hurry``: the database is too large."""
    over = (now_us - SEAL_AFTER_US) // DAY_US
    return [part for part in waiting if part.day < over or hurry or part.rows >= max(SEAL_ROWS, part.sealed * SEAL_SHARE)]


def hot_before(now_us: int, retention: Retention, *, too_large: bool) -> int:
    """The first day whose sealed rows stay in the database. The raw days stay in any case: a replay changes them."""
    today = now_us // DAY_US
    least = retention.raw_h // 24 + 1
    return today - (least if too_large else max(least, retention.hot_days))


def to_archive(files: Iterable[FileEntry], now_us: int, retention: Retention) -> list[tuple[int, str, list[FileEntry]]]:
    """(pack, month, its files) of months whose every day is older than ``warm_days``."""
    today = now_us // DAY_US
    found = []
    for (pack_no, month), group in groupby(files, key=lambda entry: (entry.pack_no, month_of(entry.first_day))):
        entries = list(group)
        if last_day_of(month) < today - retention.warm_days:
            found.append((pack_no, month, entries))
    return found


def to_forget(files: Iterable[FileEntry], now_us: int, days: int) -> list[FileEntry]:
    """Files that are wholly older; ``days`` 0: none."""
    return [entry for entry in files if entry.last_day < now_us // DAY_US - days] if days else []


def month_of(day: int) -> str:
    """``2026-11`` of a day since 1970."""
    return (_EPOCH + timedelta(days=day)).isoformat()[:7]


def last_day_of(month: str) -> int:
    """The last day of a month, in days since 1970."""
    year, number = int(month[:4]), int(month[5:])
    after = date(year + number // 12, number % 12 + 1, 1)
    return (after - _EPOCH).days - 1
