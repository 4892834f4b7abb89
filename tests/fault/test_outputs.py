"""Outputs over a real socket: contactors that weld, contacts that lie, links that are lost. A core that dies is in test_outputs_core."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from outputs_kit import BAY, FEEDER, SITE, OutputDepot, contactor
from small_yard import ONE, THREE, TWO

from controller.isolation import Isolation
from controller.output_latches import IsolationFile
from controller.output_notices import OutputNotices
from controller.output_rules import Proof
from depot import commands as cmd
from depot import events as ev
from depot.outputs import Isolated, Origin
from depot.values import PackKey, Role
from simulator.io_module import IoModule

pytestmark = pytest.mark.serial  # times of relays and of links

Status = cmd.CommandStatus
K_BAY, K_FEEDER, K_SITE, SIREN, FAN = range(5)


def run(main: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await main

    asyncio.run(bounded())


async def closed(depot: OutputDepot, module: IoModule) -> None:
    """All is in order: contactors closed and confirmed, the siren silent, the fan at rest."""
    for relay in (K_BAY, K_FEEDER, K_SITE, FAN):
        await module.until(relay, True)
    await depot.until(lambda: depot.proven("K-bay", "K-feeder", "K-site", "siren", "fan"))
    assert module.pulled_in[:5] == [True, True, True, False, True]


def test_a_bay_is_isolated_siren_and_fan_at_once_the_contactor_after_the_session(tmp_path: Path) -> None:
    async def main() -> None:
        depot = OutputDepot(tmp_path)
        depot.arrive(ONE, "BUS1")
        depot.session(ONE, power_w=40_000)
        async with IoModule(watchdog_s=1.0) as module, depot.running(module):
            await closed(depot, module)
            module.moves.clear()
            result = await depot.isolate(BAY)
            assert result.status is Status.DONE
            assert f"stop {ONE} 7" in depot.chargers.asked
            assert depot.yard.unsafe(ONE, None) == "bay CP-1 is isolated: smoke"
            assert depot.yard.allowed_w(ONE, None) == 0
            assert depot.yard.allowed_w(TWO, None) is None
            await module.until(K_BAY, False)
            assert {relay for relay, _ in module.moves} == {SIREN, FAN, K_BAY}
            assert module.moves[-1] == (K_BAY, False)  # 40 kW flow: only after its time
            await depot.until(lambda: depot.proven("K-bay"))
            await asyncio.sleep(0)
            assert set(depot.room.latched) == {BAY}
            assert (await depot.reset(BAY, Role.MANAGER)).status is Status.REFUSED
            done = await depot.reset(BAY)
            assert done.status is Status.DONE, done.message
            await module.until(K_BAY, True)
            await module.until(SIREN, False)
            assert depot.yard.unsafe(ONE, None) is None
        assert [type(e).__name__ for e in depot.named(ev.AreaIsolated) + depot.named(ev.AreaReset)] == ["AreaIsolated", "AreaReset"]
        assert depot.named(ev.AreaReset)[0].person == "sam"
        assert "open" in [e.state for e in depot.named(ev.OutputMoved)]

    run(main())


def test_it_opens_at_once_where_nothing_flows(tmp_path: Path) -> None:
    async def main() -> None:
        depot = OutputDepot(tmp_path, (contactor("K-bay", BAY, opens_after_s=60.0),))
        async with IoModule() as module, depot.running(module):
            await module.until(0, True)
            await depot.isolate(BAY)
            await module.until(0, False)

    run(main())


def test_a_welded_contactor_isolates_the_feeder_and_then_the_site(tmp_path: Path) -> None:
    async def main() -> None:
        depot = OutputDepot(tmp_path)
        async with IoModule(watchdog_s=1.0) as module, depot.running(module):
            await closed(depot, module)
            module.welded |= {K_BAY, K_FEEDER}
            await depot.isolate(BAY)
            await module.until(K_SITE, False)
            await depot.until(lambda: depot.proven("K-site"))
            assert set(depot.room.latched) == {BAY, FEEDER, SITE}
            assert [entry.origin for entry in depot.room.latched.values()] == [Origin.PERSON, Origin.WIDENED, Origin.WIDENED]
            assert depot.room.latched[FEEDER].reason == "bay CP-1 is not isolated: K-bay: it reads closed"
            found = {(c.kind, c.subject) for c, _, _ in OutputNotices(depot.room).conditions(depot.clock.now())}
            assert ("isolation_failed", "bay CP-1") in found
            assert ("output_failed", "K-bay") in found
            assert depot.yard.unsafe(THREE, None) is not None
            refused = await depot.reset(SITE)
            assert refused.status is Status.REFUSED
            assert "must stay isolated" in refused.message
            module.welded.clear()
            await module.until(K_BAY, False)
            await depot.until(lambda: depot.proven("K-bay"))
            assert set(depot.room.latched) == {BAY, FEEDER, SITE}, "nothing is narrowed by itself"

    run(main())


def test_a_slow_relay_is_waited_for_and_one_that_is_too_slow_is_not(tmp_path: Path) -> None:
    async def main() -> None:
        depot = OutputDepot(tmp_path, (contactor("K-bay", BAY, settle_s=0.6), contactor("K-feeder", FEEDER)))
        async with IoModule() as module, depot.running(module):
            await module.until(1, True)
            module.delay_s[0] = 0.2
            await depot.isolate(BAY)
            await depot.until(lambda: depot.proven("K-bay"))
            assert set(depot.room.latched) == {BAY}
            await depot.reset(BAY)
            await module.until(0, True)
            module.delay_s[0] = 5.0
            await depot.isolate(BAY)
            await module.until(1, False)
            assert set(depot.room.latched) == {BAY, FEEDER}

    run(main())


def test_a_contact_that_lies_open_is_found_by_the_chargers_meter(tmp_path: Path) -> None:
    async def main() -> None:
        depot = OutputDepot(
            tmp_path, (contactor("K-bay", BAY, settle_s=2.0), contactor("K-feeder", FEEDER))
        )  # read once in it, however slowly
        async with IoModule() as module, depot.running(module):
            await module.until(1, True)
            module.says[0] = False
            await depot.until(lambda: depot.room.tracks["K-bay"].proof is Proof.FAILED)  # in peace it is already seen
            module.welded.add(0)
            depot.arrive(ONE, "BUS1")
            depot.session(ONE, power_w=40_000)
            await depot.isolate(BAY)
            await module.until(1, False)  # the meter still tells of 40 kW five seconds after it "opened"
            assert "current flows" in depot.room.latched[FEEDER].reason

    run(main())


def test_a_tripped_battery_opens_its_bay_until_it_is_reset(tmp_path: Path) -> None:
    async def main() -> None:
        depot = OutputDepot(tmp_path)
        async with IoModule(watchdog_s=1.0) as module, depot.running(module):
            await closed(depot, module)
            isolation = Isolation(depot.yard, depot.loop)
            isolation.on_change.append(depot.room.look)
            isolation.add(ONE, PackKey("BUS1", "P1"), recorded=True)
            await module.until(SIREN, True)
            await module.until(K_BAY, False)
            assert depot.room.latched == {}
            refused = await depot.reset(BAY)
            assert refused.status is Status.REFUSED
            assert "reset the battery" in refused.message
            isolation.let_go(ONE)
            await module.until(K_BAY, True)

    run(main())


def test_a_lost_link_drops_everything_to_its_declared_state_and_comes_back(tmp_path: Path) -> None:
    async def main() -> None:
        depot = OutputDepot(tmp_path)
        async with IoModule(watchdog_s=0.5) as module, depot.running(module):
            await closed(depot, module)
            await module.cut()
            for relay in (K_BAY, K_FEEDER, K_SITE, FAN):
                await module.until(relay, False)  # open, open, open; the fan runs
            assert module.dropped_out == 1
            await module.mend()
            await closed(depot, module)
            assert depot.room.latched == {}

    run(main())


def test_isolation_while_the_link_is_lost_widens_and_nothing_is_taken_for_open(tmp_path: Path) -> None:
    async def main() -> None:
        depot = OutputDepot(tmp_path)
        async with IoModule(watchdog_s=0.5) as module, depot.running(module):
            await closed(depot, module)
            module.silent = True
            await depot.isolate(BAY)
            await depot.until(lambda: SITE in depot.room.latched and depot.room.tracks["K-site"].proof is Proof.FAILED)
            titles = [c.title for c, _, _ in OutputNotices(depot.room).conditions(depot.clock.now())]
            assert "Site is NOT isolated" in titles

    run(main())


def test_a_contactor_that_may_not_close_by_itself_stays_open_after_it_dropped_out(tmp_path: Path) -> None:
    async def main() -> None:
        depot = OutputDepot(tmp_path, (contactor("K-feeder", FEEDER, recloses=False),))
        async with IoModule(watchdog_s=0.5) as module, depot.running(module):
            await depot.until(lambda: FEEDER in depot.room.latched)  # it was found open at the start
            assert depot.room.latched[FEEDER].origin is Origin.DROPPED
            assert module.moves == []
            done = await depot.reset(FEEDER)
            assert done.status is Status.DONE, done.message
            await module.until(0, True)

    run(main())


def test_no_watchdog_is_kept_alive_once_the_safety_path_is_dead(tmp_path: Path) -> None:
    async def main() -> None:
        depot = OutputDepot(tmp_path)
        living = True
        async with IoModule(watchdog_s=0.5) as module, depot.running(module, alive=lambda: living):
            await closed(depot, module)
            living = False
            await module.until(K_SITE, False)
            assert module.dropped_out == 1

    run(main())


def test_outputs_are_tested_by_a_person_there_and_back(tmp_path: Path) -> None:
    async def main() -> None:
        depot = OutputDepot(tmp_path)
        async with IoModule(watchdog_s=1.0) as module, depot.running(module):
            await closed(depot, module)
            module.moves.clear()
            good, siren = await asyncio.gather(depot.test("K-feeder"), depot.test("siren"))
            assert good.status is Status.DONE
            assert "both confirmed" in good.message
            assert siren.status is Status.DONE
            assert "no read-back" in siren.message
            assert sorted(module.moves) == [(K_FEEDER, False), (K_FEEDER, True), (SIREN, False), (SIREN, True)]
            module.welded.add(K_BAY)
            bad = await depot.test("K-bay")
            assert bad.status is Status.FAILED
            assert "open not confirmed: it reads closed" in bad.message
            assert depot.room.latched == {}, "a test isolates nothing"
            depot.session(TWO, power_w=10_000)
            loaded = await depot.test("K-feeder")
            assert loaded.status is Status.REFUSED
            assert "a session runs on CP-2/1" in loaded.message
            unknown = await depot.test("K-none")
            assert unknown.status is Status.REFUSED
        tests = depot.journal.state.outputs.tests
        assert (tests["K-feeder"].passed, tests["K-bay"].passed, tests["K-bay"].by) == (True, False, "sam")

    run(main())


def test_an_emergency_ends_a_test_and_the_output_stays(tmp_path: Path) -> None:
    async def main() -> None:
        depot = OutputDepot(tmp_path)
        async with IoModule(watchdog_s=1.0) as module, depot.running(module):
            await closed(depot, module)
            testing = asyncio.create_task(depot.test("K-bay"))
            await module.until(K_BAY, False)
            await depot.isolate(BAY)
            assert (await testing).status is Status.FAILED
            assert (await depot.test("K-bay")).status is Status.REFUSED
            assert module.pulled_in[K_BAY] is False

    run(main())


def test_it_is_isolated_while_the_journal_takes_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        depot = OutputDepot(tmp_path)
        async with IoModule(watchdog_s=1.0) as module, depot.running(module):
            await closed(depot, module)
            depot.journal.frozen = True
            result = await depot.isolate(BAY)
            assert result.status is Status.ACCEPTED
            assert "acts already" in result.message
            await module.until(K_BAY, False)
            assert (await depot.reset(BAY)).status is Status.REFUSED
            depot.journal.frozen = False
            assert (await depot.isolate(SITE)).status is Status.DONE

    run(main())


@pytest.mark.parametrize("lost", ["nothing", "file", "journal"])
def test_after_a_restart_it_is_still_isolated_whoever_forgot_it(tmp_path: Path, lost: str) -> None:
    async def main() -> None:
        depot = OutputDepot(tmp_path)
        async with IoModule(watchdog_s=0.5) as module:
            async with depot.running(module):
                await closed(depot, module)
                await depot.isolate(FEEDER)
                await module.until(K_FEEDER, False)
            if lost == "file":
                (tmp_path / "isolations").unlink()
            if lost == "journal":
                depot.journal.facts.clear()
                depot.journal.state = type(depot.journal.state)()
            depot.session(TWO, power_w=40_000)  # its end was never told: it seems to charge still
            depot.begin()
            module.moves.clear()
            async with depot.running(module):
                await module.until(K_SITE, True)
                await depot.until(lambda: depot.proven("K-feeder"))
                assert (K_FEEDER, True) not in module.moves
                assert (K_BAY, True) not in module.moves
                assert FEEDER in depot.room.latched
                assert depot.yard.unsafe(ONE, None) is not None
                assert len(depot.room.problems) == (lost == "file")
                await depot.until(lambda: FEEDER in depot.room.parts.latches.isolated)
            assert FEEDER in depot.journal.state.outputs.isolated

    run(main())


def test_a_torn_or_damaged_line_isolates_what_it_names(tmp_path: Path) -> None:
    path = tmp_path / "isolations"
    depot = OutputDepot(tmp_path)
    depot.room.parts.latches.isolate(Isolated(FEEDER, depot.clock.now(), Origin.PERSON, "smoke", "ola"))
    depot.room.parts.latches.close()
    whole = path.read_bytes()
    for damage in (whole[:-20], whole.replace(b"smoke", b"smoky"), whole[:-1]):
        path.write_bytes(damage)
        found = IsolationFile.open(path)
        assert FEEDER in found.isolated
        found.close()
