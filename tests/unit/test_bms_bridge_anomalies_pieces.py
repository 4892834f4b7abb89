"""Pack days are asked for in pieces: all packs and days come, none twice, however little the lake can answer at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from fake_pack_days import FIRST_DAY, fleet

from bms_bridge.anomalies import TableRefused
from bms_bridge.anomalies.from_lake import LOOK_AHEAD_D, LOOK_BACK_D, NoDays
from bms_bridge.anomalies.pack_days import PackDays
from bms_bridge.anomalies.pieces import MOST_SAMPLES, Pieces, samples_a_day
from bms_bridge.lake import QueryTooLarge

DAYS = 12


class SmallLake:
    """Answers for so many pack days at once, counting those that it reads before the first and after the last one."""

    def __init__(self, table: PackDays, most: float) -> None:
        self.table, self.most = table, most
        self.answered: list[tuple[tuple[str, ...], int, int]] = []
        self.refused = 0

    def __call__(self, names: Iterable[str], first: int, last: int) -> PackDays:
        own = tuple(names)
        if len(own) * (last - first + 1 + LOOK_BACK_D + LOOK_AHEAD_D) > self.most:
            self.refused += 1
            raise QueryTooLarge("too much")
        self.answered.append((own, first, last))
        found = self.table.rows(np.isin(self.table.packs, own) & (self.table.days >= first) & (self.table.days <= last))
        if not len(found):
            raise NoDays("none")
        return found


def asked(table: PackDays, *, most: float, samples: float) -> tuple[PackDays, SmallLake, list[tuple[int, int]]]:
    lake, told = SmallLake(table, most), list[tuple[int, int]]()
    pieces = Pieces(lake, samples=samples)
    names = table.names()
    pieces.tell(lambda done, of: told.append((done, of)), of=len(names) * DAYS)
    return pieces(names, FIRST_DAY, FIRST_DAY + DAYS - 1), lake, told


@pytest.mark.parametrize("most", [1e9, 40, 16, 5])
def test_all_days_of_all_packs_come_once_whatever_the_lake_can_answer(most: float) -> None:
    table = fleet(5, DAYS)
    found, lake, told = asked(table, most=most, samples=1.0)
    assert (found.packs.tolist(), found.days.tolist()) == (table.packs.tolist(), table.days.tolist())
    assert np.array_equal(found.cells_v, table.cells_v)
    seen = [(name, day) for names, first, last in lake.answered for name in names for day in range(first, last + 1)]
    assert len(seen) == len(set(seen)) == 5 * DAYS
    assert told[-1] == (5 * DAYS, 5 * DAYS)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_a_lake_that_is_full_of_samples_is_asked_for_few_packs_at_once_and_never_refuses() -> None:
    _, lake, _ = asked(fleet(6, DAYS), most=32, samples=MOST_SAMPLES / 32)
    assert lake.refused == 0
    assert [len(names) for names, *_ in lake.answered] == [2, 2, 2]


def test_what_was_too_much_once_is_not_tried_again() -> None:
    _, lake, _ = asked(fleet(8, DAYS), most=16, samples=1.0)
    assert lake.refused <= 4
    assert all(len(names) == 1 for names, *_ in lake.answered)


def test_a_day_of_one_pack_that_is_too_much_is_told() -> None:
    with pytest.raises(QueryTooLarge):
        asked(fleet(2, DAYS), most=1, samples=1.0)


def test_packs_without_a_day_that_can_be_used_do_not_hide_the_others_and_are_told() -> None:
    table = fleet(3, DAYS)
    bad, noted = table.names()[:2]

    def ask(names: Iterable[str], first: int, last: int) -> PackDays:
        (name,) = names
        if name == bad:
            raise TableRefused("the lake: no row can be used")
        rows = table.rows((table.packs == name) & (table.days >= first) & (table.days <= last))
        return replace(rows, notes=("3 rows left out: the date is none",)) if name == noted else rows

    pieces = Pieces(ask, samples=MOST_SAMPLES)
    found = pieces(table.names(), FIRST_DAY, FIRST_DAY + 1)
    assert found.names() == table.names()[1:]
    assert pieces.notes == ("2 questions without an answer: the lake: no row can be used", "6 rows left out: the date is none")
    with pytest.raises(NoDays):
        pieces([bad], FIRST_DAY, FIRST_DAY)


def test_how_many_samples_a_pack_has_in_a_day_is_told_by_the_files() -> None:
    assert samples_a_day(lambda _: [(2_500.5,)]) == 2_500.5
    assert samples_a_day(lambda _: [(None,)]) == 8_640.0
