"""Who follows a runaway: cells and modules in a pack, bays in a depot."""

from __future__ import annotations

import csv
import statistics
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bms_bridge import InvalidLayout
from bms_bridge import bay_propagation as bays
from bms_bridge import pack_propagation as packs
from bms_bridge.bay_propagation import Follows, Parked, beside, neighbours, to_clear, view_factor
from bms_bridge.ect.score import TRIGGER_C
from bms_bridge.layout import Bay, Layout, Wall
from bms_bridge.pack_propagation import Advice, PackBuild, advice_of_sensors, spread

BUS_WH = 300_000.0


def rank(count: int, pitch_m: float = 4.0, **more: object) -> Layout:
    """Buses side by side, one bay every ``pitch_m``."""
    return Layout(bays=tuple(Bay(bay_id=f"B{n}", x_m=0.0, y_m=n * pitch_m) for n in range(count)), **more)  # type: ignore[arg-type]


# -- the floor -------------------------------------------------------------------------------------------------------------


def test_gap_and_width_of_buses_side_by_side_and_end_to_end() -> None:
    layout = Layout(
        bays=(
            Bay(bay_id="A", x_m=0, y_m=0), Bay(bay_id="B", x_m=2, y_m=4),
            Bay(bay_id="C", x_m=14, y_m=0), Bay(bay_id="D", x_m=0, y_m=-9, heading_deg=90),
        )
    )  # fmt: skip
    beside = layout.sight("A", "B")
    assert beside.gap_m == pytest.approx(1.4)
    assert beside.right_m - beside.left_m == pytest.approx(12.0)
    behind = layout.sight("A", "C")
    assert behind.gap_m == pytest.approx(2.0)
    assert behind.right_m - behind.left_m == pytest.approx(2.6)
    across = layout.sight("D", "A")
    assert across.gap_m == pytest.approx(9 - 6 - 1.3)
    assert across.right_m - across.left_m == pytest.approx(2.6)


@pytest.mark.parametrize(
    ("placed", "words"),
    [
        ([Bay(bay_id="A", x_m=0, y_m=0), Bay(bay_id="A", x_m=0, y_m=9)], "two bays have the id A"),
        ([Bay(bay_id="A", x_m=0, y_m=0), Bay(bay_id="B", x_m=5, y_m=1)], "A and B lie on each other"),
        ([Bay(bay_id="A", x_m=0, y_m=0), Bay(bay_id="B", x_m=5, y_m=2, heading_deg=45)], "A and B lie on each other"),
    ],
)
def test_a_floor_that_cannot_be_is_refused(placed: list[Bay], words: str) -> None:
    with pytest.raises(InvalidLayout, match=words):
        Layout(bays=tuple(placed))


def test_a_bay_without_a_place_is_told_so() -> None:
    with pytest.raises(InvalidLayout, match="bay 'Z' has no place"):
        neighbours(rank(2), "Z", BUS_WH)


def test_view_factors_are_those_of_the_book() -> None:
    assert view_factor(-500, 500, -500, 500, 0.5) == pytest.approx(1.0, abs=0.001)
    assert view_factor(-500, 500, 0, 500, 0.5) == pytest.approx(0.5, abs=0.001)
    # a small square far away: area / (π·distance²)
    assert view_factor(-0.05, 0.05, -0.05, 0.05, 10.0) == pytest.approx(0.01 / (3.141593 * 100), rel=0.001)
    # seen from beside its foot it is what two rectangles leave
    assert view_factor(1, 2, -1, 1, 1.0) == pytest.approx(view_factor(0, 2, -1, 1, 1.0) - view_factor(0, 1, -1, 1, 1.0))


def test_a_burning_minivan_is_seen_at_least_as_hot_as_it_was_measured() -> None:
    """More than 40 kW/m² half a metre away, 10 to 20 kW/m² at one metre: flames of 45 kW/m² say as much or more."""
    side = (-2.25, 2.25, -1.0, 1.0)
    assert bays.BEST.flame_w_m2 * view_factor(*side, 0.5) >= 39_000
    assert bays.BEST.flame_w_m2 * view_factor(*side, 1.0) >= 20_000


# -- bays ------------------------------------------------------------------------------------------------------------------


def test_the_next_bay_follows_first_and_the_far_end_last() -> None:
    found = {row.bay_id: row for row in neighbours(rank(6), "B0", BUS_WH)}
    assert list(found) == ["B1", "B2", "B3", "B4", "B5"]
    times = [found[f"B{n}"].minutes_low for n in range(1, 6)]
    assert times == sorted(times)
    assert times[0] < 5
    for row in found.values():
        assert row.minutes_high is None or row.minutes_high >= row.minutes_low


