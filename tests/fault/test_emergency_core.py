"""Emergencies of the real core: a drill over its socket with its file on the disk; a roll-call that a kill with -9 does not end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from msgspec import Struct
from test_core_process import config
from test_outputs_core import core

from controller.drill_view import DrillsView
from controller.evacuation_view import EvacuationView
from controller.incident_export import document
from controller.incident_view import IncidentsView
from controller.link import CoreLink
from controller.settings import Settings
from depot import commands as cmd
from depot.outputs import SITE
from depot.values import Role

__all__ = ["config"]
pytestmark = [pytest.mark.apart, pytest.mark.timeout(240)]

T = TypeVar("T", bound=Struct)


async def order(link: CoreLink, kind: type[cmd.Command], **more: Any) -> cmd.CommandResult:
    number = f"{kind.__name__}-{order.count}"  # type: ignore[attr-defined]  # below
    order.count += 1  # type: ignore[attr-defined]
    return await link.command(kind(command_id=number, actor="sam", reason="as it is", **more))


order.count = 0  # type: ignore[attr-defined]


async def shown(link: CoreLink, kind: type[T], holds: Callable[[T], bool]) -> T:
    """The view, as soon as it is so."""
    async for _ in link.views():
        found = await link.show(kind)
        if found is not None and holds(found):
            return found
    raise AssertionError("the link ended")


def test_a_drill_and_a_killed_evacuation(config: Path) -> None:
    async def main() -> None:
        settings = Settings.load(config)
        async with asyncio.timeout(200):
            async with core(config) as first, CoreLink(settings.link_path) as link:
                people = (cmd.ShiftEntry("S-1", "V. More", "electrician"), cmd.ShiftEntry("S-2"))
                async for _ in link.views():
                    break
                assert (await order(link, cmd.SetShift, people=people)).status is cmd.CommandStatus.DONE
                began = await order(link, cmd.StartDrill)
                assert began.status is cmd.CommandStatus.DONE, began.message
                await shown(link, EvacuationView, lambda view: view.drill is not None)
                for number in ("S-1", "S-2"):
                    assert (await order(link, cmd.CheckIn, person_id=number)).status is cmd.CommandStatus.DONE
                drills = await shown(link, DrillsView, lambda view: view.running is None and bool(view.drills))
                links = {row.name: row.state for row in drills.drills[0].links}
                assert {links[name] for name in ("guard", "latch", "response", "evacuation", "incident")} == {"passed"}
                assert links["chargers"] == "failed", "no charger is connected, and the drill says so"
                number = drills.drills[0].drill_id
                await shown(link, IncidentsView, lambda view: any(row.incident_id == number for row in view.closed))
                assert document(settings.incidents, number)["as_written"] is True
                begun = await order(link, cmd.BeginEvacuation, area=SITE)
                assert begun.status is cmd.CommandStatus.DONE, begun.message
                assert (await order(link, cmd.CheckIn, person_id="S-1")).status is cmd.CommandStatus.DONE
                before = await shown(link, EvacuationView, lambda view: view.running is not None and view.running.recorded)
                assert before.running is not None
                first.kill()
                await first.wait()
            async with core(config), CoreLink(settings.link_path) as link:
                after = await shown(link, EvacuationView, lambda view: view.running is not None)
                assert after.running is not None
                assert (after.running.deadline, after.running.not_seen) == (before.running.deadline, 1)
                assert [row.name for row in after.running.people if row.presence == "safe"] == ["V. More"]
                assert (await order(link, cmd.EndEvacuation, role=Role.ADMIN)).status is cmd.CommandStatus.REFUSED
                ended = await order(link, cmd.EndEvacuation, role=Role.ADMIN, despite_missing=True)
                assert ended.status is cmd.CommandStatus.DONE, ended.message
                incidents = await shown(link, IncidentsView, lambda view: len(view.open) == 1)
                number = incidents.open[0].incident_id
                closed = await order(link, cmd.CloseIncident, incident_id=number, role=Role.ADMIN)
                assert closed.status is cmd.CommandStatus.DONE, closed.message
        found = document(settings.incidents, number)
        assert found["as_written"] is True
        assert [person["presence"] for person in found["people"]["people"]] == ["safe", "not seen"]

    asyncio.run(main())
