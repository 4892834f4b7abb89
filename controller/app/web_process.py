"""The web as a process: ``python -m controller.app.web_process depot.toml``. Stateless beside the people's database."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys

from controller.app.beside import run_process
from controller.app.people import open_people, web_settings
from controller.clock import SystemClock
from controller.logs import set_up
from controller.settings import Settings
from controller.supervisor import notify_ready, wait_for_go
from web.serve import open_socket, run_web

log = logging.getLogger(__name__)


async def serve(settings: Settings) -> None:
    """Serve the pages until SIGTERM."""
    sock = open_socket(web_settings(settings))
    with contextlib.closing(open_people(settings)) as store:
        log.info("pages at http://%s:%d", settings.web.host, sock.getsockname()[1])
        notify_ready()
        await run_web(web_settings(settings), socket_path=settings.link_path, store=store, clock=SystemClock(), sock=sock)


NICENESS = 5
"""Pages wait before chargers do: on a small machine who leafs through them must not delay a stop."""


def main(argv: list[str]) -> int:
    """Entry point."""
    os.nice(NICENESS)
    set_up("web")
    wait_for_go()
    return run_process("web", argv, lambda settings: asyncio.run(serve(settings)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
