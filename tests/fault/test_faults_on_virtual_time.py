"""Faults 3, 6, 8, 14 and 15 on the virtual clock: the whole controller, stations of both versions, and what breaks them.

Each is named by its number in docs/faults.md, writes one evidence line, and is judged by the physical trace and by what
the stations ran. The same faults on real processes are in ``test_faults_on_real_sockets.py``.
"""

from __future__ import annotations

import asyncio
import random
import time
from datetime import timedelta
from pathlib import Path

import pytest

from benchmarks.evidence import SHARED_JUDGE, proof
from benchmarks.faultkit.checker import compare, judge, shared_verdict
from benchmarks.faultkit.nemesis import Lie, LyingPlanner, SetClock, full_disk, until
from benchmarks.faultkit.night import BASE_W, Played, Stage, live_level_w, play, small_day
from benchmarks.limiter import check, timing
from controller.app.trace_slots import trace_to_slots
from controller.clock import SteadyClock
from controller.codec import EventCodec
from controller.journal_store import load
from depot.ports import Clock
from depot.values import UtilityOrder
from grid.failsafe import FailsafePolicy
from grid.limit_session import LimitCommand
from simulator.personas import GIVING, Persona
from storage import Store

SEED = 26
LATE_FACTOR = 4
"""A busy machine may take this much longer than the goal before a test that measures real time fails; evidence says both."""


def sound(played: Played, folder: Path) -> dict[str, object]:
    """What every fault must leave behind: each transaction once, with its energy, and no limit exceeded."""
    verdict = compare(played.book.ran, played.facts, began_at_plug=True)
    assert verdict.sound, str(verdict)
    judged = judge(played.lines, folder)
    assert judged.violations == 0, (judged.slots.worst_over_kw, judged.slots.worst_at)
    return {"transactions": verdict.ran, **judged.row()}


# ---------------------------------------------------------------------- 3


def test_fault_03_a_full_disk_freezes_increases_and_answers_while_decreases_go_on(tmp_path: Path) -> None:
    raised: list[tuple[str, float]] = []
    found: dict[str, float] = {}

    async def nemesis(stage: Stage) -> None:
        known: dict[str, float] = {}

        def watch(station_id: str, way: str, frame: list[object]) -> bool:
            if way == "down" and frame[0] == 2 and frame[2] == "SetChargingProfile":
                level_w = live_level_w(frame[3])  # type: ignore[arg-type]  # the payload of a call
                if level_w is not None:
                    if stage.journal.frozen and level_w > known.get(station_id, 0.0) + 50:
                        raised.append((station_id, level_w))
                    known[station_id] = level_w
            return False

        stage.lose = watch
        await stage.at(1800)
        found["before"] = stage.world.plant.site_power_w()
        with full_disk(stage.store):
            while not stage.journal.frozen:  # whatever is written next finds no room
                stage.world.stations["S2"].plugged(1, "V2")
                await asyncio.sleep(1.0)
            limited = asyncio.create_task(stage.limit(30_000))
            stage.world.stations["S3"].unplugged(1)
            found["settled"] = (await stage.powers(stage.world.plant.t() + 20))[-1]
            assert stage.journal.frozen
            assert len(stage.world.stations["S3"].outbox), "its stop is not answered before it is stored"
            facts = stage.journal.state.seq
            await asyncio.sleep(60)
            assert stage.journal.state.seq == facts
            assert stage.core.now().health.journal == "frozen", "people must see it"
        assert (await limited).status
        found["recovered_s"] = await until(lambda: not stage.journal.frozen and not len(stage.world.stations["S3"].outbox), 600)
        await stage.limit(60_000)

    with proof(3, "disk_full", seed=SEED) as row:
        played = play(small_day(hours=1.0), nemesis, seed=SEED, database=tmp_path / "depot.db")
        row |= sound(played, tmp_path) | {"recovered_s": round(found["recovered_s"], 1), "increases": len(raised)}
        assert found["before"] > 45_000
        assert found["settled"] <= 30_000
        assert not raised
        assert found["recovered_s"] < 60
        with Store.open(tmp_path / "depot.db", read_only=True) as store:
            store.verify()
            assert load(store, "small", EventCodec(), use_snapshot=False).seq == played.state.seq


