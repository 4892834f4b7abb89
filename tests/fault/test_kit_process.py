"""Alarms and the audit trail in the real core: they stand over ``kill -9``, and the trail is sound after it."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.real_depot import free_offset, tell
from controller.alarm_view import AlarmRow, AlarmsView
from controller.app.demo import write_depot
from controller.audit import verify
from controller.audit_desk import AuditView
from controller.link import CoreLink, CoreUnreachable
from controller.settings import Settings
from depot import commands as cmd
from simulator.demo_day import demo_spec
from storage import Store

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.apart, pytest.mark.timeout(240), pytest.mark.anyio]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A depot whose meter is silent, in real time, on free ports."""
    path, _ = write_depot(tmp_path, spec=demo_spec(), start=datetime.now(UTC), speed=1, port_offset=free_offset())
    text = path.read_text(encoding="utf-8")
    path.write_text(text[: text.index("[clock]")], encoding="utf-8")
    return path


def start(module: str, config: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", module, str(config)], cwd=ROOT, stderr=subprocess.DEVNULL)


@contextlib.asynccontextmanager
async def core(config: Path) -> AsyncIterator[tuple[subprocess.Popen[bytes], CoreLink]]:
    process = start("controller.app.core_process", config)
    try:
        async with CoreLink(Settings.load(config).link_path) as link:
            async with asyncio.timeout(60):
                while link.view is None:  # noqa: ASYNC110  # another process tells nobody
                    await asyncio.sleep(0.1)
            yield process, link
    finally:
        process.kill()
        process.wait(10)


async def until(what: Callable[[], Awaitable[bool]], patience_s: float = 60.0) -> None:
    async with asyncio.timeout(patience_s):
        while True:
            with contextlib.suppress(CoreUnreachable):
                if await what():
                    return
            await asyncio.sleep(0.2)


async def meter(link: CoreLink) -> AlarmRow | None:
    view = await link.show(AlarmsView)
    assert view is not None
    return next((row for row in view.rows if row.kind == "meter_silent"), None)


async def audit(link: CoreLink) -> AuditView:
    view = await link.show(AuditView)
    assert view is not None
    return view


async def test_alarms_and_the_trail_stand_over_a_kill(config: Path) -> None:
    async with core(config) as (process, link):

        async def raised() -> bool:
            return await meter(link) is not None

        await until(raised)
        result = await tell(link, cmd.AcknowledgeAlarms(command_id="ack-1", actor="omar", reason="fuse", keys=("meter_silent:",)))
        assert result.status is cmd.CommandStatus.DONE
        process.kill()
        process.wait(10)
    async with core(config) as (_, link):
        await asyncio.sleep(8)  # longer than its delay: it would have been raised again
        row = await meter(link)
        assert row is not None
        assert (row.state, row.acknowledged_by, row.times) == ("acknowledged", "omar", 1)
        await tell(link, cmd.CheckAudit(command_id="check-1", actor="omar", reason="after the kill"))

        async def checked() -> bool:
            return (await audit(link)).check.at is not None

        await until(checked)
        view = await audit(link)
        assert view.check.complaint is None
        assert view.check.entries >= 3
        assert {e.kind for e in view.entries} == {"AcknowledgeAlarms", "CheckAudit"}
    with Store.open(Settings.load(config).database, read_only=True) as store:
        assert verify(store, Settings.load(config).depot.id).sound
