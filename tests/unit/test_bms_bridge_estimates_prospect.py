"""What a pack is still good for, from what a depot knows of it, and what is said where little is known."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest
from lake_kit import A, B, Bench

from bms_bridge import estimates as room
from bms_bridge.anomalies.losses import Loss
from bms_bridge.estimates.beside_new import Beside, NewResistance
from bms_bridge.estimates.book import Book, ChargeEntry, PackEntry
from bms_bridge.estimates.choice import Counting, counting
from bms_bridge.estimates.duties import (
    MOST_ROUNDS,
    Habit,
    fitted,
    habit,
    highest_soc,
    mean_c_rate,
    mean_soc,
    mean_temperature_c,
    present,
)
from bms_bridge.estimates.estimate import COUNTED, SOH, TAUGHT, ByCell, Estimate
from bms_bridge.estimates.facts import Described, Knowledge, Registered
from bms_bridge.estimates.prospect import Told, described, prospect
from bms_bridge.estimates.prospect_view import PackProspect, PackTwinAsked
from bms_bridge.estimates.prospecting import DAY_US, Prospects
from bms_bridge.estimates.shelf import Shelf
from bms_bridge.estimates.twin_run import run_asked
from bms_bridge.estimates.view import HealthEstimate
from bms_bridge.lake.hot import Hot
from bms_bridge.lake.lifetime import TEMPERATURES_C, Life
from bms_bridge.lake.schema import micros
from bms_bridge.second_life.assumptions import shipped, with_number
from bms_bridge.second_life.grading import TEST_REQUIRED, Graded, graded
from bms_bridge.twin.day import Lanes, run_day
from bms_bridge.twin.members import Pack
from bms_bridge.twin.years import outlook
from depot.values import PackKey
from storage import Store

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
GIVEN = shipped()
YEAR_US = round(365.25 * DAY_US)


def life(**changes: object) -> Life:
    """A year of it: 300 full cycles of a pack of 100 Ah, at 30 °C."""
    hours = [0.0] * (len(TEMPERATURES_C) + 1)
    hours[3] = hours[4] = 2_000 * 3600.0
    first = micros(NOW) - YEAR_US
    said = {
        "first_us": first, "last_us": micros(NOW), "seen_s": 5_000 * 3600.0, "unseen_s": 3_000 * 3600.0, "charge_in_ah": 30_000.0,
        "temperature_s": hours, "hottest_c": 44.0,
    }  # fmt: skip
    return Life(**(said | changes))


def health(value: float = 0.86, half: float = 0.015) -> Counting:
    one = HealthEstimate("soh", COUNTED, NOW - timedelta(hours=9), NOW - timedelta(hours=3), value, value - half, value + half, "", {})
    return counting([one])


def told(**changes: object) -> Told:
    said = {
        "name": "E-101/P1", "chemistry": "NMC", "capacity_kwh": 80.0, "nominal_ah": 100.0, "life": life(), "cycles_before": 0.0,
        "since_s": NOW.timestamp() - 365.25 * 86_400,
    }  # fmt: skip
    return Told(**(said | changes))  # type: ignore[arg-type]


def cells(*soh: float, error: float = 0.012) -> ByCell:
    return ByCell(NOW.timestamp(), soh, (error,) * len(soh), tuple(1 + n // 4 for n in range(len(soh))))


EVEN = cells(*(0.860, 0.861, 0.859, 0.862, 0.858, 0.860, 0.861, 0.860))


def test_a_well_known_pack_gets_grade_value_advice_and_three_duties() -> None:
    found = prospect(told(), health(), EVEN, habit(life(), 100.0), GIVEN, now=NOW)
    assert (found.why_not, found.grade, found.because) == ("", "vehicle again", [])
    assert found.whole is not None
    assert found.whole.low < 0.86 < found.whole.high + 0.02
    assert [part.name for part in found.modules] == ["module 1", "module 2"]
    assert found.missing == ["resistance", "self-discharge", "slope of fade"]
    assert found.residual_paise is not None
    assert found.residual_paise[0] <= found.residual_paise[1] <= found.residual_paise[2]
    assert found.best in {"recycling", *(offer.name for offer in found.offers)}
    assert "It is worth most to " in found.advice
    assert "needed_kwh" in found.advice
    assert [duty.name for duty in found.duties] == ["present", "stationary", "ups"]
    today = found.duties[0]
    assert today.full_cycles_a_year == pytest.approx(300, rel=0.03)
    for duty in found.duties:
        assert [end.health for end in duty.ends] == [0.8, 0.7, 0.6]
        low, mid, _ = duty.ends[0].years
        assert low is not None
        assert low > 0
        assert mid is None or mid >= low
    assert {one.own for one in found.assumptions} == {False}
    assert msgspec.json.decode(msgspec.json.encode(found), type=PackProspect) == found


KNOWN = {
    "resistance": Beside(1.2, 1.1, 1.3, "median of its newest 6 beside 6 like ones"),
    "slope": Beside(1.0, 0.8, 1.3, "fade of the last year"),
}


def test_a_pack_whose_cells_are_not_told_gets_a_grade_once_resistance_and_slope_are_known() -> None:
    found = prospect(told(**KNOWN), health(0.88, 0.02), None, habit(life(), 100.0), GIVEN, now=NOW)
    assert (found.grade, found.because) == ("vehicle again", [])
    assert found.missing == ["health of the cells", "self-discharge"]
    assert [(one.name, one.value) for one in found.beside] == [("resistance", 1.2), ("self-discharge", None), ("slope of fade", 1.0)]
    without = graded(described(told(), health(0.88, 0.02), None, now=NOW), GIVEN)
    assert without.grade == TEST_REQUIRED
    assert "resistance" in without.missing
    assert graded(described(told(**KNOWN), health(0.82, 0.04), None, now=NOW), GIVEN).grade == TEST_REQUIRED


def test_resistance_self_discharge_and_bend_count_in_the_grade_whether_cells_are_told_or_not() -> None:
    def mark(by_cell: ByCell | None, **changes: Beside) -> Graded:
        return graded(described(told(**KNOWN | changes), health(), by_cell, now=NOW), GIVEN)

    for by_cell in (None, EVEN):
        assert mark(by_cell, resistance=Beside(2.4, 2.2, 2.6, "x")).grade == "recycling"
        doubtful = mark(by_cell, resistance=Beside(1.8, 1.6, 2.1, "x"))
        assert doubtful.grade == TEST_REQUIRED
        assert "1.6 to 2.1 times a new one's" in doubtful.inspect[0]
        assert "9% a month" in mark(by_cell, self_discharge=Beside(0.09, 0.07, 0.11, "x")).inspect[0]
    assert any("past its bend" in words for words in mark(EVEN, slope=Beside(3.0, 2.2, 4.0, "x")).notes)


def test_where_its_interval_touches_two_bands_a_test_is_required_and_it_says_so() -> None:
    found = prospect(told(), health(0.80, 0.03), None, habit(None, 100.0), GIVEN, now=NOW)
    assert found.grade == TEST_REQUIRED
    assert any("on both sides of 80%" in words for words in found.because)
    assert "Have it tested first" in found.advice
    assert found.duties[0].why_not == "the lake has no record of its life yet"
    assert found.duties[1].ends


def test_little_data_and_estimates_that_disagree_ask_for_a_test() -> None:
    bare = prospect(told(life=None, cycles_before=None, since_s=None), health(), None, Habit(why_not="x"), GIVEN, now=NOW)
    assert bare.grade == TEST_REQUIRED
    assert any(words.startswith("10% of the data is there, 60% is needed") for words in bare.because)
    other = HealthEstimate("soh", TAUGHT, NOW, NOW, 0.76, 0.745, 0.775, "", {})
    one = health().one
    assert one is not None
    apart = prospect(told(), counting([one, other]), EVEN, habit(life(), 100.0), GIVEN, now=NOW)
    assert apart.grade == TEST_REQUIRED
    assert "two estimates of its health disagree" in apart.because
    assert apart.whole is not None
    assert (apart.whole.low, apart.whole.high) == pytest.approx((0.745, 0.875), abs=0.01)


def test_a_pack_that_was_too_hot_is_looked_at_until_a_person_has() -> None:
    hot = told(life=life(hottest_c=66.0))
    found = prospect(hot, health(), EVEN, habit(life(), 100.0), GIVEN, now=NOW)
    assert found.grade == TEST_REQUIRED
    assert "have it inspected" in found.because[0]
    seen = prospect(told(life=life(hottest_c=66.0), inspected=True), health(), EVEN, habit(life(), 100.0), GIVEN, now=NOW)
    assert seen.grade == "vehicle again"


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"capacity_kwh": None}, "capacity when new"), ({"since_s": NOW.timestamp() - 50 * 365.25 * 86_400}, "age_years must be")],
)
def test_what_cannot_be_is_a_sentence(changes: dict[str, object], words: str) -> None:
    assert words in prospect(told(**changes), health(), None, habit(life(), 100.0), GIVEN, now=NOW).why_not
    assert "takes an estimate" in prospect(told(), Counting(None), None, habit(life(), 100.0), GIVEN, now=NOW).why_not


def test_an_unknown_chemistry_gets_a_grade_and_no_years() -> None:
    found = prospect(told(chemistry="LTO"), health(), EVEN, habit(life(), 100.0), GIVEN, now=NOW)
    assert found.grade == "vehicle again"
    assert "LTO cells age" in found.no_value
    assert all("LTO" in duty.why_not for duty in found.duties)


def test_a_record_of_days_is_none_and_its_heat_counts_all_the_same() -> None:
    short = life(first_us=micros(NOW) - 5 * DAY_US, hottest_c=66.0)
    found = prospect(told(life=short), health(), EVEN, habit(short, 100.0), GIVEN, now=NOW)
    assert found.grade == TEST_REQUIRED
    assert "the record of its life" in found.missing
    assert any("66" in words for words in found.because)


def test_cycles_before_the_depot_are_never_taken_for_none() -> None:
    assert described(told(cycles_before=None), health(), None, now=NOW).full_cycles is None
    assert described(told(cycles_before=400.0), health(), None, now=NOW).full_cycles == pytest.approx(700)
    assert described(told(), health(), None, now=NOW).past_c == pytest.approx(30.0)
    assert described(told(life=life(unseen_s=9e9)), health(), None, now=NOW).past_c is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"first_us": 0}, "no record"),
        ({"first_us": micros(NOW) - 12 * DAY_US}, "12 days; 30 are needed"),
        ({"temperature_s": [0.0] * (len(TEMPERATURES_C) + 1)}, "told for 0 h"),
        ({"charge_in_ah": 20.0}, "less than one full cycle"),
    ],
)
def test_a_habit_needs_a_record(changes: dict[str, object], words: str) -> None:
    assert words in habit(life(**changes), 100.0).why_not


def test_a_habit_is_read_from_the_record_and_played_in_as_many_rounds_as_it_takes() -> None:
    found = habit(life(), 100.0)
    assert (found.cycles_a_year, found.mean_c, found.seen) == pytest.approx((300, 30, 0.625), rel=0.01)
    assert mean_temperature_c(Life())[1] == 0.0
    for cycles in (100.0, 300.0, 700.0):
        duty = present(Habit(cycles, 30.0, 1.0, 365.0))
        assert duty is not None
        run = outlook([_pack()], [duty], years=1, members=8)
        assert float(run.full_cycles_a_year[0]) == pytest.approx(cycles, rel=0.12)
    assert present(Habit(365.25 * MOST_ROUNDS, 30.0, 1.0, 365.0)) is None


def test_a_records_mean_is_of_all_sensors_and_the_duty_takes_off_what_it_warms_by() -> None:
    hot = habit(life(), 100.0)
    assert hot.hottest
    counted = life(mean_temperature_cs=26.5 * 4_000 * 3600, mean_temperature_s=4_000 * 3600.0)
    found = habit(counted, 100.0)
    assert (found.hottest, found.mean_c) == (False, pytest.approx(26.5))
    assert described(told(life=counted), health(), None, now=NOW).past_c == pytest.approx(26.5)
    duty = fitted(found, "NMC", most_times=1.25)
    assert duty is not None
    day = run_day(Lanes(["NMC"], [duty], np.zeros(1, dtype=np.intp), np.ones(1), np.ones(1)))
    assert day.mean_c[0] == pytest.approx(26.5, abs=0.1)
    assert float(day.full_cycles[0]) * 365.25 == pytest.approx(300, rel=0.05)


def test_rate_and_state_of_charge_are_those_of_the_record() -> None:
    rates, socs = [0.0] * 8, [0.0] * 10
    rates[0], rates[2], rates[3] = 5e6, 600 * 3600.0, 100 * 3600.0
    socs[3], socs[7] = 1_000 * 3600.0, 3_000 * 3600.0
    said = life(charge_rate_s=rates, soc_s=socs)
    assert mean_c_rate(said) == pytest.approx((600 * 0.35**2 + 100 * 0.75**2) / (600 * 0.35 + 100 * 0.75))
    assert mean_soc(said) == pytest.approx(0.65)
    assert highest_soc(said) == pytest.approx(0.8 - 0.1 * 80 / 3000)
    found = habit(said, 100.0)
    duty = present(found)
    assert duty is not None
    assert duty.top_soc == found.top_soc
    assert duty.charge_c_rate == pytest.approx(found.c_rate)
    assert (mean_c_rate(Life()), mean_soc(Life()), highest_soc(Life())) == (None, None, None)


def test_a_prospect_holds_what_a_run_of_ones_own_begins_with() -> None:
    found = prospect(told(), health(), EVEN, habit(life(), 100.0), GIVEN, now=NOW)
    start = found.twin
    assert start is not None
    assert (start.chemistry, start.past_told) == ("NMC", True)
    assert start.today is not None
    assert start.today.cycles_a_year == pytest.approx(300, abs=1)
    run = run_asked(start, PackTwinAsked(25.0, 0.6, 0.3, 300.0, until=0.65), years=12)
    assert run.end is not None
    assert run.end.health == 0.65
    assert len(run.health) == 13
    assert run.warnings == [words for words in run.warnings if "not known" in words]
    blind = msgspec.structs.replace(start, age_years=None)
    assert "its age" in run_asked(blind, PackTwinAsked(50.0, 0.6, 2.0, 300.0), years=1).warnings[0]
    assert "between 40% and 95%" in run_asked(start, PackTwinAsked(25.0, 0.6, 0.3, 300.0, until=0.2)).why_not
    assert "do not fit into days" in run_asked(start, PackTwinAsked(25.0, 0.6, 0.05, 900.0)).why_not


def _pack() -> Pack:
    return Pack("P", "NMC", 80.0, soh=0.95)


# -- the rim -----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[tuple[Hot, Book, Shelf]]:
    bench = Bench(folder)
    with bench.lake() as lake:
        bench.drive(lake, 1, packs=(A,))
    with (
        contextlib.closing(Store.open(bench.places.database, read_only=True)) as lake_store,
        contextlib.closing(Store.open(folder / "health.db")) as store,
    ):
        store.migrate([room])
        yield Hot(lake_store), Book(store), Shelf(store)


def entry(pack: PackKey, note: str = "") -> PackEntry:
    return PackEntry(pack, micros(NOW), "NMC", 100.0, 8, 2, note)


def estimate(at: datetime, value: float = 0.86) -> tuple[ChargeEntry, list[Estimate]]:
    end_s = at.timestamp()
    one = Estimate(SOH, COUNTED, end_s - 9_000, end_s, value, value - 0.015, value + 0.015, "", {})
    return ChargeEntry(micros(at) - 9_000_000_000, micros(at), 61.0, {}), [one]


def test_prospects_are_made_once_a_day_where_health_is_newer_and_kept(tmp_path: Path) -> None:
    clock = [NOW]
    with opened(tmp_path) as (hot, book, shelf):
        book.put(entry(A), [estimate(NOW - timedelta(hours=3))], now_us=micros(NOW))
        book.put(entry(B, "its capacity when new is not known"), [], now_us=micros(NOW))
        shelf.put_cells(A, EVEN)
        work = Prospects(
            hot, book, shelf, Knowledge(packs={A: Described(cycles_before=0.0)}), registered=lambda _: Registered("NMC", 80_000, 8),
            now_us=lambda: micros(clock[0]), monotonic_s=lambda: 0.0,
        )  # fmt: skip
        assert work.look() == 2
        found, bare = shelf.prospect(A), shelf.prospect(B)
        assert found is not None
        assert bare is not None
        assert (found.why_not, len(found.modules), bare.why_not) == ("", 2, "its capacity when new is not known")
        one = book.one(A, NOW)
        assert one is not None
        assert one.prospect == found
        assert work.look() == 0
        clock[0] = NOW + timedelta(days=2)
        assert work.look() == 0  # nothing is newer
        book.put(entry(A), [estimate(NOW + timedelta(days=1), 0.84)], now_us=micros(clock[0]))
        assert work.look() == 1
        clock[0] = NOW + timedelta(days=10)
        assert work.look() == 2


def test_resistance_and_losses_come_from_the_book_and_from_others(tmp_path: Path) -> None:
    with opened(tmp_path) as (hot, book, shelf):
        entries = []
        for hours in (80, 54, 28):
            at = NOW - timedelta(hours=hours)
            charge, estimates = estimate(at)
            detail = {"hottest_c": 25.0, "soc": 0.5, "lag_s": 5.0}
            ohms = Estimate("resistance", "current steps", at.timestamp() - 9_000, at.timestamp(), 72.0, 65.0, 80.0, "", detail)
            entries.append((charge, [*estimates, ohms]))
        book.put(entry(A), entries, now_us=micros(NOW))
        shelf.put_losses({A: Loss(0.0003, 0.0002, 2, int(NOW.timestamp() / 86_400))}, now_us=1)
        work = Prospects(
            hot, book, shelf, Knowledge(), registered=lambda _: Registered("NMC", 80_000, 8), now_us=lambda: micros(NOW),
            monotonic_s=lambda: 0.0, new_resistance=lambda _: NewResistance(0.06, "as its data sheet says"),
        )  # fmt: skip
        assert work.look() == 1
        found = shelf.prospect(A)
        assert found is not None
        told_of = {one.name: one for one in found.beside}
        assert told_of["resistance"].value == pytest.approx(1.2, rel=0.01)
        assert told_of["resistance"].at == NOW - timedelta(hours=28)
        assert told_of["self-discharge"].value == pytest.approx(0.0091, abs=0.0002)
        assert "in_service" not in found.missing
        row = book.fleet(NOW).packs[0]
        assert row.grade == found.grade
        assert row.grade_why == "; ".join(found.because)


def test_a_changed_assumption_makes_all_prospects_anew(tmp_path: Path) -> None:
    given = [GIVEN]
    with opened(tmp_path) as (hot, book, shelf):
        book.put(entry(A), [estimate(NOW - timedelta(hours=3))], now_us=micros(NOW))
        work = Prospects(
            hot, book, shelf, Knowledge(), registered=lambda _: Registered("LTO", 80_000, 8), now_us=lambda: micros(NOW),
            monotonic_s=lambda: 0.0, assumptions=lambda: given[0],
        )  # fmt: skip
        assert [work.look(), work.look()] == [1, 0]
        given[0] = with_number(GIVEN, "limits.completeness", 0.05, 0.05, 0.05, "a trial")
        assert [work.look(), work.look()] == [1, 0]
        found = shelf.prospect(A)
        assert found is not None
        assert found.grade == "vehicle again"
        assert [one.name for one in found.assumptions if one.own] == ["completeness"]


def test_the_first_health_is_not_kept_waiting(tmp_path: Path) -> None:
    with opened(tmp_path) as (hot, book, shelf):
        book.put(entry(A), [], now_us=micros(NOW))
        work = Prospects(
            hot, book, shelf, Knowledge(), registered=lambda _: Registered("NMC", 80_000, 8), now_us=lambda: micros(NOW),
            monotonic_s=lambda: 0.0,
        )  # fmt: skip
        assert [work.look(), work.look()] == [1, 0]
        book.put(entry(A), [estimate(NOW - timedelta(hours=3))], now_us=micros(NOW))
        assert [work.look(), work.look()] == [1, 0]
        found = shelf.prospect(A)
        assert found is not None
        assert found.grade == TEST_REQUIRED


def test_a_look_ends_after_its_budget_and_the_next_one_goes_on(tmp_path: Path) -> None:
    ticks = iter(range(0, 10_000, 50))
    with opened(tmp_path) as (hot, book, shelf):
        for number in range(3):
            book.put(entry(PackKey(f"E-{number}", "P1"), "nothing is known"), [], now_us=micros(NOW))
        work = Prospects(
            hot, book, shelf, Knowledge(), registered=lambda _: Registered(), now_us=lambda: micros(NOW), monotonic_s=lambda: next(ticks)
        )
        assert [work.look(60.0), work.look(60.0), work.look(60.0)] == [2, 1, 0]


def test_the_newest_cells_stay_and_a_prospect_of_another_version_is_none(tmp_path: Path) -> None:
    with opened(tmp_path) as (_, book, shelf):
        assert shelf.cells(A) is None
        assert shelf.prospect(A) is None
        shelf.put_cells(A, EVEN)
        shelf.put_cells(A, ByCell(EVEN.until_s - 60, (0.5,), (0.1,), (1,)))
        assert shelf.cells(A) == EVEN
        with book._store.writing() as connection:
            from sqlalchemy import text

            connection.execute(
                text("INSERT INTO estimates_prospect VALUES (:v, :p, 1, '{\"old\": 1}')"), {"v": A.vehicle_id, "p": A.pack_id}
            )
        assert shelf.prospect(A) is None