def test_a_pack_alone_full_sets_the_next_bus_on_fire_late_and_one_at_30_percent_does_not() -> None:
    full = {row.bay_id: row for row in neighbours(rank(3, 3.4), "B1", BUS_WH, 1.0)}
    low = {row.bay_id: row for row in neighbours(rank(3, 3.4), "B1", BUS_WH, 0.3)}
    assert full["B0"].minutes_high is not None
    assert low["B0"].minutes_high is None


def test_distance_and_walls_save_neighbours() -> None:
    assert neighbours(rank(3, 40.0), "B1", BUS_WH) == []
    wall = Wall(x1_m=-10, y1_m=2.0, x2_m=10, y2_m=2.0, fire_minutes=45)
    held = {row.bay_id: row for row in neighbours(rank(3, walls=(wall,)), "B1", BUS_WH)}
    assert held["B2"].minutes_low < 5
    assert held["B0"].minutes_low >= 45
    assert held["B0"].minutes_high is None
    ninety = Wall(x1_m=-10, y1_m=2.0, x2_m=10, y2_m=2.0, fire_minutes=90)
    assert "B0" not in {row.bay_id for row in neighbours(rank(3, walls=(ninety,)), "B1", BUS_WH)}


def test_compartments_divide_as_walls_do() -> None:
    layout = Layout(bays=(Bay(bay_id="A", x_m=0, y_m=0), Bay(bay_id="B", x_m=0, y_m=4, compartment="east")), compartment_minutes=30)
    (row,) = neighbours(layout, "A", BUS_WH)
    assert row.bay_id == "B"
    assert row.minutes_low >= 30


def test_each_bay_by_itself_sets_fire_to_those_beside_it() -> None:
    found = beside(rank(6), BUS_WH)
    assert list(found) == [f"B{n}" for n in range(6)]
    assert [row.bay_id for row in found["B3"]][:2] == ["B2", "B4"]
    direct, chained = {r.bay_id: r for r in found["B0"]}, {r.bay_id: r for r in neighbours(rank(6), "B0", BUS_WH)}
    assert direct["B1"] == chained["B1"]
    assert all(direct[bay].minutes_low >= chained[bay].minutes_low for bay in direct)
    wall = Wall(x1_m=-10, y1_m=2.0, x2_m=10, y2_m=2.0, fire_minutes=45)
    assert beside(rank(2, walls=(wall,)), BUS_WH)["B1"][0].minutes_low >= 45


def test_an_empty_bay_passes_nothing_on() -> None:
    """Through the gap of an empty bay the next bus follows later than through a bus that burns."""
    layout = rank(3)
    full = {row.bay_id: row for row in neighbours(layout, "B0", BUS_WH)}
    gap = neighbours(layout, "B0", BUS_WH, others={"B2": Parked(BUS_WH), "unknown": Parked(BUS_WH)})
    assert [row.bay_id for row in gap] in ([], ["B2"])
    assert not gap or gap[0].minutes_low > full["B2"].minutes_low


def test_people_leave_more_bays_than_burn() -> None:
    layout = rank(12)
    clear = to_clear(layout, "B0", within_minutes=5)
    assert clear[0] == "B0"
    assert {"B1", "B2", "B3"} <= set(clear)
    assert to_clear(rank(2, 100.0), "B0") == ["B0"]


