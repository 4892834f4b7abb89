"""The room of smart charging: what a vehicle's word and others' limits do to stays, levels, outlooks and screens."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from small_yard import NOW, ONE, SPEC, TWO, FlatTariff, SmallYard, run

from controller.chain import reason_chain
from controller.codec import EventCodec, decode_state, encode_state
from controller.rows import Rows
from controller.smart_charging import differs, level_of, outlook
from controller.smart_charging_room import RENEGOTIATIONS, ExternalLimitsView, NeedsView, SmartCharging
from controller.traffic import LoopSettings, Traffic
from depot import events as ev
from depot.fold import fold
from depot.registry import ConnectorSpec, Current
from depot.smart_charging import STALE_AFTER, ChargingNeeds, ExternalLimit, Step, VehicleSchedule
from depot.state import OWN_STAY
from depot.values import Because, Plan

NEEDS = ChargingNeeds("DC", departure=NOW + timedelta(hours=6), energy_wh=40_000, max_w=50_000, capacity_wh=80_000, soc=0.3, tuples=6)


class Tariff(FlatTariff):
    def steps(self, start: Any, stop: Any) -> Any:
        return [(start, Decimal("6.5")), (start + timedelta(hours=3), Decimal(9))]


def room(small: SmallYard) -> SmartCharging:
    return SmartCharging(small.yard, small.loop, Tariff(), replan=small.replans.append)


def limit(level_w: int | None, *, evse: int = 1, until: timedelta | None = None, **more: Any) -> ExternalLimit:
    steps = () if level_w is None else (Step(NOW - timedelta(minutes=1), level_w),)
    return ExternalLimit(ONE.station_id, evse, "EMS", NOW, steps, None if until is None else NOW + until, **more)


def ceiling(small: SmallYard, key: Any = ONE) -> tuple[int, bool]:
    rows = Rows(small.yard, LoopSettings(), {k: Traffic() for k in SPEC.connectors}, reachable=lambda _: True)
    (row,) = [row for row in rows.build(small.clock.now(), {}) if row.key == key]
    return row.ceiling_w, row.external


# ---------------------------------------------------------------------- needs


def test_where_nobody_announced_a_vehicle_its_own_word_is_its_stay_until_its_transaction_ends() -> None:
    async def main() -> None:
        small = SmallYard()
        small.session(ONE, power_w=20_000, delivered_wh=5_000)
        assert await room(small).needs(ONE, NEEDS, "t-1", session=True) == "Accepted"
        visit = small.yard.visit_on(ONE)
        assert visit is not None
        assert visit.visit_id == f"{OWN_STAY}{ONE}/t-1"
        assert visit.announced.depart_at == NEEDS.departure
        assert small.yard.remaining_wh(visit) == 40_000
        assert small.replans == ["a vehicle said what it needs"]
        assert ceiling(small) == (50_000, False)
        again = replace(NEEDS, energy_wh=20_000)  # it wants less from now on
        assert await room(small).needs(ONE, again, "t-1", session=True) == "Accepted"
        assert small.yard.remaining_wh(small.yard.visit_on(ONE) or visit) == 20_000
        small.put(ev.TransactionStopped(7, ONE, 30_000, "Local"))
        assert small.yard.visit_on(ONE) is None
        assert small.yard.state.smart_charging.vehicles == {}

    run(main())


def test_a_booking_is_completed_and_never_overridden() -> None:
    async def main() -> None:
        small = SmallYard()
        small.arrive(ONE, "BUS1", kwh=20)
        small.session(ONE, power_w=20_000)
        before = small.yard.visit_on(ONE)
        assert before is not None
        small.put(replace(before.announced, battery_wh=0, soc_arrival=None))
        await room(small).needs(ONE, NEEDS, "t-1", session=True)
        after = small.yard.visit_on(ONE)
        assert after is not None
        assert (after.announced.battery_wh, after.announced.soc_arrival) == (80_000, 0.3)
        assert (after.needed_wh, after.announced.depart_at) == (before.needed_wh, before.announced.depart_at)
        view = await room(small).views[NeedsView]({})
        assert isinstance(view, NeedsView)
        (row,) = view.vehicles
        assert "asks for 40.0 kWh, booked are 20.0 kWh" in row.differs
        assert "leave 120 min before" in row.differs
        assert (row.own_stay, row.schedule_ok) == (False, None)

    run(main())


def test_what_a_vehicle_did_not_say_makes_no_stay_and_before_its_session_it_waits() -> None:
    async def main() -> None:
        small = SmallYard()
        small.session(ONE, power_w=20_000)
        for needs in (ChargingNeeds("DC"), replace(NEEDS, departure=None), replace(NEEDS, departure=NOW), replace(NEEDS, energy_wh=0)):
            assert await room(small).needs(ONE, needs, "t-1", session=True) == "Accepted"
            assert small.yard.visit_on(ONE) is None
        assert await room(small).needs(TWO, NEEDS, "t-2", session=False) == "Processing"
        assert small.yard.visit_on(TWO) is None
        assert small.yard.state.smart_charging.needs(TWO) == NEEDS

    run(main())


def test_the_level_follows_an_answer_at_once_and_a_refusal_only_so_often() -> None:
    async def main() -> None:
        small = SmallYard()
        small.session(ONE, power_w=20_000)
        made = room(small)
        said: list[Any] = []
        small.loop.say_again = said.append  # type: ignore[method-assign]
        made.needs_answered(ONE)
        assert said == [ONE]
        for _ in range(RENEGOTIATIONS + 4):
            made.schedule_refused(ONE)
        assert len(said) == 1 + RENEGOTIATIONS
        small.clock.at += timedelta(minutes=11)
        made.schedule_refused(ONE)
        assert len(said) == 2 + RENEGOTIATIONS

    run(main())


def test_a_level_counts_for_all_phases_of_the_connector() -> None:
    three = ConnectorSpec(1, 22_000, 4_140, phases=(1, 2, 3))
    assert level_of(3_680, "AC_single_phase", three) == 11_040
    assert level_of(11_040, "AC_three_phase", three) == 11_040
    assert level_of(3_680, "AC_single_phase", ConnectorSpec(1, 7_400, 1_380, phases=(1,))) == 3_680
    assert level_of(50_000, "DC", ConnectorSpec(1, 60_000, 6_000, Current.DC)) == 50_000


# ---------------------------------------------------------------------- outlooks


def test_an_outlook_is_the_plan_below_the_default_in_as_many_entries_as_the_vehicle_takes() -> None:
    until, row = NOW + timedelta(seconds=180), (40_000, 0, 0, 3_000, 40_000, 2_000, 5_000, 1_000)
    plan = Plan("p", NOW, NOW, 900, {"v": row}, (0,) * len(row), NOW + timedelta(hours=5))

    def made(**more: Any) -> Any:
        fields: dict[str, Any] = {
            "until": until,
            "leaves": None,
            "default_w": 6_000,
            "visit_id": "v",
            "plan": plan,
            "prices": (),
            "currency": "INR",
        }
        return outlook(NEEDS, **(fields | more))

    found = made(leaves=NOW + timedelta(hours=1))
    assert [(round((at - NOW).total_seconds()), w) for at, w in found.steps] == [(180, 6_000), (900, 0), (2_700, 3_000)]
    assert found.ends == NOW + timedelta(hours=1)
    assert [w for _, w in made().steps] == [6_000, 0, 3_000, 6_000, 5_000]  # joined: six entries with the live level's
    assert made(plan=None).steps == ((until, 6_000),)
    assert made(default_w=None) is None
    assert all(w <= 6_000 for _, w in made(default_w=6_000).steps)


def test_only_a_vehicle_that_said_what_it_needs_gets_an_outlook() -> None:
    async def main() -> None:
        small = SmallYard()
        small.session(ONE, power_w=20_000)
        made = room(small)
        until = NOW + timedelta(seconds=180)
        assert made.outlook(ONE, until) is None
        await made.needs(ONE, NEEDS, "t-1", session=True)
        found = made.outlook(ONE, until)
        assert found is not None
        assert found.steps == ((until, 6_000),)
        assert [price for _, price in found.prices] == [Decimal("6.5"), Decimal(9)]
        small.yard.grants[ONE].default_w = None
        assert made.outlook(ONE, until) is None

    run(main())


# ---------------------------------------------------------------------- external limits


def test_an_external_limit_lowers_the_ceiling_says_why_and_is_never_loosened_by_another() -> None:
    async def main() -> None:
        small = SmallYard()
        small.session(ONE, power_w=20_000)
        made = room(small)
        assert ceiling(small) == (60_000, False)
        await made.limited(limit(22_000))
        assert ceiling(small) == (22_000, True)
        await made.limited(replace(limit(40_000), source="SO"))
        await made.limited(replace(limit(None), source="Other"))
        await made.limited(replace(limit(9_000), source="PV", generation=True))
        assert ceiling(small) == (22_000, True)
        small.decided({ONE: Because.EXTERNAL}, {ONE: 22_000})
        (step,) = [r for r in reason_chain(small.yard, ONE, NOW) if r.binding]
        assert (step.title, step.level_w) == ("External limit", 22_000)
        assert "EMS limits this EVSE to 22.0 kW" in step.detail
        await made.released(ONE.station_id, 1, "EMS")
        assert ceiling(small) == (40_000, True)
        await made.released(ONE.station_id, None, "SO")
        assert ceiling(small) == (60_000, False)
        facts = len(small.journal.facts)
        await made.released(ONE.station_id, None, "SO")
        assert len(small.journal.facts) == facts

    run(main())


def test_below_the_minimum_the_minimum_is_kept_and_zero_means_zero() -> None:
    small = SmallYard()
    small.session(ONE, power_w=20_000)
    small.put(ev.ExternalLimitTold(limit(2_000)))
    assert ceiling(small) == (6_000, True)
    small.put(ev.ExternalLimitTold(limit(0)))
    assert ceiling(small) == (0, True)


def test_a_limit_is_over_at_its_end_after_a_day_without_one_and_when_the_station_booted() -> None:
    small = SmallYard()
    small.session(ONE, power_w=20_000)
    small.put(ev.ExternalLimitTold(limit(22_000, until=timedelta(minutes=5))))
    assert small.yard.external_w(ONE, NOW + timedelta(minutes=4)) == 22_000
    assert small.yard.external_w(ONE, NOW + timedelta(minutes=5)) is None
    small.put(ev.ExternalLimitTold(limit(22_000)))
    assert small.yard.external_w(ONE, NOW + STALE_AFTER - timedelta(seconds=1)) == 22_000
    assert small.yard.external_w(ONE, NOW + STALE_AFTER) is None
    small.put(ev.StationBooted(ONE.station_id))
    assert small.yard.external_w(ONE, NOW) is None
    view: Any = None

    async def main() -> None:
        nonlocal view
        view = await room(small).views[ExternalLimitsView]({"station_id": ONE.station_id})

    run(main())
    assert [(row.counts, row.note) for row in view.limits] == [(False, "the station has booted since, and did not say it again")]


# ---------------------------------------------------------------------- facts


def test_words_and_limits_come_back_from_the_journal_and_from_a_snapshot() -> None:
    codec = EventCodec()
    small = SmallYard()
    schedule = VehicleSchedule((Step(NOW, 11_000), Step(NOW + timedelta(hours=1), None)), NOW + timedelta(hours=2), 3)
    facts: list[ev.Event] = [
        ev.ChargingNeedsTold(ONE, NEEDS, "t-1"),
        ev.VehicleScheduleTold(ONE, schedule, "too much", "t-1"),
        ev.ExternalLimitTold(limit(22_000, critical=True)),
        ev.ExternalLimitReleased(ONE.station_id, None, "SO"),
    ]
    for fact in facts:
        assert codec.decode(fact.TYPE, fact.VERSION, codec.encode(fact)) == fact
    small.put(*facts)
    assert decode_state(encode_state(small.yard.state)) == small.yard.state
    word = small.yard.state.smart_charging.word(ONE)
    assert word is not None
    assert (word.needs, word.schedule, word.exceeds) == (NEEDS, schedule, "too much")
    other = fold(small.yard.state, [])
    assert other.smart_charging.limits.keys() == {"CP-1/1/EMS"}


def test_a_word_that_asks_for_less_differs_in_nothing() -> None:
    small = SmallYard()
    small.arrive(ONE, "BUS1", kwh=60)
    visit = small.yard.visit_on(ONE)
    assert visit is not None
    assert differs(visit, replace(NEEDS, departure=None), remaining_wh=60_000) == ""
