"""Day rows that stay: only what is missing is asked again, and the look at them finds what the look at the whole table finds."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from fake_pack_days import CAPACITY_AH, FIRST_DAY, fleet, string

from bms_bridge.anomalies import TableRefused
from bms_bridge.anomalies.alerts import Alert, watch
from bms_bridge.anomalies.from_lake import NoDays
from bms_bridge.anomalies.kept import AGAIN_D, Kept, load, refreshed
from bms_bridge.anomalies.pack_days import PackDays, joined

DAYS = 70


class Asked:
    """A lake that counts what it is asked."""

    def __init__(self, table: PackDays) -> None:
        self.table = table
        self.asked: list[tuple[list[str], int, int]] = []

    def __call__(self, names: Iterable[str], first: int, last: int) -> PackDays:
        self.asked.append((sorted(names), first - FIRST_DAY, last - FIRST_DAY))
        found = self.table.rows(np.isin(self.table.packs, list(names)) & (self.table.days >= first) & (self.table.days <= last))
        if not len(found):
            raise NoDays("none")
        return found

    def look(self, folder: Path, day: int, *, packs: Iterable[str] | None = None, capacity_ah: float = CAPACITY_AH) -> Kept:
        known = dict.fromkeys(self.table.names() if packs is None else packs, capacity_ah)
        self.asked.clear()
        refreshed(folder, known, self, since=FIRST_DAY, today=FIRST_DAY + day)
        return load(folder, known, today=FIRST_DAY + day)


def keys(alerts: list[Alert]) -> list[str]:
    return [alert.key for alert in alerts]


def test_what_is_kept_shows_what_the_whole_table_shows(tmp_path: Path) -> None:
    ill = joined([string("E-98/P1", DAYS, grows=0.02), string("E-99/P1", DAYS, leak_c_rate=1 / 1500, onset=50)])
    lake = Asked(fleet(8, DAYS, first=ill))
    kept = lake.look(tmp_path, DAYS - 1)
    whole = watch(lake.table, opinion=False)
    assert keys(whole) == ["E-99/P1/internal_short/4", "E-98/P1/resistance"]
    assert keys(watch(kept.recent, opinion=False, now=True, grid=kept.grid)) == keys(whole)
    assert kept.recent.days.min() > FIRST_DAY
    assert kept.grid.age_d.shape == (10, DAYS)


def test_only_the_last_days_and_new_packs_are_asked_again(tmp_path: Path) -> None:
    lake = Asked(fleet(4, 20))
    names = lake.table.names()
    lake.look(tmp_path, 15, packs=names[:3])
    assert lake.asked == [(names[:3], 0, 15)]
    lake.look(tmp_path, 16, packs=names[:3])
    assert lake.asked == [(names[:3], 17 - AGAIN_D, 16)]
    kept = lake.look(tmp_path, 16)
    assert lake.asked == [(names[:3], 17 - AGAIN_D, 16), (names[3:], 0, 16)]
    assert [len(kept.recent.of_pack(name)) for name in names] == [17] * 4
    lake.look(tmp_path, 16, capacity_ah=100.0)
    assert lake.asked == [(names, 0, 16)]
    one = sorted(tmp_path.glob("*.parquet"))[4]
    one.write_bytes(b"no file of ours")
    (tmp_path / "known.json").write_text("[1")
    lake.look(tmp_path, 16)
    assert lake.asked == [(names, 0, 16)]
    one.write_bytes(b"no file of ours")
    kept = lake.look(tmp_path, 17)
    assert (names, 4, 4) in lake.asked
    assert [len(kept.recent.of_pack(name)) for name in names] == [18] * 4


def test_old_days_go_and_nothing_at_all_is_told(tmp_path: Path) -> None:
    lake = Asked(fleet(2, 20))
    lake.look(tmp_path, 10)
    known = dict.fromkeys(lake.table.names(), CAPACITY_AH)
    refreshed(tmp_path, known, lake, since=FIRST_DAY + 5, today=FIRST_DAY + 10)
    assert len(list(tmp_path.glob("*.parquet"))) == 6
    with pytest.raises(TableRefused, match="no day"):
        load(tmp_path, ["E-77/P1"], today=FIRST_DAY + 10)
