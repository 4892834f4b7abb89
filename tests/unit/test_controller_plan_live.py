"""The plan in force in a terminal: what the page says, from a core over its socket."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from config_kit import depot_toml
from fake_depot import sample
from fake_plan import plan, without_plan
from fake_plan_answers import explanation
from rich.console import Console

from controller.app.plan_live import explain_live
from controller.link import LinkServer
from controller.plan_answers_view import AnswerState
from controller.plan_view import PlanView
from controller.settings import Settings
from depot.values import InvalidValue

pytestmark = pytest.mark.anyio


class Core:
    """A core that shows the sample's plan; explained at the ``ready``-th look."""

    def __init__(self, view: PlanView | None = None, ready: int = 1) -> None:
        self.view, self.looks, self.ready = view or plan({}), 0, ready

    def now(self) -> Any:
        return sample()

    async def show(self, name: str, args: Mapping[str, str]) -> Any:
        if name == "PlanView":
            return self.view
        if name != "ExplanationView":
            raise InvalidValue(f"unknown view {name}")
        self.looks += 1
        found = explanation(args)
        return found if self.looks >= self.ready else msgspec.structs.replace(found, state=AnswerState.RUNNING)


@asynccontextmanager
async def depot(folder: Path, core: Core) -> AsyncIterator[Path]:
    config = folder / "depot.toml"
    config.write_text(depot_toml(folder, depot_id="k"), encoding="utf-8")
    async with asyncio.timeout(20), LinkServer(Settings.load(config).link_path, core):  # type: ignore[arg-type]  # it only shows
        yield config


async def asked(config: Path, *, vehicle: str = "", cell: str = "", as_json: bool = False) -> tuple[int, str, str]:
    """Exit code, what was told, what was complained about."""
    told, complained = io.StringIO(), io.StringIO()
    code = await asyncio.to_thread(
        explain_live, config, vehicle=vehicle, cell=cell, as_json=as_json, deadline_s=10.0,
        console=Console(file=told, width=200), complaints=Console(file=complained, width=200),
    )  # fmt: skip
    return code, told.getvalue(), complained.getvalue()


async def test_it_says_what_the_page_says(tmp_path: Path) -> None:
    core = Core(ready=3)
    async with depot(tmp_path, core) as config:
        code, told, _ = await asked(config)
    assert (code, core.looks) == (1, 3), "E-103 leaves short; it was waited for"
    for words in (
        "Plan: made 01:10:00",
        "policy: cheapest",
        "Saved by the plan",
        "uncontrolled ₹14,377, peak 1,204 kW, 759 kW above the limit",
        "E-103 leaves with 81% instead of 90%",
        "a higher class of priority",
        "What holds the plan",
        "Feeder A, 200 kW",
        "One more kW of demand that costs nothing more would save ₹14.30 over this plan",
        "48.0, 12.4 short",
    ):
        assert words in told, words


async def test_a_cell_and_a_vehicle_alone(tmp_path: Path) -> None:
    async with depot(tmp_path, Core()) as config:
        _, told, _ = await asked(config, cell="E-103@02:00")
        assert "02:00 to 02:15 explained" in told
        assert "Draws 22 of 60 kW at 02:00" in told
        assert "One more kWh into E-103 would cost ₹6.40" in told
        assert "Vehicles: 1," in told
        _, told, _ = await asked(config, vehicle="E-101")
        assert "One more kWh into E-101" in told


async def test_machines_get_both_views(tmp_path: Path) -> None:
    async with depot(tmp_path, Core()) as config:
        found = json.loads((await asked(config, as_json=True))[1])
    assert (found["plan"]["plan"]["plan_id"], found["explanation"]["plan_id"]) == ("0193-p", "0193-p")


@pytest.mark.parametrize(
    ("cell", "words"),
    [("E-103", "names no cell"), ("E-999@02:00", "no vehicle 'E-999' wants energy"), ("E-103@25:99:1", "is no time of the plan")],
)
async def test_a_question_that_cannot_be_right_says_why(tmp_path: Path, cell: str, words: str) -> None:
    async with depot(tmp_path, Core()) as config:
        code, told, complained = await asked(config, cell=cell)
    assert (code, told) == (2, "")
    assert words in complained


async def test_no_plan_and_no_core_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.app.transfer.CONNECT_S", 0.2)
    async with depot(tmp_path, Core(without_plan(waiting=3))) as config:
        code, told, _ = await asked(config)
        assert (code, "the first plan is being made" in told) == (1, True)
    code, _, complained = await asked(config)
    assert (code, "start it with ./chargeyard run" in complained) == (3, True)
