"""State of Safety in the guard: on top of the other rules, over a trip that is there already, and away when a person has looked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bms_bridge import ResetRefused
from bms_bridge.chemistry import Chemistry
from bms_bridge.contract import PackSample, Source
from bms_bridge.guard import Guard, PackView
from bms_bridge.latches import LatchFile
from bms_bridge.rules.state_of_safety import DECLARED
from bms_bridge.verdicts import Cause, Trip, Verdict
from depot.values import PackKey, Role

pytestmark = pytest.mark.anyio

BUS = PackKey("BUS1", "P1")
START = datetime(2026, 11, 20, 19, 42, tzinfo=UTC)


class Yard:
    """A guard over one LFP pack, time that the test moves, and what the guard said."""

    def __init__(self, path: Path) -> None:
        self.passed_s = 0.0
        self.verdicts: list[Verdict] = []
        self.dangers: list[Cause] = []
        self.latches = LatchFile.open(path)
        self.guard = Guard(
            self.latches,
            clock=self,
            chemistry_of=lambda _: Chemistry.LFP,
            on_verdict=self.verdicts.append,
            on_danger=lambda _pack, cause, _text: self.dangers.append(cause),
            in_thread=self.disk,
        )

    def now(self) -> datetime:
        return START + timedelta(seconds=self.passed_s)

    def monotonic(self) -> float:
        return 1000.0 + self.passed_s

    async def sleep(self, seconds: float) -> None:
        self.passed_s += seconds
        await asyncio.sleep(0)

    async def disk(self, work: Callable[[], None]) -> None:
        work()

    def soak(self, celsius: float, seconds: int, *, step_s: int = 10, source: Source = Source.MQTT) -> PackView:
        for _ in range(0, seconds, step_s):
            self.passed_s += step_s
            temperatures = (celsius, celsius - 0.4, celsius - 0.8, celsius - 1.2) if source is Source.MQTT else (celsius,)
            self.guard.heard(
                PackSample(pack=BUS, source=source, received_at=self.now(), reported_at=self.now(), temperatures_c=temperatures)
            )
            self.guard.tick()
        return self.guard.view(BUS)

    @property
    def not_monitored(self) -> dict[str, str]:
        return dict(self.guard.view(BUS).not_monitored)

    @property
    def trips(self) -> list[Cause]:
        return [verdict.cause for verdict in self.verdicts if isinstance(verdict, Trip)]


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    found = Yard(tmp_path / "latches")
    yield found
    found.latches.close()


async def test_an_ordinary_pack_has_no_score_and_is_monitored(yard: Yard) -> None:
    view = yard.soak(45.0, 60)
    assert view.score is None
    assert DECLARED.name not in yard.not_monitored
    yard.passed_s += 60
    yard.guard.tick()
    assert yard.not_monitored[DECLARED.name] == "silent for 60 s"


async def test_a_pack_that_tripped_for_heat_is_told_of_again_when_it_is_about_to_run_away(yard: Yard) -> None:
    view = yard.soak(62.0, 60)
    assert yard.trips == [Cause.OVER_TEMPERATURE]
    assert view.score is None
    for celsius in range(62, 75):
        view = yard.soak(float(celsius), 30)
    assert view.score is not None
    assert Cause.STATE_OF_SAFETY not in yard.dangers
    view = yard.soak(135.0, 30)
    assert yard.trips == [Cause.OVER_TEMPERATURE]
    assert Cause.STATE_OF_SAFETY in yard.dangers
    assert yard.dangers.count(Cause.STATE_OF_SAFETY) == 1
    assert view.score is not None
    assert view.score.stage >= 2
    early, late = view.score.runaway_in_s
    assert early is not None
    assert early < 600
    assert late is None or late >= early


async def test_a_pack_that_is_found_hot_at_once_tells_both(yard: Yard) -> None:
    yard.soak(150.0, 20)
    assert yard.trips == [Cause.OVER_TEMPERATURE]
    assert Cause.STATE_OF_SAFETY in yard.dangers


async def test_the_score_does_not_stand_against_a_reset_once_the_pack_is_cold_and_goes_with_it(yard: Yard) -> None:
    yard.soak(120.0, 1200)
    with pytest.raises(ResetRefused):
        await yard.guard.reset(BUS, person="Asha", role=Role.SAFETY_OFFICER, reason="inspected")
    view = yard.soak(30.0, 120)
    assert view.score is not None
    assert view.score.state_of_safety < 0.8
    assert "have it inspected" in view.text
    await yard.guard.reset(BUS, person="Asha", role=Role.SAFETY_OFFICER, reason="cells exchanged by the maker")
    assert yard.guard.trip_of(BUS) is None
    after = yard.soak(30.0, 120)
    assert after.score is None
    assert after.share == 1.0


async def test_a_chargers_word_counts_only_while_the_pack_itself_is_silent(yard: Yard) -> None:
    yard.soak(40.0, 60)
    yard.guard.heard(PackSample(pack=BUS, source=Source.OCPP, received_at=yard.now(), reported_at=yard.now(), temperatures_c=(90.0,)))
    yard.guard.tick()
    assert yard.guard.view(BUS).score is None
    yard.passed_s += 60
    view = yard.soak(90.0, 20, source=Source.OCPP)
    assert view.score is not None


async def test_one_wrong_value_sends_nobody_out_but_silence_after_it_does(yard: Yard) -> None:
    yard.soak(40.0, 60)
    yard.soak(150.0, 1, step_s=1)
    assert yard.trips == [Cause.OVER_TEMPERATURE]
    yard.soak(40.0, 60, step_s=1)
    assert Cause.STATE_OF_SAFETY not in yard.dangers
    yard.soak(150.0, 1, step_s=1)
    for _ in range(14):
        yard.passed_s += 1
        yard.guard.tick()
    assert Cause.STATE_OF_SAFETY not in yard.dangers
    yard.passed_s += 1
    yard.guard.tick()
    assert Cause.STATE_OF_SAFETY in yard.dangers


async def test_what_is_heard_twice_over_three_seconds_counts(yard: Yard) -> None:
    yard.soak(150.0, 3, step_s=1)
    assert Cause.STATE_OF_SAFETY not in yard.dangers
    yard.soak(150.0, 1, step_s=1)
    assert Cause.STATE_OF_SAFETY in yard.dangers
