"""Which batteries the table shows, and in which order."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest
from fake_health import fleet

from web.battery_table import LOOKS, MOST_TEXT, ORDERS, Wanted

ROWS = fleet().packs


def names(wanted: Wanted, anomalies: Counter[str] | None = None) -> list[str]:
    count = anomalies or Counter()
    return [row.vehicle_id for row in wanted.sorted(ROWS, count) if wanted.holds(row, count[f"{row.vehicle_id}/{row.pack_id}"])]


def test_the_weakest_come_first_those_with_anomalies_before_them_those_without_an_estimate_last() -> None:
    found = names(Wanted())
    values = [next(row.soh for row in ROWS if row.vehicle_id == name) for name in found]
    known = [soh.value for soh in values if soh is not None and soh.value is not None]
    assert known == sorted(known)
    assert values[-1] is None
    last = found[-1]
    assert names(Wanted(), Counter({f"{last}/P1": 1}))[0] == last


@pytest.mark.parametrize("order", ORDERS)
def test_every_order_shows_all_and_is_stable(order: str) -> None:
    found = names(Wanted(order=order))
    assert sorted(found) == sorted(row.vehicle_id for row in ROWS)
    assert found == names(Wanted(order=order))


def test_the_fastest_fade_and_the_oldest_estimate_come_first() -> None:
    fades = {row.vehicle_id: row.trend.per_year for row in ROWS}
    told = [fade for name in names(Wanted(order="fade")) if (fade := fades[name]) is not None]
    assert told == sorted(told)
    ages = {row.vehicle_id: row.soh.until for row in ROWS if row.soh is not None}
    times = [ages[name] for name in names(Wanted(order="age")) if name in ages]
    assert times == sorted(times)


def test_each_pack_is_among_all_others_or_in_a_look() -> None:
    anomalies = Counter({f"{ROWS[0].vehicle_id}/{ROWS[0].pack_id}": 2})
    looked = {name for look in LOOKS for name in names(Wanted(look=look), anomalies)}
    assert looked == {row.vehicle_id for row in ROWS}
    well = names(Wanted(look="well"), anomalies)
    assert not set(well) & {name for look in LOOKS if look != "well" for name in names(Wanted(look=look), anomalies)}


def test_text_is_found_in_vehicle_chemistry_and_grade_whatever_its_case() -> None:
    graded = msgspec.structs.replace(ROWS[0], grade="test required")
    assert Wanted(text="REQUIRED").holds(graded, 0)
    assert Wanted(look="test").holds(graded, 0)
    assert Wanted(text=ROWS[0].chemistry.lower()).holds(ROWS[0], 0)
    assert not Wanted(text="no such thing").holds(ROWS[0], 0)


def test_what_does_not_exist_was_not_asked_for() -> None:
    assert Wanted.of({"look": "x", "order": "y", "text": " a " + "b" * 200}) == Wanted(("a " + "b" * 200)[:MOST_TEXT])
    assert Wanted.of({}) == Wanted()
