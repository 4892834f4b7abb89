"""Explanations of tiny plans whose duals are known by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
import pytest

from optimizer import Cap, ChargeCurve, DemandPiece, Feeder, InvalidProblem, Milestone, NamedLimit, Need, Policy, Problem, Storage, Vehicle
from optimizer.explain import QUICK, Depth, explain
from optimizer.explain_cells import explain_cell
from optimizer.explain_values import Cause, Explanation, Grounds, LimitKind, LimitPrice, RemedyKind
from optimizer.explain_words import milestone_words, relaxed_words, short_words
from optimizer.planning import plan
from optimizer.what_if_changes import changed
from optimizer.what_if_values import Change, ChangeKind

T0 = datetime(2026, 1, 12, 0, 0, tzinfo=UTC)
DEEP = Depth(remedies=5, departures=20)


def depot(*vehicles: Vehicle, **changes: Any) -> Problem:
    """Four hours at 4, 3, 2 and 1 a kWh, 100 kW."""
    values: dict[str, Any] = {
        "t0": T0,
        "n_slots": 4,
        "slot_minutes": 60,
        "price_per_kwh": [4.0, 3.0, 2.0, 1.0],
        "site_limit_kw": 100.0,
        "background_kw": 0.0,
        "vehicles": vehicles,
        "currency": "INR",
    }
    values.update(changes)
    return Problem(**values)


def bus(name: str, energy_kwh: float, **changes: Any) -> Vehicle:
    values: dict[str, Any] = {"id": name, "arrival_slot": 0, "departure_slot": 4, "energy_kwh": energy_kwh, "p_max_kw": 50.0}
    values.update(changes)
    return Vehicle(**values)


def limit(found: Explanation, kind: LimitKind, name: str = "") -> LimitPrice:
    return next(one for one in found.limits if one.kind is kind and one.id == name)


def near(values: Any) -> Any:
    """Equal but for the tie-break, which is a thousandth of the price an hour."""
    return pytest.approx(values, abs=0.02)


def test_the_site_limit_is_worth_the_step_to_the_next_dearer_hour() -> None:
    found = explain(depot(bus("a", 40.0), bus("b", 25.0), site_limit_kw=30.0))
    site = limit(found, LimitKind.SITE)
    assert found.power_kw.sum(axis=0) == pytest.approx([0, 5, 30, 30])
    assert site.saved == near([0, 0, 1, 2])
    assert site.served_kwh == pytest.approx([0, 0, 0, 0])
    assert found.vehicles.target_bill == near([3, 3])
    assert found.vehicles.target_short_kwh == pytest.approx([0, 0])
    assert [(value.kind, value.saved_bill) for value in found.values] == [("site", near(3))]


def test_efficiency_counts_in_what_a_target_costs() -> None:
    found = explain(depot(bus("a", 9.0, eff=0.9)))
    assert found.vehicles.target_bill == near([1 / 0.9])


def test_a_feeder_has_its_own_price() -> None:
    found = explain(depot(bus("a", 30.0, feeder=0), bus("b", 30.0, feeder=1), feeders=(Feeder("A", 20.0), Feeder("B", 80.0))))
    assert limit(found, LimitKind.FEEDER, "A").saved == near([0, 0, 0, 1])
    assert [one.id for one in found.limits] == ["", "A"]
    assert found.vehicles.target_bill == near([2, 1])
    assert not limit(found, LimitKind.SITE).binds


def test_a_cabinet_on_a_feeder_and_the_feeder_have_prices_of_their_own() -> None:
    feeders = (Feeder("A", 40.0), Feeder("hub", 20.0, parent=0))
    problem = depot(bus("a", 30.0, feeder=1), bus("b", 30.0, feeder=0), feeders=feeders)
    found = explain(problem)
    assert limit(found, LimitKind.FEEDER, "A").saved == near([0, 0, 0, 1])
    assert [one.id for one in found.limits] == ["", "A"]  # the hub has room where A has none
    names = [(part.name, part.where) for part in explain_cell(problem, found, vehicle=0, slot=3).parts]
    assert ("feeder", "A") in names


def test_a_cap_is_named_with_its_source_and_can_be_raised() -> None:
    cap = Cap("phase L1", {0: 1.0, 1: 0.5}, np.full(4, 10.0), source="fuse")
    problem = depot(bus("a", 60.0), bus("b", 0.0), caps=(cap,), limit_sources=(NamedLimit("contract", np.full(4, 100.0)),))
    found = explain(problem, depth=DEEP)
    assert limit(found, LimitKind.CAP, "phase L1").served_kwh == pytest.approx([1, 1, 1, 1])
    assert set(found.limits[0].source) == {"contract"}
    (reason,) = found.shortfalls
    assert (reason.cause, reason.where, reason.source) == (Cause.CAP, "phase L1", "fuse")
    (remedy,) = reason.remedies
    assert (remedy.where, remedy.amount) == (("phase L1",), pytest.approx(5, abs=1))
    assert "5 kW more on phase L1 from 00:00 would do." in short_words(problem, reason)


def test_a_peak_costs_its_rate_once_over_all_slots_that_make_it() -> None:
    found = explain(depot(bus("a", 40.0), price_per_kwh=1.0, demand_charge_per_kw=8.0))
    assert found.peak_kw == pytest.approx(10, abs=0.1)
    assert found.peak_per_kw.sum() == near(8)
    (peak,) = found.peaks
    assert (peak.name, peak.saved_per_kw, peak.per_kw) == ("demand charge", near(8), 8.0)
    assert found.vehicles.target_bill == near([1 + 8 / 4])
    assert [(value.kind, value.saved_bill) for value in found.values if value.kind == "contract"] == [("contract", near(8))]


def test_a_peak_that_is_free_costs_nothing() -> None:
    found = explain(depot(bus("a", 10.0), demand_charge_per_kw=8.0, mtd_peak_kw=60.0))
    assert found.peak_per_kw == pytest.approx([0] * 4)
    assert found.peaks[0].saved_per_kw == 0


def test_pieces_of_a_demand_charge_are_told_one_by_one() -> None:
    pieces = (DemandPiece("md", 2.0, 5.0, np.ones(4)), DemandPiece("md-excess", 6.0, 1000.0, np.ones(4)))
    found = explain(depot(bus("a", 40.0), price_per_kwh=1.0, demand_pieces=pieces))
    assert [(peak.name, peak.saved_per_kw) for peak in found.peaks] == [("md", near(2)), ("md-excess", 0)]


def test_scarce_energy_is_told_in_kwh_and_never_as_money() -> None:
    found = explain(depot(bus("a", 100.0), site_limit_kw=20.0))
    site = limit(found, LimitKind.SITE)
    assert found.unmet_kwh == pytest.approx([20])
    assert site.served_kwh == pytest.approx([1, 1, 1, 1])
    assert site.saved_bill == pytest.approx([-4, -3, -2, -1])
    assert (site.penalty > 0).all()
    assert found.vehicles.target_short_kwh == pytest.approx([1])
    assert found.vehicles.target_bill == pytest.approx([0])


def test_own_sun_makes_energy_cheaper() -> None:
    found = explain(depot(bus("a", 15.0), background_kw=[0, -50, 0, 0], price_per_kwh=5.0))
    assert found.energy_price_per_kwh == near([5, 0, 5, 5])
    assert found.vehicles.target_bill == near([0])


def test_a_departure_costs_nothing_where_the_last_slot_is_not_used() -> None:
    found = explain(depot(bus("a", 20.0), bus("b", 20.0, departure_slot=3), price_per_kwh=[1.0, 2.0, 3.0, 4.0]), depth=QUICK)
    assert found.vehicles.earlier_bill == pytest.approx([0, 0])
    assert found.vehicles.earlier_grounds == (Grounds.EXACT, Grounds.EXACT)


def test_a_departure_is_solved_for_where_the_last_slot_is_used() -> None:
    problem = depot(bus("a", 20.0), bus("b", 20.0, departure_slot=3))
    found = explain(problem, depth=DEEP)
    assert found.vehicles.earlier_bill == near([20, 20])
    assert found.vehicles.earlier_grounds == (Grounds.SOLVED, Grounds.SOLVED)
    for vehicle, cost in zip(problem.vehicles, found.vehicles.earlier_bill, strict=True):
        earlier = changed(problem, [Change(ChangeKind.DEPART, -60.0, target=vehicle.id)])
        assert plan(earlier).cost - plan(problem).cost == near(cost)


def test_duals_bound_what_a_departure_costs() -> None:
    problem = depot(bus("a", 70.0))
    quick, deep = explain(problem, depth=QUICK).vehicles, explain(problem, depth=DEEP).vehicles
    assert quick.earlier_grounds == (Grounds.AT_LEAST,)
    assert 0 < quick.earlier_bill[0] <= deep.earlier_bill[0] + 0.02
    assert deep.earlier_bill == near([(50 * 2 + 20 * 3) - (50 * 1 + 20 * 2)])


def test_an_early_departure_can_leave_somebody_short() -> None:
    found = explain(depot(bus("a", 50.0, arrival_slot=3)), depth=DEEP)
    assert found.vehicles.earlier_short_kwh == pytest.approx([50])


def test_a_kw_more_is_solved_for() -> None:
    problem = depot(bus("a", 40.0), bus("b", 25.0), site_limit_kw=30.0)
    found = explain(problem, depth=DEEP)
    (value,) = found.values
    assert value.saved_next == near(3)
    assert value.month(21) == near(63) or value.month(21) == pytest.approx(63, abs=0.5)
    assert plan(problem).cost - plan(changed(problem, [Change(ChangeKind.LIMIT, 1.0)])).cost == pytest.approx(value.saved_next)


def test_short_by_its_own_charger() -> None:
    found = explain(depot(bus("a", 60.0, p_max_kw=10.0, departure_slot=3)), depth=DEEP)
    (reason,) = found.shortfalls
    assert (reason.cause, reason.short_kwh, reason.own_kwh) == (Cause.OWN, pytest.approx(30), pytest.approx(30))
    remedies = {one.kind: one.amount for one in reason.remedies}
    assert remedies == {RemedyKind.CHARGER: pytest.approx(10, abs=0.11)}  # an hour later is not enough


def test_short_by_a_feeder_with_the_least_that_helps() -> None:
    stay = {"departure_slot": 2, "feeder": 0}
    problem = depot(bus("a", 30.0, **stay), bus("b", 30.0, **stay, urgency=0.5), feeders=(Feeder("B", 24.0),))
    found = explain(problem, depth=DEEP)
    (reason,) = found.shortfalls
    assert (reason.id, reason.cause, reason.where, reason.short_kwh) == ("a", Cause.FEEDER, "B", pytest.approx(12))
    remedies = {one.kind: one for one in reason.remedies}
    assert remedies[RemedyKind.LIMIT].amount == pytest.approx(6, abs=1)
    assert remedies[RemedyKind.LATER].amount == pytest.approx(30, abs=1)
    assert reason.remedies[0].bill == min(one.bill for one in reason.remedies)
    words = short_words(problem, reason)
    assert words.startswith("a leaves with 18.0 kWh instead of 30.0 kWh: feeder B; ")
    assert "minutes later" in words
    assert "kW more on feeder B from 00:00" in words


def test_states_of_charge_are_told_where_the_battery_is_known() -> None:
    curve = ChargeCurve(np.array([0.0, 1.0]), np.array([50.0, 50.0]), capacity_kwh=100.0, stored_kwh=20.0)
    problem = depot(bus("bus-17", 60.0, departure_slot=2, feeder=0, curve=curve), feeders=(Feeder("B", 20.0),))
    (reason,) = explain(problem, depth=DEEP).shortfalls
    words = short_words(problem, reason)
    assert words.startswith("bus-17 leaves with 60 % instead of 80 %: feeder B; ")


def test_a_remedy_may_need_two_limits_at_once() -> None:
    stay = {"departure_slot": 2, "feeder": 0}
    problem = depot(bus("a", 60.0, **stay), feeders=(Feeder("B", 20.0),), site_limit_kw=20.0)
    found = explain(problem, depth=DEEP)
    wheres = {one.where for one in found.shortfalls[0].remedies if one.kind is RemedyKind.LIMIT}
    assert not wheres & {("",), ("B",)}  # neither alone
    assert wheres == {("", "B")}


def test_who_goes_first_is_told_and_what_a_higher_class_would_take_from_others() -> None:
    found = explain(depot(bus("a", 40.0), bus("b", 80.0, priority=2), site_limit_kw=25.0), depth=DEEP)
    (reason,) = found.shortfalls
    assert (reason.id, reason.ahead, reason.cause) == ("a", 1, Cause.SITE)
    assert found.site_kw_for_all == pytest.approx(30, abs=0.1)
    priority = next(one for one in reason.remedies if one.kind is RemedyKind.PRIORITY)
    assert priority.others_short_kwh == pytest.approx(20, abs=0.1)
    assert reason.remedies[-1] is priority


def test_limits_that_cannot_be_kept_are_told_with_their_cause() -> None:
    problem = depot(bus("a", 10.0), background_kw=[120.0, 130.0, 0.0, 0.0])
    (one,) = explain(problem).relaxed
    assert (one.kind, one.from_slot, one.until_slot, one.over_kw) == (LimitKind.SITE, 0, 2, pytest.approx(30))
    assert relaxed_words(problem, one).startswith("From 00:00 to 02:00 the site is up to 30.0 kW above its limit: what the site draws")
    held = limit(explain(problem), LimitKind.SITE).held
    assert held is not None
    assert list(held) == [1, 1, 0, 0]


def test_a_cell_says_what_it_costs_and_compares() -> None:
    problem = depot(bus("a", 40.0), bus("b", 25.0), site_limit_kw=30.0)
    found = explain(problem)
    for i in range(2):
        for k in range(4):
            reason = explain_cell(problem, found, vehicle=i, slot=k)
            assert sum(part.per_kwh for part in reason.parts) == pytest.approx(reason.per_kwh, abs=1e-4)
            if reason.power_kw > 1e-4:
                assert reason.reduced_per_kwh <= 1e-6
            if reason.power_kw < reason.most_kw - 1e-4:
                assert reason.reduced_per_kwh >= -1e-6
    waits = explain_cell(problem, found, vehicle=0, slot=0)
    assert waits.words.startswith("a draws nothing at 00:00: a kWh costs 4.00 INR there, 1.00 more than at ")


def test_milestones_have_their_price_and_are_told_when_missed() -> None:
    soon = Milestone(by_slot=1, at_least_kwh=30.0, need=Need.SAFETY, label="20 %")
    problem = depot(bus("a", 40.0, milestones=(soon,)), site_limit_kw=20.0)
    found = explain(problem)
    assert found.shortfalls == ()
    (missed,) = found.milestones
    assert milestone_words(problem, missed) == "a lacks 10.0 kWh by 01:00 (safety: 20 %)."
    first = explain_cell(problem, found, vehicle=0, slot=0)
    assert first.power_kw == pytest.approx(20)
    assert first.reduced_per_kwh <= 1e-6
    met = explain(depot(bus("a", 40.0, milestones=(Milestone(1, 10.0),))))
    assert {cell.slot for cell in met.cells} == {0}
    assert explain_cell(depot(bus("a", 40.0, milestones=(Milestone(1, 10.0),))), met, vehicle=0, slot=0).reduced_per_kwh == near(0)


def test_between_two_visits_a_vehicle_is_away() -> None:
    problem = depot(bus("a", 60.0, departure_slot=1, windows=((3, 4),)))
    found = explain(problem)
    assert explain_cell(problem, found, vehicle=0, slot=2).words == "a is not there at 02:00: it arrives at 03:00."
    assert found.unmet_kwh == pytest.approx([0])


def test_a_battery_that_tapers_and_a_session_that_cannot_pause_are_explained_as_planned() -> None:
    curve = ChargeCurve(np.array([0.0, 0.5, 1.0]), np.array([50.0, 50.0, 5.0]), capacity_kwh=100.0, stored_kwh=50.0)
    problem = depot(bus("a", 45.0, curve=curve), bus("b", 30.0, pausable=False, p_min_kw=10.0, p_max_kw=20.0), site_limit_kw=60.0)
    found, planned = explain(problem, depth=DEEP), plan(problem)
    assert found.cost == pytest.approx(planned.cost, rel=1e-3)
    assert found.power_kw.sum(axis=1) == pytest.approx(planned.power_kw.sum(axis=1), abs=1e-3)
    assert found.most_kw is not None
    assert (found.power_kw <= found.most_kw + 1e-6).all()
    taken = [explain_cell(problem, found, vehicle=0, slot=k) for k in range(4)]
    assert any("draws all that its battery takes" in reason.words for reason in taken)
    for i in range(2):
        for k in range(4):
            reason = explain_cell(problem, found, vehicle=i, slot=k)
            if reason.power_kw > reason.least_kw + 1e-4:
                assert reason.reduced_per_kwh <= 1e-5
            if reason.power_kw < reason.most_kw - 1e-4:
                assert reason.reduced_per_kwh >= -1e-5


def test_words_for_what_cannot_be() -> None:
    problem = depot(bus("a", 20.0, arrival_slot=1, departure_slot=3), bus("b", 0.0), bus("c", 4.0, floor_kw=2.0))
    found = explain(problem)

    def words(vehicle: int, slot: int) -> str:
        return explain_cell(problem, found, vehicle=vehicle, slot=slot).words

    assert words(0, 0) == "a is not there at 00:00: it arrives at 01:00."
    assert words(0, 3) == "a is not there at 03:00: it has left."
    assert words(1, 0) == "b needs nothing."
    assert "cannot pause" in words(2, 0)
    with pytest.raises(InvalidProblem, match="there are 3 vehicles and 4 slots"):
        explain_cell(problem, found, vehicle=3, slot=0)
    with pytest.raises(InvalidProblem, match="of another problem"):
        explain_cell(depot(bus("a", 20.0)), found, vehicle=0, slot=0)


def test_readiness_keeps_the_bill_apart_from_what_it_weighs() -> None:
    found = explain(depot(bus("a", 40.0), bus("b", 25.0), site_limit_kw=30.0), policy=Policy.READINESS)
    site = limit(found, LimitKind.SITE)
    assert found.power_kw.sum(axis=0) == pytest.approx([30, 30, 5, 0])
    assert site.saved_bill == near([-2, -1, 0, 0])  # a kW more there comes earlier, from a cheaper hour
    assert (site.saved_life[:2] > 0).all()


@pytest.mark.parametrize("policy", list(Policy))
def test_an_explanation_survives_the_pipe(policy: Policy) -> None:
    problem = depot(bus("a", 400.0), bus("b", 20.0), demand_charge_per_kw=3.0, feeders=())
    found = explain(problem, policy=policy, depth=DEEP)
    body = msgspec.json.encode(found, enc_hook=np.ndarray.tolist)
    again = msgspec.json.Decoder(Explanation, dec_hook=lambda _, value: np.array(value, dtype=np.float64)).decode(body)
    assert again.shortfalls == found.shortfalls
    assert again.limits[0].saved == pytest.approx(found.limits[0].saved)
    cell = explain_cell(problem, again, vehicle=1, slot=3)
    assert cell == explain_cell(problem, found, vehicle=1, slot=3)


def test_nothing_to_plan_is_explained_too() -> None:
    assert explain(depot()).values == ()
    found = explain(depot(bus("a", 5.0, departure_slot=0)), depth=DEEP)
    assert found.shortfalls[0].cause is Cause.OWN


def test_with_lenders_and_batteries_the_prices_still_add_up() -> None:
    lender = bus("v", 10.0, discharge_kw=20.0, stored_kwh=40.0, capacity_kwh=80.0, wear_per_kwh=0.1)
    battery = Storage("s", charge_kw=10.0, discharge_kw=10.0, stored_kwh=5.0, capacity_kwh=20.0)
    problem = depot(bus("a", 30.0), lender, background_kw=60.0, storages=(battery,), price_per_kwh=[9.0, 1.0, 9.0, 1.0])
    found = explain(problem)
    assert (found.power_kw[1] < 0).any()
    reason = explain_cell(problem, found, vehicle=1, slot=0)
    assert "gives" in reason.words
    drawn = explain_cell(problem, found, vehicle=0, slot=1)
    assert drawn.reduced_per_kwh <= 1e-6