@given(st.lists(st.tuples(st.floats(0, 60), st.floats(0, 60), st.sampled_from([0.0, 30.0, 90.0])), min_size=1, max_size=6), st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_any_floor_gives_sound_answers(spots: list[tuple[float, float, float]], soc: float) -> None:
    placed = tuple(Bay(bay_id=f"B{n}", x_m=x, y_m=y, heading_deg=turn) for n, (x, y, turn) in enumerate(spots))
    try:
        layout = Layout(bays=placed)
    except InvalidLayout:
        return
    found = neighbours(layout, "B0", BUS_WH, soc)
    assert found == sorted(found, key=lambda row: (row.minutes_low, row.bay_id))
    assert "B0" not in {row.bay_id for row in found}
    for row in found:
        assert isinstance(row, Follows)
        assert 0 <= row.minutes_low <= bays.HORIZON_MIN
        assert row.minutes_high is None or row.minutes_low <= row.minutes_high <= bays.HORIZON_MIN


# -- inside a pack -----------------------------------------------------------------------------------------------------------


def test_a_full_pack_of_which_nothing_is_known_is_evacuated() -> None:
    assert spread(None).advice is Advice.EVACUATE
    assert spread(None, soc=0.5).advice is Advice.EVACUATE
    assert spread(None, soc=0.2).advice is Advice.CLEAR


def test_a_nearly_empty_pack_stays_in_its_module() -> None:
    found = spread(PackBuild(), soc=0.2)
    assert found.advice is Advice.MAINTENANCE
    assert found.lost_s == (None, None)
    assert found.modules_s[0][0] == 0.0
    assert found.modules_s[1] == (None, None)


def test_barriers_buy_time() -> None:
    bare, barred = spread(PackBuild(modules=3, cells_per_module=8)), spread(PackBuild(modules=3, cells_per_module=8, barriers=True))
    bare_s, barred_s = bare.modules_s[1][0], barred.modules_s[1][0]
    assert bare_s is not None
    assert barred_s is None or barred_s > bare_s
    assert barred.advice is not Advice.EVACUATE or bare.advice is Advice.EVACUATE


def test_modules_follow_in_their_order() -> None:
    times = [early for early, _ in spread(PackBuild(modules=4, cells_per_module=6)).modules_s]
    assert None not in times
    assert times == sorted(times, key=lambda t: (t is None, t))


@pytest.mark.parametrize(
    ("away", "advice"),
    [
        ({3: 10.0}, Advice.MAINTENANCE),
        ({3: 10.0, 4: 99.0}, Advice.EVACUATE),
        ({3: 10.0, 4: 101.0}, Advice.CLEAR),
        ({}, Advice.EVACUATE),
    ],
)
def test_the_rule_of_the_90_seconds_on_sensors(away: dict[int, float], advice: Advice) -> None:
    assert advice_of_sensors(away, 8) is advice


def test_a_pack_of_one_sensor_cannot_say_contained() -> None:
    assert advice_of_sensors({0: 5.0}, 1) is Advice.EVACUATE


def test_a_build_that_cannot_be_is_refused() -> None:
    with pytest.raises(InvalidLayout, match="1 to 2000 nodes"):
        PackBuild(modules=100, cells_per_module=100)


# -- the failure databank ------------------------------------------------------------------------------------------------------


def databank(data_dir: Path) -> list[dict[str, str]]:
    with (data_dir / "battery" / "failure_databank" / "fractional_calorimetry.csv").open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def column(rows: list[dict[str, str]], name: str) -> list[float]:
    return sorted(value for row in rows if (value := number(row[name])) is not None)


@pytest.mark.data
def test_trigger_temperatures_are_those_of_the_databank(data_dir: Path) -> None:
    rows = databank(data_dir)
    heated = column([r for r in rows if r["Trigger-Mechanism"] == "Heater (Non-ISC)"], "Avg-Cell-Temp-At-Trigger-degC")
    shorted = column([r for r in rows if r["Trigger-Mechanism"] == "Heater (ISC)"], "Avg-Cell-Temp-At-Trigger-degC")
    assert sum(c >= TRIGGER_C for c in heated) / len(heated) > 0.9
    assert sum(c < TRIGGER_C for c in shorted) / len(shorted) > 0.7  # too late for those: why the score never stands alone
    assert statistics.quantiles(shorted, n=20)[0] < 85.0
    assert statistics.median(shorted) >= packs.WORST.trigger_c - 1.0
    assert statistics.median(heated) >= packs.BEST.trigger_c


@pytest.mark.data
def test_heat_and_time_of_a_runaway_are_those_of_the_databank(data_dir: Path) -> None:
    rows = databank(data_dir)
    full = [r for r in rows if number(r["Pre-Test-State-of-Charge-%"]) == 100 and r["Trigger-Mechanism"].startswith("Heater")]
    ratio = statistics.quantiles(column(full, "Total-Energy-Ratio"), n=4)
    assert ratio[1] < bays.HEAT_PER_STORED <= ratio[2] + 0.05
    per_gram = sorted(float(r["Corrected-Total-Energy-Yield-kJ"]) * 1000 / float(r["Pre-Test-Cell-Mass-g"]) for r in full)
    assert statistics.quantiles(per_gram, n=4)[2] / 0.9 == pytest.approx(packs.FULL_RISE_K, rel=0.02)
    median_full = statistics.median(column(full, "Corrected-Total-Energy-Yield-kJ"))
    for low, (up_to, share) in zip((0.0, 0.25), bays.HEAT_BY_SOC, strict=False):
        of_soc = [r for r in rows if low * 100 < (number(r["Pre-Test-State-of-Charge-%"]) or -1) <= up_to * 100]
        assert statistics.median(column(of_soc, "Corrected-Total-Energy-Yield-kJ")) / median_full <= share + 0.01
    assert statistics.median(column(rows, "Average-Event-Length-s")) == pytest.approx(packs.EVENT_S, abs=0.2)
