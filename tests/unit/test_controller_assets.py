"""Batteries and the sun in the controller: what is decided, what is forecast, what a plan is told, what a person orders."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from small_yard import NOW, ONE, FlatTariff, SmallYard, run

from controller import planning
from controller.asset_outlook import life_of, storage_of
from controller.assets_room import AssetsRoom, reversion_s
from controller.assets_view import AssetsView
from controller.curtailment import curtailed_share
from controller.planning_problem import build
from controller.planning_settings import PlanningSettings
from controller.pv_forecast import PvHistory, forecast_kw
from controller.storage_control import Situation, Why, wish, worth_sending
from depot import commands as cmd
from depot.assets import AssetMode, AssetState, PackLife, PvReading, PvSpec, StorageReading, StorageSpec
from depot.readings import SiteReading
from depot.values import Outcome
from optimizer import plan as solve

SPEC = StorageSpec(asset_id="b", capacity_wh=100_000, charge_w=50_000, discharge_w=50_000, controlled=True)
USUAL = Situation(
    spec=SPEC, mode=AssetMode.AUTO, ready=True, blind=False, soc=0.5, charge_w=50_000, discharge_w=50_000, told_w=0, measured_w=0,
    site_w=80_000, plan_w=None, fits_w=100_000, short_w=0, used_w=0, export_w=0,
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "level_w", "why"),
    [
        ({}, 0, Why.IDLE),
        ({"plan_w": 30_000}, 30_000, Why.PLAN),
        ({"plan_w": -30_000}, -30_000, Why.PLAN),
        ({"plan_w": -30_000, "mode": AssetMode.STANDBY}, 0, Why.STANDBY),
        ({"plan_w": -30_000, "ready": False}, 0, Why.NOT_READY),
        ({"plan_w": -30_000, "soc": None}, 0, Why.NOT_READY),
        ({"plan_w": -30_000, "blind": True}, 0, Why.BLIND),
        ({"plan_w": -30_000, "site_w": None}, 0, Why.BLIND),
        ({"plan_w": 30_000, "fits_w": 12_000}, 12_000, Why.LIMIT),
        ({"plan_w": 30_000, "fits_w": -5_000}, 0, Why.LIMIT),
        ({"plan_w": 30_000, "soc": 0.945}, 0, Why.FULL),
        ({"plan_w": 30_000, "soc": 0.945, "told_w": 10_000}, 30_000, Why.PLAN),
        ({"plan_w": -30_000, "soc": 0.105}, 0, Why.EMPTY),
        ({"plan_w": -30_000, "soc": 0.105, "told_w": -5_000}, -30_000, Why.PLAN),
        ({"plan_w": 30_000, "short_w": 10_000}, -10_000, Why.VEHICLES),
        ({"plan_w": -30_000, "short_w": 10_000, "used_w": 25_000}, -35_000, Why.VEHICLES),
        ({"short_w": 90_000}, -50_000, Why.VEHICLES),
        ({"plan_w": -50_000, "site_w": 20_000}, -19_000, Why.EXPORT),
        ({"plan_w": -50_000, "site_w": 20_000, "export_w": 20_000}, -38_000, Why.EXPORT),
        ({"plan_w": -50_000, "site_w": -10_000, "measured_w": -50_000}, -38_000, Why.EXPORT),
        ({"plan_w": 30_000, "frozen": True}, 0, Why.LIMIT),
        ({"plan_w": 30_000, "frozen": True, "told_w": 20_000}, 20_000, Why.LIMIT),
        ({"spec": replace(SPEC, shave_above_w=70_000)}, -10_000, Why.SHAVING),
        ({"spec": replace(SPEC, shave_above_w=70_000), "measured_w": -10_000, "site_w": 70_000}, -10_000, Why.SHAVING),
        ({"spec": replace(SPEC, shave_above_w=100_000), "plan_w": 40_000}, 20_000, Why.SHAVING),
    ],
)
def test_what_a_battery_shall_do(changes: dict[str, object], level_w: int, why: Why) -> None:
    assert wish(replace(USUAL, **changes)) == (level_w, why)  # type: ignore[arg-type]


def test_small_changes_are_not_sent_unless_they_end_something() -> None:
    told = replace(USUAL, told_w=20_000)
    assert not worth_sending(told, 20_500, urgent=False)
    assert worth_sending(told, 20_500, urgent=True)
    assert worth_sending(told, 22_000, urgent=False)
    assert worth_sending(replace(USUAL, told_w=500), 0, urgent=False)
    assert not worth_sending(told, 20_000, urgent=True)


def test_the_sun_is_curtailed_only_where_too_much_flows_out() -> None:
    usual = {"gives_w": 80_000, "rated_w": 100_000, "export_w": 10_000, "share": 1.0}
    assert curtailed_share(**usual, site_w=-5_000) == 1.0  # type: ignore[arg-type]
    assert curtailed_share(**usual, site_w=-30_000) == pytest.approx(0.596)  # type: ignore[arg-type]
    held = usual | {"gives_w": 60_000, "share": 0.6}
    assert curtailed_share(**held, site_w=-10_000) == 0.6  # type: ignore[arg-type]
    assert 0.6 < curtailed_share(**held, site_w=20_000) < 1.0  # type: ignore[arg-type]


# -- the sun -----------------------------------------------------------------------------------------------------------


def quarters(gives_w: dict[int, float], *, days: int) -> dict[int, float]:
    """By quarter of the day (UTC), on so many days before NOW's."""
    midnight = int(NOW.timestamp() // 86_400) * 96
    return {midnight - 96 * day + quarter: watts for day in range(1, days + 1) for quarter, watts in gives_w.items()}


def test_unknown_sun_is_no_sun() -> None:
    found = forecast_kw({}, NOW, 8, 900, now=NOW, now_w=None)
    assert not found.any()
    fades = forecast_kw({}, NOW, 8, 900, now=NOW, now_w=40_000)
    assert fades[0] == pytest.approx(40.0)
    assert (np.diff(fades[:5]) < 0).all()
    assert not fades[4:].any()


def test_tomorrow_is_as_yesterday_less_what_nobody_knows() -> None:
    noon = 48
    history = quarters({noon: 80_000.0}, days=2)
    tomorrow = NOW.replace(hour=12, minute=0) + timedelta(days=1)
    assert forecast_kw(history, tomorrow, 1, 900, now=NOW, now_w=0.0)[0] == pytest.approx(60.0)


def test_a_dull_day_is_taken_to_stay_dull() -> None:
    now = NOW.replace(hour=12, minute=0)
    history = quarters(dict.fromkeys(range(36, 64), 80_000.0), days=1)
    here = int(now.timestamp() // 900)
    history |= {here - n: 20_000.0 for n in range(1, 9)}
    later = now + timedelta(hours=2)
    assert forecast_kw(history, later, 1, 900, now=now, now_w=20_000)[0] == pytest.approx(80 * 0.25 * 0.75)


def test_what_was_measured_survives_a_restart_and_a_broken_file_begins_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "pv.json"
    history = PvHistory(path)
    for n in range(3):
        history.note(NOW + timedelta(minutes=5 * n), 30_000)
    history.note(NOW + timedelta(minutes=16), 10_000)
    again = PvHistory(path)
    again.load()
    begins = NOW + timedelta(days=1)
    found = again.forecast_kw(begins, 1, 900, now=NOW + timedelta(hours=3), now_w=None)
    assert found[0] == pytest.approx(30 * 0.75)
    path.write_text("{")
    broken = PvHistory(path)
    broken.load()
    assert "begins anew" in caplog.text
    assert not broken.forecast_kw(begins, 1, 900, now=NOW, now_w=None).any()


# -- the room ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Rim:
    spec: StorageSpec
    reading: StorageReading | None = None
    trouble: str = ""
    outcome: Outcome = Outcome.ACCEPTED
    orders: list[tuple[int, int]] = field(default_factory=list)

    async def order(self, power_w: int, *, reversion_s: int) -> Outcome:
        self.orders.append((power_w, reversion_s))
        return self.outcome


@dataclass(slots=True)
class Sun:
    spec: PvSpec
    reading: PvReading | None = None
    trouble: str = ""
    limits: list[tuple[float, float]] = field(default_factory=list)

    async def limit(self, share: float, *, reverts_to: float, reversion_s: int) -> Outcome:
        self.limits.append((share, reverts_to))
        return Outcome.ACCEPTED


class Site:
    """A small yard with a battery and a roof."""

    def __init__(self) -> None:
        self.world = SmallYard()
        now = self.world.clock.now()
        self.rim = Rim(SPEC, StorageReading(now, 0, soc=0.5, state=AssetState.RUNNING))
        self.sun = Sun(PvSpec("roof", 100_000, curtails=True), PvReading(now, 40_000, AssetState.RUNNING))
        self.room = AssetsRoom(self.world.yard, self.world.loop, batteries=[self.rim], plants=[self.sun], replan=self.world.replans.append)
        self.world.orders.carriers.update(self.room.commands)

    async def step(self, seconds: float = 1.0, *, soc: float = 0.5, power_w: int = 0) -> None:
        """Time goes on, everything says something, the room looks, and what it ordered is carried out."""
        self.world.clock.at += timedelta(seconds=seconds)
        now = self.world.clock.now()
        self.rim.reading = StorageReading(now, power_w, soc=soc, state=AssetState.RUNNING)
        self.world.meter.reading = SiteReading(now, 50_000)
        async with asyncio.TaskGroup() as tasks:
            self.room._tasks = tasks
            self.room.look()
        self.room._tasks = None


def test_at_the_start_it_counts_at_its_rating_until_an_order_is_confirmed() -> None:
    site = Site()
    book = site.world.loop.storages
    now_s = site.world.clock.now().timestamp()
    assert book.held_w(now_s) == 50_000

    async def main() -> None:
        await site.step()
        assert site.rim.orders == [(0, reversion_s(180.0))]
        await site.step(4.0)
        assert book.held_w(site.world.clock.now().timestamp()) == 0

    run(main())


def test_what_is_refused_or_unknown_stays_counted() -> None:
    site = Site()
    site.rim.outcome = Outcome.UNKNOWN

    async def main() -> None:
        for _ in range(4):
            await site.step(3.0)
        book = site.world.loop.storages
        assert len(site.rim.orders) > 1
        assert book.held_w(site.world.clock.now().timestamp()) == 50_000
        view = await site.room.views[AssetsView]({})
        assert isinstance(view, AssetsView)
        assert not view.batteries[0].confirmed

    run(main())


def test_a_person_keeps_it_at_rest_and_that_is_a_fact() -> None:
    site = Site()

    async def main() -> None:
        order = cmd.SetAssetMode(command_id="1", actor="mani", reason="service", asset_id="b", mode=AssetMode.STANDBY)
        result = await site.world.orders.execute(order)
        assert result.status is cmd.CommandStatus.DONE
        assert site.world.journal.state.asset_modes == {"b": AssetMode.STANDBY}
        assert any(e.actor == "mani" and e.type == "asset.mode_set" for e in site.world.journal.facts)
        unknown = await site.world.orders.execute(replace(order, command_id="2", asset_id="x"))
        assert unknown.status is cmd.CommandStatus.REFUSED
        assert "this depot has b" in unknown.message
        assert site.room.storages(["A", "B"]) == ()

    run(main())


def test_what_is_silent_or_takes_no_orders_is_an_alarm() -> None:
    site = Site()
    now = site.world.clock.now()
    site.room.look()
    assert site.room.conditions(now) == []
    site.rim.trouble = "it has no reversion timer (WSetRvrtTms)"
    [found] = site.room.conditions(now)
    assert (found.kind, found.subject) == ("asset_lost", "b")
    assert "no reversion timer" in found.title
    titles = [c.title for c in site.room.conditions(now + timedelta(seconds=10))]
    assert titles == ["The battery b is silent.", "The solar plant roof is silent."]


def test_a_silent_suns_power_is_not_counted_on() -> None:
    site = Site()
    assert site.room.pv_now_w == 40_000
    site.world.clock.at += timedelta(seconds=5)
    assert site.room.pv_now_w == 0
    assert not site.room.pv_kw(site.world.clock.now().timestamp(), 4, 900).any()


def test_the_plan_is_told_of_both_and_says_what_the_battery_shall_do() -> None:
    site = Site()
    world = site.world
    world.arrive(ONE, "bus", kwh=30, hours=4)

    async def main() -> None:
        await site.step()
        site.sun.reading = PvReading(world.clock.now(), 40_000, AssetState.RUNNING)
        settings = PlanningSettings()
        made = build(
            world.yard, settings, FlatTariff(), world.loop.limits_in_force(), now=world.clock.now(), peak_w=100_000, outlook=site.room
        )
        assert made is not None
        [storage] = made.problem.storages
        assert (storage.stored_kwh, storage.capacity_kwh, storage.reserve_kwh) == (50.0, 95.0, 10.0)
        assert made.problem.n_slots == 96
        alone = build(world.yard, settings, FlatTariff(), world.loop.limits_in_force(), now=world.clock.now(), peak_w=100_000)
        assert alone is not None
        assert alone.problem.n_slots < 96
        assert made.problem.background_kw[0] == pytest.approx(alone.problem.background_kw[0], abs=2)
        result = solve(made.problem)
        answer = planning.read_answer(made, result, now=world.clock.now(), settings=settings)
        assert len(answer.storage_w["b"]) == 96

    run(main())


# -- what its life costs ------------------------------------------------------------------------------------------------


def test_the_life_of_a_pack_counts_by_the_health_and_the_temperature_that_it_tells() -> None:
    pack = PackLife(chemistry="LFP", price_per_kwh=12_000.0, worth_per_kwh=4_000.0, health=1.0, ambient_c=25.0)
    spec = replace(SPEC, life=pack)
    silent = life_of(spec, StorageReading(NOW, 0, soc=0.5))
    warm = life_of(spec, StorageReading(NOW, 0, soc=0.5, temp_c=45.0))
    old = life_of(spec, StorageReading(NOW, 0, soc=0.5, soh=0.75))
    assert silent is not None
    assert warm is not None
    assert old is not None
    assert float(warm.rent_per_kwh_h) > 2 * float(silent.rent_per_kwh_h)
    assert 0 < float(old.wear_per_kwh) < float(silent.wear_per_kwh)
    assert life_of(replace(SPEC, life=replace(pack, health=0.75)), StorageReading(NOW, 0, soc=0.5)) is not None


def test_a_battery_whose_life_has_no_price_is_planned_as_before() -> None:
    reading = StorageReading(NOW, 0, soc=0.5)
    assert life_of(SPEC, reading) is None
    known = storage_of(replace(SPEC, life=PackLife(chemistry="LFP", price_per_kwh=9_000.0)), reading, ())
    assert known is not None
    assert known.life is not None
    unheard_of = replace(SPEC, life=PackLife(chemistry="LTO", price_per_kwh=9_000.0))
    assert life_of(unheard_of, reading) is None