# ---------------------------------------------------------------------- 6

TIMEOUT_S = 3
FAILSAFE_W = 15_000


@pytest.mark.parametrize(
    ("planner_lies", "clock_set_s"),
    [((Lie.IS_FINE,), 0.0), ((Lie.HANGS,), 0.0), ((Lie.HANGS,), 600.0)],
    ids=["", "planner hangs", "clock set"],
)
def test_fault_06_scada_silent_and_every_charger_has_its_failsafe_level_in_time(
    tmp_path: Path, planner_lies: tuple[Lie, ...], clock_set_s: float
) -> None:
    """The goal is heartbeat time-out + 2 s until all are told; the plant follows with its ramps."""
    found: dict[str, float] = {}
    clocks: list[SetClock] = []

    def settable(clock: Clock) -> Clock:
        clocks.append(SetClock(clock))
        return SteadyClock(clocks[0])

    async def nemesis(stage: Stage) -> None:
        plant, utility = stage.world.plant, stage.core.utility
        assert utility is not None
        plant.set_limit("site", FAILSAFE_W)  # nobody has spoken yet

        async def beat(until_s: float) -> None:
            while plant.t() < until_s:
                utility.heartbeat((int(plant.t()), 0))
                await asyncio.sleep(1.0)

        await beat(300)
        beating = asyncio.create_task(beat(1800))
        await utility.commit(LimitCommand(1, "rtu", stage.clock.now(), UtilityOrder(1, utility.steady.now(), 55_000)))
        plant.set_limit("site", 55_000)
        await beating
        lost_at = plant.t() - 1.0
        found["before"] = plant.site_power_w()
        clocks[0].off = timedelta(seconds=clock_set_s)
        await asyncio.sleep(lost_at + TIMEOUT_S - plant.t())
        plant.set_limit("site", FAILSAFE_W)
        await until(lambda: sum(stage.levels_w.values()) + BASE_W <= FAILSAFE_W, 60)
        found["told"] = plant.t() - lost_at
        await until(lambda: plant.site_power_w() <= FAILSAFE_W, 60)
        found["below"] = plant.t() - lost_at
        found["most"] = max(await stage.powers(lost_at + 900))
        beating = asyncio.create_task(beat(3500))
        await utility.commit(LimitCommand(2, "rtu", stage.clock.now(), UtilityOrder(2, utility.steady.now(), 50_000)))
        plant.set_limit("site", 50_000)
        await stage.at(3300)
        found["again"] = plant.site_power_w()

    policy = FailsafePolicy(contract_w=60_000, failsafe_w=FAILSAFE_W, heartbeat_timeout_s=TIMEOUT_S)
    with proof(6, "scada_silent", seed=SEED) as row:
        played = play(
            small_day(hours=1.75), nemesis, seed=SEED, failsafe=policy, clock_of=settable,
            planner=lambda clock: LyingPlanner(clock, random.Random(SEED), deadline_s=1e6, lies=planner_lies),
        )  # fmt: skip
        row |= sound(played, tmp_path) | {"timeout_s": TIMEOUT_S, "told_s": round(found["told"], 2), "below_s": round(found["below"], 2)}
        row |= {"planner": str(planner_lies[0]), "clock_set_s": clock_set_s}
        assert found["before"] > 40_000
        assert found["told"] <= TIMEOUT_S + 2
        assert found["most"] <= FAILSAFE_W
        assert found["again"] > 30_000, "a heartbeat and a fresh command end it"


# ---------------------------------------------------------------------- 8


