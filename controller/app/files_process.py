"""The file service as a process: ``python -m controller.app.files_process depot.toml``. Serves firmware images to stations
and takes their logs; it knows the depot's secret and the shelf, and neither journal nor core."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from datetime import timedelta

import uvicorn

from controller.app.beside import listening, run_process
from controller.clock import SystemClock
from controller.files.service import Service
from controller.files.shelf import Shelf
from controller.files.tickets import key_of
from controller.secrets import depot_secret
from controller.settings import Settings, SettingsError
from controller.supervisor import notify_ready

log = logging.getLogger(__name__)

MB = 1024 * 1024
PRUNE_S = 3600.0
NICENESS = 10
"""A download of many stations must not delay a stop."""


def service_of(settings: Settings) -> Service:
    """The service as configured. Its clock is the world's: addresses expire in real time, also in a demo."""
    files = settings.files
    return Service(
        Shelf(settings.files_folder),
        key_of(depot_secret(settings)),
        SystemClock(),
        most_bytes=files.max_upload_mb * MB,
        kept_for=timedelta(days=files.kept_days),
        most_kept_bytes=files.kept_mb * MB,
    )


async def serve(settings: Settings) -> None:
    """Work until SIGTERM."""
    files = settings.files
    for path in (files.tls_cert, files.tls_key):
        if path is not None and not path.is_file():
            raise SettingsError(f"files: {path} is not there; correct tls_cert and tls_key")
    settings.storage.path.mkdir(parents=True, exist_ok=True, mode=0o700)
    service = service_of(settings)
    await asyncio.to_thread(service.shelf.prepare)
    sock = listening(files.host, settings.files_port)
    config = uvicorn.Config(
        service.app(),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        ws="none",
        timeout_keep_alive=15,
        timeout_graceful_shutdown=3,
        limit_concurrency=400,
        h11_max_incomplete_event_size=32 * 1024,
        ssl_certfile=files.tls_cert,
        ssl_keyfile=files.tls_key,
    )
    log.info("files for stations at %s", settings.files_url)
    pruning = asyncio.create_task(service.prune_forever(PRUNE_S), name="pruning")
    try:
        notify_ready()
        await uvicorn.Server(config).serve(sockets=[sock])
    finally:
        pruning.cancel()


if __name__ == "__main__":
    os.nice(NICENESS)
    sys.exit(run_process("files", sys.argv[1:], lambda settings: asyncio.run(serve(settings))))
