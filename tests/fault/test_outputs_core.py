"""Outputs of the real core: isolated over its socket, killed with -9, dropped out by the watchdog, isolated still, reset by a person."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from test_core_process import ROOT, config

from controller.link import CoreLink
from controller.output_view import OutputsView
from controller.settings import Settings
from depot import commands as cmd
from depot.outputs import Area
from depot.values import Role
from simulator.demo_day import demo_spec
from simulator.io_module import WATCHDOG, IoModule

__all__ = ["config"]
pytestmark = [pytest.mark.serial, pytest.mark.timeout(240)]

FEEDER = Area.of("feeder", demo_spec().feeders[0].feeder_id)
K_FEEDER, K_SITE, SIREN = range(3)

SECTIONS = f"""
[[output]]
id = "K-feeder"
kind = "contactor"
scope = "feeder"
area = "{FEEDER.area_id}"
host = "127.0.0.1"
port = PORT
address = {K_FEEDER}
de_energised = "open"
read_table = "discrete"
read_address = {K_FEEDER}
read_on_means = "closed"
watchdog_address = {WATCHDOG}
settle_s = 6

[[output]]
id = "K-site"
kind = "isolation"
scope = "site"
host = "127.0.0.1"
port = PORT
address = {K_SITE}
de_energised = "open"
read_table = "discrete"
read_address = {K_SITE}
read_on_means = "closed"
watchdog_address = {WATCHDOG}
settle_s = 6

[[output]]
id = "siren"
kind = "siren"
scope = "site"
host = "127.0.0.1"
port = PORT
address = {SIREN}
de_energised = "silent"
watchdog_address = {WATCHDOG}
settle_s = 6
"""


@asynccontextmanager
async def core(config: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "controller.app.core_process", str(config),
        cwd=ROOT, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def said(config: Path, command: cmd.Command) -> tuple[cmd.CommandResult, OutputsView]:
    """What the core answers, and what it shows then."""
    async with CoreLink(Settings.load(config).link_path) as link, asyncio.timeout(30):
        async for _ in link.views():
            break
        result = await link.command(command)
        found = await link.show(OutputsView)
        assert found is not None
        return result, found


def test_a_killed_core_drops_everything_out_and_what_was_isolated_stays_so(config: Path) -> None:
    async def main() -> None:
        async with asyncio.timeout(200), IoModule(watchdog_s=5.0) as module:
            with config.open("a", encoding="utf-8") as file:
                file.write(SECTIONS.replace("PORT", str(module.port)))
            async with core(config) as first:
                await module.until(K_FEEDER, True)
                await module.until(K_SITE, True)
                isolate = cmd.IsolateArea(command_id="i1", actor="ola", reason="smoke", area=FEEDER)
                began = datetime.now(UTC)
                result, shown = await said(config, isolate)
                assert result.status is cmd.CommandStatus.DONE, result.message
                await module.until(SIREN, True)
                await module.until(K_FEEDER, False)
                assert (datetime.now(UTC) - began).total_seconds() < 30
                assert [(row.area, row.by) for row in shown.isolated] == [(str(FEEDER), "ola")]
                assert module.pulled_in[K_SITE] is True
                dropped_out = module.dropped_out
                first.kill()
                await first.wait()
                await module.until(K_SITE, False)
                await module.until(SIREN, False)
                assert module.dropped_out == dropped_out + 1
            module.moves.clear()
            async with core(config):
                await module.until(K_SITE, True)
                await module.until(SIREN, True)
                assert (K_FEEDER, True) not in module.moves
                reset = cmd.ResetArea(command_id="r1", actor="ola", reason="gone", area=FEEDER, role=Role.OPERATOR)
                result, _ = await said(config, reset)
                assert result.status is cmd.CommandStatus.REFUSED
                reset = cmd.ResetArea(command_id="r2", actor="sam", reason="gone", area=FEEDER, role=Role.SAFETY_OFFICER)
                result, shown = await said(config, reset)
                assert result.status is cmd.CommandStatus.DONE, result.message
                assert shown.isolated == []
                await module.until(K_FEEDER, True)
                await module.until(SIREN, False)

    asyncio.run(main())
