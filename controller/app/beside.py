"""What processes share: the port that they listen on, their end at a signal, and the frame of settings, logs and exit codes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Awaitable, Callable

from controller.app.exits import exit_code_of, sentence
from controller.logs import set_up
from controller.settings import Settings

log = logging.getLogger(__name__)


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens; :class:`ConnectionError` names a port in use."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise ConnectionError(f"cannot listen on {host}:{port}: {error.strerror}; stop what uses it, or set another port") from None
    sock.listen(128)
    return sock


def mask_logs(settings: Settings) -> None:
    """Where drivers pay, this process's lines show no phone number and no address in plain; call it after the logs are set up."""
    if settings.payments is None:
        return
    from payments.masks import LogFilter

    for handler in logging.getLogger().handlers:
        handler.addFilter(LogFilter())


async def until_told(work: Awaitable[object]) -> None:
    """Do it to its end, or until SIGTERM or SIGINT, which cancel it: it then has the time that it needs to end well."""
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: task.cancel() if task is not None else None)
    with contextlib.suppress(asyncio.CancelledError):
        await work


def run_process(name: str, argv: list[str], work: Callable[[Settings], object]) -> int:
    """The frame of a process beside the core: settings, logs, exit codes."""
    set_up(name)
    try:
        settings = Settings.load(argv[0])
        set_up(name, level=settings.logging.level, json_lines=settings.logging.json_lines)
        mask_logs(settings)
        work(settings)
    except Exception as error:
        code = exit_code_of(error)
        if code is None:
            raise
        log.error("%s", sentence(error))
        return code
    return 0
