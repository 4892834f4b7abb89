"""What-if: changes as they are typed, what they do to a problem, two plans side by side."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest

from optimizer import Cap, DemandPiece, Feeder, InvalidProblem, Problem, Vehicle
from optimizer.what_if import what_if
from optimizer.what_if_changes import changed, in_words
from optimizer.what_if_text import read_changes, slot_of
from optimizer.what_if_values import Change, ChangeKind, Comparison, How

T0 = datetime(2026, 1, 12, 18, 0, tzinfo=UTC)


def depot(*vehicles: Vehicle, **changes: Any) -> Problem:
    """Eight hours from 18:00, cheap in the last four; feeders A and B."""
    values: dict[str, Any] = {
        "t0": T0,
        "n_slots": 8,
        "slot_minutes": 60,
        "price_per_kwh": np.repeat([3.0, 1.0], 4),
        "site_limit_kw": 60.0,
        "background_kw": 0.0,
        "vehicles": vehicles or (bus("bus-17"), bus("bus-18", energy_kwh=40.0)),
        "feeders": (Feeder("A", 50.0), Feeder("B", 40.0)),
        "currency": "INR",
    }
    values.update(changes)
    return Problem(**values)


def bus(name: str, **changes: Any) -> Vehicle:
    values: dict[str, Any] = {"id": name, "arrival_slot": 1, "departure_slot": 6, "energy_kwh": 30.0, "p_max_kw": 20.0, "feeder": 0}
    values.update(changes)
    return Vehicle(**values)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("limit=-50kW", Change(ChangeKind.LIMIT, -50.0)),
        ("limit=800", Change(ChangeKind.LIMIT, 800.0, How.TO)),
        ("limit=+10%", Change(ChangeKind.LIMIT, 1.1, How.TIMES)),
        ("limit=30kW@20:00-22:00", Change(ChangeKind.LIMIT, 30.0, How.TO, "", 2, 4)),
        ("limit=30kW@22:00-01:00", Change(ChangeKind.LIMIT, 30.0, How.TO, "", 4, 7)),
        ("feeder:B=+20kW", Change(ChangeKind.FEEDER, 20.0, How.BY, "B")),
        ("price=x1.2@18:00-20:00", Change(ChangeKind.PRICE, 1.2, How.TIMES, "", 0, 2)),
        ("contract=+50kW", Change(ChangeKind.CONTRACT, 50.0)),
        ("vehicles=2", Change(ChangeKind.MORE, 2.0)),
        ("vehicles:bus-17=+1", Change(ChangeKind.MORE, 1.0, How.BY, "bus-17")),
        ("charger:bus-17=down", Change(ChangeKind.CHARGER, 0.0, How.TO, "bus-17")),
        ("charger:bus-17=11kW", Change(ChangeKind.CHARGER, 11.0, How.TO, "bus-17")),
        ("depart:bus-17=+30min", Change(ChangeKind.DEPART, 30.0, How.BY, "bus-17")),
        ("arrive:bus-17=-1h", Change(ChangeKind.ARRIVE, -60.0, How.BY, "bus-17")),
        ("need:bus-17=+20kWh", Change(ChangeKind.NEED, 20.0, How.BY, "bus-17")),
    ],
)
def test_changes_are_read_as_people_type_them(text: str, expected: Change) -> None:
    (change,) = read_changes(text, depot())
    assert (change.kind, change.amount, change.how, change.target) == (
        expected.kind,
        pytest.approx(expected.amount),
        expected.how,
        expected.target,
    )
    assert (change.from_slot, change.until_slot) == (expected.from_slot, expected.until_slot)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("limt=-50kW", "'limit' is probably meant"),
        ("-50kW", "is no change"),
        ("", "is no change"),
        ("limit=much", "'much' is no amount"),
        ("limit=-50kWh", "kw is expected, not kWh"),
        ("limit:A=5", "limit names nothing"),
        ("feeder=5", "say which, as in feeder:NAME=5"),
        ("depart:bus-17=10%", "a share makes no sense"),
        ("depart:bus-17=+30min@20:00-22:00", "hours of the day are for"),
        ("limit=5@25:00-26:00", "no time of day"),
        ("limit=5@10:00-12:00", "not within the horizon"),
    ],
)
def test_what_is_not_understood_is_told(text: str, why: str) -> None:
    with pytest.raises(InvalidProblem, match=why):
        read_changes(text, depot())


def test_times_are_of_the_clock_that_is_asked_for() -> None:
    assert slot_of("19:30", depot()) == 1
    assert slot_of("00:30", depot(), ZoneInfo("Asia/Kolkata")) == 1  # 18:00 UTC is 23:30 there
    with pytest.raises(InvalidProblem, match="not within the horizon"):
        slot_of("03:00", depot())


def test_limits_prices_and_contracts_change_where_they_are_told_to() -> None:
    piece = DemandPiece("md", 5.0, 30.0, np.ones(8))
    problem = depot(demand_pieces=(piece,), mtd_peak_kw=10.0)
    changes = read_changes("limit=-100kW@20:00-22:00,feeder:B=+5,price=x2@18:00-19:00,contract=+50kW", problem)
    other = changed(problem, changes)
    assert list(other.site_limit_kw) == [60, 60, 0, 0, 60, 60, 60, 60]
    assert [feeder.limit_kw[0] for feeder in other.feeders] == [50, 45]
    assert list(other.price_per_kwh[:2]) == [6, 3]
    assert (other.mtd_peak_kw, other.demand_pieces[0].free_kw) == (60, 80)
    assert list(problem.site_limit_kw) == [60] * 8


def test_a_cap_changes_and_a_new_vehicle_hangs_where_its_like_does() -> None:
    cap = Cap("L1", {0: 0.5}, np.full(8, 10.0))
    problem = depot(caps=(cap,))
    other = changed(problem, read_changes("cap:L1=-4kW,vehicles:bus-17=+2,vehicles:bus-18=+1", problem))
    assert other.caps[0].limit_kw[0] == 6
    assert dict(other.caps[0].weights) == {0: 0.5, 2: 0.5, 3: 0.5}


def test_a_later_departure_has_whole_slots_and_a_part_of_one() -> None:
    (late,) = changed(depot(bus("a")), [Change(ChangeKind.DEPART, 90.0, target="a")]).vehicles
    assert late.departure_slot == 8
    other = changed(depot(bus("a")), [Change(ChangeKind.DEPART, 90.0, target="a")])
    assert list(other.upper_kw[0]) == [0, 20, 20, 20, 20, 20, 20, 10]
    early = changed(depot(bus("a")), [Change(ChangeKind.DEPART, -90.0, target="a")])
    assert list(early.upper_kw[0]) == [0, 20, 20, 20, 10, 0, 0, 0]
    gone = changed(depot(bus("a")), [Change(ChangeKind.DEPART, -9999.0, target="a")])
    assert not gone.upper_kw.any()
    at_the_end = changed(depot(bus("a")), [Change(ChangeKind.DEPART, 9999.0, target="a")])
    assert list(at_the_end.upper_kw[0]) == [0] + [20] * 7


def test_an_arrival_moves_like_a_departure() -> None:
    late = changed(depot(bus("a")), [Change(ChangeKind.ARRIVE, 90.0, target="a")])
    assert list(late.upper_kw[0]) == [0, 0, 10, 20, 20, 20, 0, 0]
    early = changed(depot(bus("a")), [Change(ChangeKind.ARRIVE, -30.0, target="a")])
    assert list(early.upper_kw[0]) == [10, 20, 20, 20, 20, 20, 0, 0]
    capped = changed(depot(bus("a", cap_kw=np.full(8, 6.0))), [Change(ChangeKind.ARRIVE, 30.0, target="a")])
    assert list(capped.upper_kw[0]) == [0, 3, 6, 6, 6, 6, 0, 0]


def test_a_charger_goes_down_for_some_hours_or_grows() -> None:
    problem = depot(bus("a", p_min_kw=6.0, floor_kw=6.0, cap_kw=np.full(8, 15.0)))
    down = changed(problem, read_changes("charger:a=down@20:00-22:00", problem))
    assert list(down.upper_kw[0]) == [0, 15, 0, 0, 15, 15, 0, 0]
    assert not down.lower_kw.any()
    grown = changed(problem, [Change(ChangeKind.CHARGER, 20.0, target="a")])
    assert list(grown.upper_kw[0]) == [0, 30, 30, 30, 30, 30, 0, 0]


def test_more_vehicles_have_names_of_their_own() -> None:
    problem = depot(bus("a", energy_kwh=1.0), bus("b", energy_kwh=2.0, floor_kw=3.0), bus("c", energy_kwh=3.0))
    other = changed(problem, [Change(ChangeKind.MORE, 2.0), Change(ChangeKind.MORE, 1.0, target="b")])
    assert [vehicle.id for vehicle in other.vehicles] == ["a", "b", "c", "b + 1", "b + 2", "b + 3"]
    assert [vehicle.floor_kw for vehicle in other.vehicles] == [0, 3, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (Change(ChangeKind.DEPART, 30.0, target="buss-17"), "there is no vehicle 'buss-17'; 'bus-17' is probably meant"),
        (Change(ChangeKind.FEEDER, 30.0, target="Q"), "there is no feeder 'Q'; there are A, B"),
        (Change(ChangeKind.LIMIT, float("nan")), "not a finite number"),
        (Change(ChangeKind.LIMIT, -1.0, How.TIMES), "is negative"),
        (Change(ChangeKind.LIMIT, 1.0, from_slot=5, until_slot=5), "slots 5 to 5 are not within the 8"),
        (Change(ChangeKind.LIMIT, 1.0, until_slot=9), "slots 0 to 9 are not within the 8"),
        (Change(ChangeKind.MORE, 0.5), "a whole number from 1"),
        (Change(ChangeKind.MORE, 1e6), "a whole number from 1"),
        (Change(ChangeKind.DEPART, 30.0, How.TO, "bus-17"), "say by how many minutes"),
    ],
)
def test_changes_that_make_no_sense_are_told(change: Change, why: str) -> None:
    with pytest.raises(InvalidProblem, match=why):
        changed(depot(), [change])


def test_no_vehicle_can_be_like_none() -> None:
    with pytest.raises(InvalidProblem, match="no vehicle that another"):
        changed(Problem(T0, 2, 60, np.ones(2), np.ones(2), np.ones(2), ()), [Change(ChangeKind.MORE, 1.0)])


def test_words() -> None:
    problem = depot()

    def said(text: str) -> list[str]:
        changes = read_changes(text, problem)
        return [in_words(one, slot_name=lambda k: f"{18 + k}:00", currency="INR", n_slots=8) for one in changes]

    assert said("limit=-50kW,limit=30kW@20:00-22:00,feeder:B=x0.5,price=+1") == [
        "site limit: 50 kW less",
        "site limit: 30 kW from 20:00 to 22:00",
        "feeder B: × 0.5",
        "energy price: 1 INR/kWh more",
    ]
    assert said("vehicles=+1,vehicles:bus-17=2,charger:bus-17=down,depart:bus-17=-30min,need:bus-17=+5") == [
        "1 more vehicle",
        "2 more vehicles like bus-17",
        "the charger of bus-17 is down",
        "bus-17 leaves 30 min earlier",
        "need of bus-17: 5 kWh more",
    ]


def test_two_plans_side_by_side() -> None:
    problem = depot()
    found = what_if(problem, read_changes("limit=15kW,depart:bus-18=-1h", problem))
    assert found.changes == ("site limit: 15 kW", "bus-18 leaves 60 min earlier")
    assert (found.before.unmet_kwh, found.before.short) == (0, ())
    assert found.after.unmet_kwh == pytest.approx(0, abs=1e-6)
    assert found.after.cost > found.before.cost
    assert found.after.peak_kw == pytest.approx(15)
    assert {one.id for one in found.vehicles} == {"bus-17", "bus-18"}
    assert msgspec.json.decode(msgspec.json.encode(found), type=Comparison) == found


def test_who_comes_and_who_falls_short_is_told() -> None:
    problem = depot()
    found = what_if(problem, read_changes("vehicles:bus-18=+1,limit=20kW", problem))
    assert found.after.unmet_kwh == pytest.approx(10)
    new = next(one for one in found.vehicles if one.id == "bus-18 + 1")
    assert new.unmet_before_kwh is None
    assert sum((one.unmet_after_kwh or 0) for one in found.vehicles) == pytest.approx(10)
    assert found.vehicles[0].unmet_after_kwh


def test_nothing_changed_is_nothing_different() -> None:
    found = what_if(depot(), [Change(ChangeKind.LIMIT, 0.0)])
    assert found.before == found.after
    assert found.vehicles == ()
    assert found.before.wear_cost is None
