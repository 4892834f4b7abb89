"""The mock payment gateway as a process: ``python -m controller.app.gateway_process depot.toml``. Test keys only, on this
machine only, with books of its own; it never takes real money."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from pathlib import Path

from rich.console import Console

from controller.app.beside import listening, run_process
from controller.app.clocks import clock_of
from controller.logs import set_up
from controller.settings import Settings, SettingsError
from controller.supervisor import notify_ready
from payments import UnsafeKeys
from payments.keys import keys_from
from payments.mock_gateway import serve as gateway
from payments.mock_gateway.settings import MockSettings
from payments.process import WEBHOOK_PATH

log = logging.getLogger(__name__)


def mock_settings(settings: Settings) -> MockSettings:
    """The mock that goes with a depot. Raises :class:`~controller.settings.SettingsError`, :class:`~payments.UnsafeKeys`."""
    if settings.payments is None:
        raise SettingsError("there is no section [payments]: nobody pays in this depot")
    keys = keys_from(os.environ)
    if keys.live:
        raise UnsafeKeys("a mock gateway takes test keys only (rzp_test_…): these are live keys")
    return MockSettings(
        database=settings.storage.path / f"{settings.depot.id}-mock-gateway.db",
        key_id=keys.key_id,
        key_secret=keys.key_secret,
        webhook_secret=keys.webhook_secrets[0],
        webhook_url=f"http://127.0.0.1:{settings.webhook_port}{WEBHOOK_PATH}",
        notice_s=settings.payments.mock_notice_s,
        decide_s=settings.payments.mock_decide_s,
    )


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM."""
    mock = mock_settings(settings)
    settings.storage.path.mkdir(parents=True, exist_ok=True, mode=0o700)
    sock = listening("127.0.0.1", settings.mock_gateway_port)
    log.info("mock gateway: no money moves. API and the driver's app at http://127.0.0.1:%d/app", sock.getsockname()[1])
    await gateway.run(mock, clock=clock_of(settings), sock=sock, ready=notify_ready)


def run_gateway(config: Path, port_offset: int, console: Console) -> int:
    """``./chargeyard gateway CONFIG``."""
    if port_offset:
        os.environ["CHARGEYARD_PORT_OFFSET"] = str(port_offset)
    settings = Settings.load(config)
    set_up("gateway", level=settings.logging.level, json_lines=settings.logging.json_lines)
    mock_settings(settings)
    console.print(
        f"Mock payment gateway: [bold]no real money[/]. API at http://127.0.0.1:{settings.mock_gateway_port}/v1, "
        f"the driver's UPI app at http://127.0.0.1:{settings.mock_gateway_port}/app. Ctrl-C ends it.",
        soft_wrap=True,
    )
    asyncio.run(serve(settings))
    return 0


if __name__ == "__main__":
    sys.exit(run_process("gateway", sys.argv[1:], lambda settings: asyncio.run(serve(settings))))