def test_fault_08_a_planner_that_hangs_dies_and_lies_moves_no_limit(tmp_path: Path) -> None:
    planners: list[LyingPlanner] = []

    def liar(clock: Clock) -> LyingPlanner:
        planners.append(LyingPlanner(clock, random.Random(SEED)))
        return planners[0]

    async def nemesis(stage: Stage) -> None:
        rng = random.Random(SEED)
        while stage.world.plant.t() < 6000:
            await asyncio.sleep(90.0)
            stage.core.planning.request("nemesis")
            if rng.random() < 0.3:
                await stage.limit(rng.randrange(25_000, 60_000))

    with proof(8, "planner_lies", seed=SEED) as row:
        played = play(small_day(hours=2.0), nemesis, seed=SEED, planner=liar, personas={"S1": Persona.OVERDRAWS, "S4": Persona.LATE})
        told = planners[0].told or {}
        row |= sound(played, tmp_path) | {"n": sum(told.values()), **{str(lie).replace(" ", "_"): count for lie, count in told.items()}}
        assert min(told.values()) >= 4
        delivered = trace_to_slots(played.lines).energy_kwh
        row["energy_kwh"] = round(delivered)
        assert delivered > 30, "charging goes on, whatever is planned"


# ---------------------------------------------------------------------- 15

STATES = 2_000
GOAL_MS = 5.0


@pytest.mark.serial
def test_fault_15_random_limiter_states_break_no_invariant_and_a_thousand_chargers_take_milliseconds() -> None:
    """The long one is ``python -m benchmarks.limiter`` with 50,000 states."""
    with proof(15, "limiter_states", seed=SEED) as row:
        row["n"] = STATES
        broken = [n for n in range(STATES) if check(random.Random(f"fault 15/{SEED}/{n}"))]
        median_ms, p99_ms = timing(chargers=1000, rounds=50, seed=SEED, clock=time.process_time)
        row |= {
            "broken": len(broken),
            "chargers": 1000,
            "median_cpu_ms": round(median_ms, 2),
            "p99_cpu_ms": round(p99_ms, 2),
            "goal_ms": GOAL_MS,
        }
        assert not broken
        assert median_ms <= GOAL_MS * LATE_FACTOR


def test_fault_15_every_persona_behind_a_falling_limit_breaks_none(tmp_path: Path) -> None:
    odd = [persona for persona in Persona if persona is not Persona.IGNORES_LIMITS and persona not in GIVING]
    day = small_day(stations=len(odd), hours=1.5, limits=((1500.0, 35_000), (2700.0, 20_000), (3900.0, 50_000)))

    async def nothing(_: Stage) -> None: ...

    with proof(15, "limiter_physical", seed=SEED) as row:
        personas = {f"S{i}": persona for i, persona in enumerate(odd, start=1)}
        played = play(day, nothing, seed=SEED, personas=personas)
        judged = judge(played.lines, tmp_path)
        row |= {"n": len(odd), **judged.row(), "faults": judged.slots.faults}
        assert judged.violations == 0, (judged.slots.worst_over_kw, judged.slots.worst_at)


# ---------------------------------------------------------------------- the judges


@pytest.mark.skipif(not SHARED_JUDGE.is_file(), reason="no shared judge of traces beside the checkout (set CHARGEYARD_JUDGE)")
@pytest.mark.parametrize("over_w", [0, 40, 2_000])
def test_both_judges_say_the_same_of_one_trace(tmp_path: Path, over_w: int) -> None:
    lines = [
        '{"t": 0, "kind": "depot", "feeders": {"F": ["S1/1"]}, "slot_prices": [[0, 1]], "currency": "INR"}\n',
        '{"t": 0, "kind": "limit", "scope": "site", "w": 50000}\n',
        '{"t": 0, "kind": "limit", "scope": "F", "w": 50000}\n',
        '{"t": 1, "kind": "power", "connector": "S1/1", "w": 40000}\n',
        '{"t": 100, "kind": "limit", "scope": "site", "w": 20000}\n',
        f'{{"t": 104, "kind": "power", "connector": "S1/1", "w": {20_000 + over_w}}}\n',
        '{"t": 200, "kind": "end"}\n',
    ]
    judged = judge(lines, tmp_path)
    assert judged.second is not None
    assert judged.violations == (1 if over_w > 50 else 0)
    assert judged.second["violating_kws"] == pytest.approx(judged.slots.violating_kws, abs=0.01)
    assert judged.second["ramping_kws"] == pytest.approx(judged.slots.ramping_kws, abs=0.01)
    strict = shared_verdict(tmp_path / "trace.jsonl", comply_s=2.0)
    assert strict is not None
    assert strict["violating_kws"] > 0
