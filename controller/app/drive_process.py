"""The drivers' pages as a process: ``python -m controller.app.drive_process depot.toml``. It reads what the core shows and sends the
driver's orders; it knows no person of the depot, no database, and no address but its own."""

from __future__ import annotations

import asyncio
import logging
import os
import sys

import uvicorn

from controller.app.beside import listening, run_process
from controller.clock import SystemClock
from controller.drive_keys import drive_key
from controller.link import CoreLink
from controller.settings import Settings, SettingsError
from controller.supervisor import notify_ready
from web.driver_app import DriveSettings, create_drive_app

log = logging.getLogger(__name__)

NICENESS = 5
"""Drivers' phones wait before chargers do."""


def drive_settings(settings: Settings) -> DriveSettings:
    """What the site is told. Raises :class:`~controller.settings.SettingsError`, :class:`~controller.secrets.SecretError`."""
    drive = settings.drive
    if drive is None:
        raise SettingsError("there is no section [drive]: this depot has no pages for drivers")
    return DriveSettings(
        depot_id=settings.depot.id,
        url=settings.drive_url,
        key=drive_key(settings),
        host=drive.host,
        hosts=drive.names if drive.public_url else (),
        tls=drive.tls,
        cookie_s=drive.cookie_days * 86_400,
        address_header=drive.address_header,
        mandates_per_hour=drive.mandates_per_hour,
        mock_app=f"http://127.0.0.1:{settings.mock_gateway_port}/app" if settings.payments is not None and settings.payments.mock else "",
    )


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM."""
    told = drive_settings(settings)
    sock = listening(told.host, settings.drive_port)
    async with CoreLink(settings.link_path) as link:
        config = uvicorn.Config(
            create_drive_app(told, link, clock=SystemClock()),
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            lifespan="off",
            ws="none",
            timeout_keep_alive=15,
            timeout_graceful_shutdown=3,
            limit_concurrency=300,
            h11_max_incomplete_event_size=16 * 1024,
        )
        log.info("drivers' pages at http://%s:%d/drive, for phones at %s", told.host, sock.getsockname()[1], told.url)
        notify_ready()
        await uvicorn.Server(config).serve(sockets=[sock])


if __name__ == "__main__":
    os.nice(NICENESS)
    sys.exit(run_process("drive", sys.argv[1:], lambda settings: asyncio.run(serve(settings))))
