"""A vehicle that comes again: its stays are one vehicle's in the plan, the limiter follows, the next stay is told what it comes with."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from small_yard import NOW, ONE, THREE, TWO, FlatTariff, SmallYard

from controller.plan_picture import means_of
from controller.plan_words import Names
from controller.planning import Newest, read_answer
from controller.planning_problem import Asked, build
from controller.planning_settings import PlanningSettings
from controller.planning_visits import carried
from controller.rows import Rows
from controller.traffic import LoopSettings, Traffic
from depot import events as ev
from depot.values import ConnectorId, Plan
from optimizer import PlanResult, Problem, plan

SETTINGS = PlanningSettings(ready_margin_min=0, demand_share=0.0)
HERE, AGAIN = "visit E-1", "visit E-1 again"


def morning(key: ConnectorId = TWO, *, kwh: float = 30, soc: float | None = 0.5, hours: float = 5, priority: int = 0) -> ev.VisitAnnounced:
    """The same bus from 07:00 local time on, at day prices: it leaves at 02:00 with 60 kWh of 100 and drives 10 of them."""
    begins = NOW + timedelta(hours=9)
    return ev.VisitAnnounced(
        AGAIN, "E-1", begins, begins + timedelta(hours=hours), round(kwh * 1000), 60_000, connector=key, efficiency=1.0,
        battery_wh=100_000, soc_arrival=soc, priority=priority,
    )  # fmt: skip


def yard_with(later: ev.VisitAnnounced, *, kwh: float = 40) -> SmallYard:
    """A bus that arrived with 20 kWh of 100, is here until 02:00, needs ``kwh``, and comes again."""
    small = SmallYard()
    small.arrive(ONE, "E-1", kwh=kwh, hours=4)
    small.put(later)
    return small


def asked_of(small: SmallYard) -> Asked:
    found = build(small.yard, SETTINGS, FlatTariff(), small.loop.limits_in_force(), now=small.clock.at, peak_w=0)
    assert found is not None
    return found


def planned(small: SmallYard, **changes: object) -> tuple[Asked, PlanResult, Plan]:
    asked = asked_of(small)
    if changes:
        asked = replace(asked, problem=replace(asked.problem, limit_sources=(), **changes))  # type: ignore[arg-type]
    result = plan(asked.problem)
    return asked, result, read_answer(asked, result, now=small.clock.at, settings=SETTINGS)


def kwh_of(made: Plan, visit_id: str) -> float:
    return sum(made.power_w[visit_id]) / 4000.0


def test_what_the_morning_lacks_is_bought_at_night_as_far_as_the_battery_holds_it() -> None:
    small = yard_with(morning(kwh=30))
    asked, result, made = planned(small)
    assert asked.visit_ids == (HERE,)
    assert [(stay.visit_id, stay.row, stay.number) for stay in asked.later] == [(AGAIN, 0, 1)]
    assert kwh_of(made, HERE) == pytest.approx(70, abs=0.1)  # 40 of its own and 30 of the morning, of the 40 that the battery could hold
    assert kwh_of(made, AGAIN) == pytest.approx(0, abs=0.1)
    assert made.ahead_wh[HERE] == pytest.approx(30_000, abs=50)
    assert not made.unmet_wh
    assert result.energy_cost == pytest.approx(70 * 6.0, rel=1e-3)


def test_a_battery_that_is_full_buys_the_rest_in_the_morning() -> None:
    _, _, made = planned(yard_with(morning(kwh=30), kwh=70))
    assert kwh_of(made, HERE) == pytest.approx(80, abs=0.5)
    assert kwh_of(made, AGAIN) == pytest.approx(20, abs=0.5)
    assert all(watts == 0 for watts in made.power_w[HERE][16:])
    assert all(watts == 0 for watts in made.power_w[AGAIN][:36])


def test_what_does_not_fit_at_night_is_got_in_the_morning() -> None:
    small = yard_with(morning(kwh=30))
    slots = asked_of(small).problem.n_slots
    limit = np.where(np.arange(slots) < 16, 5.0, 200.0)  # 20 kWh until it leaves
    _, result, made = planned(small, site_limit_kw=limit, background_kw=np.zeros(slots))
    assert kwh_of(made, HERE) == pytest.approx(20, abs=0.1)
    assert kwh_of(made, AGAIN) == pytest.approx(50, abs=0.1)
    assert made.unmet_wh == {HERE: pytest.approx(20_000, abs=50)}
    assert float(result.unmet_kwh.sum()) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize(
    "later",
    [morning(THREE), morning(soc=None), morning(priority=2), replace(morning(), efficiency=0.9)],
    ids=["feeder", "soc", "priority", "eff"],
)
def test_a_stay_of_which_too_little_is_known_or_that_is_not_alike_is_planned_by_itself(later: ev.VisitAnnounced) -> None:
    asked, _, made = planned(yard_with(later))
    assert (asked.visit_ids, asked.later) == ((HERE, AGAIN), ())
    assert not made.ahead_wh
    assert kwh_of(made, HERE) == pytest.approx(40, abs=0.1)


def test_three_stays_are_three_visits_and_overlapping_ones_are_not() -> None:
    small = yard_with(morning())
    third = replace(morning(ONE, kwh=10), visit_id="third", arrive_at=NOW + timedelta(hours=15), depart_at=NOW + timedelta(hours=18))
    small.put(third, replace(third, visit_id="overlaps", arrive_at=NOW + timedelta(hours=16)))
    asked = asked_of(small)
    assert asked.visit_ids == (HERE, "overlaps")
    assert [(stay.visit_id, stay.number) for stay in asked.later] == [(AGAIN, 1), ("third", 2)]
    assert len(asked.problem.vehicles[0].windows) == 2


def test_the_limiter_charges_on_while_the_plan_buys_ahead() -> None:
    small = yard_with(morning())
    small.session(ONE, power_w=20_000, delivered_wh=42_000)  # all of its own
    asked, _, made = planned(small)
    assert asked.visit_ids == (HERE,)
    assert made.ahead_wh[HERE] == pytest.approx(28_000, abs=50)  # 2 of the 30 are there already
    small.yard.plan = replace(made, power_w={**made.power_w, HERE: (30_000,) * asked.problem.n_slots})
    assert row_of(small) == (60_000, 30_000)
    small.yard.plan = replace(small.yard.plan, ahead_wh={})
    assert row_of(small)[0] == 0


def test_a_session_that_runs_is_not_that_of_who_comes_to_the_charger_later() -> None:
    small = yard_with(morning(ONE))
    small.session(ONE, power_w=20_000, delivered_wh=25_000)
    here, later = small.yard.state.visits[HERE], small.yard.state.visits[AGAIN]
    assert (small.yard.remaining_wh(here), small.yard.remaining_wh(later)) == (15_000, 30_000)
    assert not small.yard.complete(later)


def row_of(small: SmallYard) -> tuple[int, int]:
    """(ceiling, plan's wish) of the first connector."""
    traffic = {key: Traffic() for key in small.yard.spec.connectors}
    rows = Rows(small.yard, LoopSettings(), traffic, reachable=lambda _: True).build(small.clock.at, {})
    return next((row.ceiling_w, row.plan_w) for row in rows if row.key == ONE)


def test_who_has_all_and_comes_again_where_nothing_can_be_bought_for_is_not_planned() -> None:
    small = yard_with(morning(THREE))
    small.session(ONE, power_w=0, delivered_wh=42_000)
    assert asked_of(small).visit_ids == (AGAIN,)


def test_the_page_and_the_words_know_both_stays() -> None:
    small = yard_with(morning(), kwh=70)
    asked, result, made = planned(small)
    means = means_of(made, Newest(made.plan_id, asked, result))
    assert sum(means[HERE]) / 4000 == pytest.approx(80, abs=0.5)
    assert sum(means[AGAIN]) / 4000 == pytest.approx(20, abs=0.5)
    assert Names.of(small.yard, asked).stays[AGAIN] == HERE


# -- when it leaves -----------------------------------------------------------------------------------------------------


def next_stay(small: SmallYard) -> ev.VisitAnnounced | None:
    visit = small.yard.visit_on(ONE)
    assert visit is not None
    return carried(small.yard, visit, small.clock.at)


@pytest.mark.parametrize(("delivered_kwh", "kwh", "soc"), [(60, 10, 0.7), (35, 35, 0.45), (80, 0, 0.9)])
def test_the_next_stay_comes_with_as_much_more_or_less_as_the_vehicle_leaves_with(delivered_kwh: float, kwh: float, soc: float) -> None:
    small = yard_with(morning(kwh=30))
    small.session(ONE, power_w=0, delivered_wh=round(delivered_kwh * 1000))
    following = next_stay(small)
    assert following is not None
    assert following.visit_id == AGAIN
    assert following.battery_energy_wh == kwh * 1000
    assert following.soc_arrival == pytest.approx(soc)


def test_the_batterys_own_word_counts_before_the_meter() -> None:
    small = yard_with(morning(kwh=30))
    small.session(ONE, power_w=0, delivered_wh=35_000)
    small.yard.soc[ONE] = (0.6, small.clock.at)  # as was meant, whatever the meter says
    assert next_stay(small) is None


def test_nothing_is_carried_where_little_is_different_or_it_took_no_more() -> None:
    small = yard_with(morning())
    small.session(ONE, power_w=0, delivered_wh=41_000)
    assert next_stay(small) is None
    small.session(ONE, power_w=0, delivered_wh=30_000)
    assert next_stay(small) is not None
    small.yard.full_since[ONE] = small.clock.at
    assert next_stay(small) is None


def test_a_problem_without_stays_that_follow_is_as_it_was() -> None:
    small = SmallYard()
    small.arrive(ONE, "E-1", kwh=40, hours=4)
    small.arrive(TWO, "E-2", kwh=40, hours=4)
    asked = asked_of(small)
    assert asked.later == ()
    assert isinstance(asked.problem, Problem)
    assert not any(vehicle.windows or vehicle.milestones for vehicle in asked.problem.vehicles)
