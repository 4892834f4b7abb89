"""What systemd is told about the process tree (sd_notify(3)): ready, alive, stopping. No library: one datagram each.

    Supervisor --ready() alive() status() stopping()--> $NOTIFY_SOCKET      without systemd: nothing happens

``WATCHDOG=1`` says that the supervisor itself goes on. It needs nothing of the children: those it watches and restarts
itself, and a core that hangs ends itself. A supervisor that is stopped dead is what nobody else would notice.
"""

from __future__ import annotations

import contextlib
import math
import os
import socket
from collections.abc import MutableMapping
from typing import Self


class ServiceManager:
    """``address`` None: there is none to tell. ``watchdog_s``: within so long it wants to hear from us; None: it does not."""

    def __init__(self, address: str | None = None, watchdog_s: float | None = None) -> None:
        self._address = address
        self._every_s = None if watchdog_s is None or address is None else watchdog_s / 2
        self._told_at_s = -math.inf
        self._status = ""
        self._ready = False

    @classmethod
    def from_environment(cls, environment: MutableMapping[str, str] | None = None) -> Self:
        """As the environment says, which forgets it: the children have nobody to tell."""
        found = os.environ if environment is None else environment
        address, watchdog_us, pid = (found.pop(name, None) for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"))
        if address is not None and address[:1] not in ("/", "@"):
            address = None
        meant = pid is None or pid == str(os.getpid())
        watchdog_s = int(watchdog_us) / 1e6 if watchdog_us is not None and watchdog_us.isdecimal() and int(watchdog_us) and meant else None
        return cls(address, watchdog_s)

    def ready(self) -> None:
        """Everything that others wait for works. Said once."""
        if not self._ready:
            self._ready = True
            self._tell("READY=1")

    def stopping(self) -> None:
        self._tell("STOPPING=1")

    def status(self, text: str) -> None:
        """One line for ``systemctl status``; told when it changes."""
        if text != self._status:
            self._status = text
            self._tell(f"STATUS={text}")

    def alive(self, now_s: float) -> None:
        """Tell it that we go on, where it is time to."""
        if self._every_s is not None and now_s >= self._told_at_s + self._every_s:
            self._told_at_s = now_s
            self._tell("WATCHDOG=1")

    def wait_s(self, now_s: float) -> float:
        """How long :meth:`alive` need not be called."""
        return math.inf if self._every_s is None else max(0.0, self._told_at_s + self._every_s - now_s)

    def _tell(self, text: str) -> None:
        if self._address is None:
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.setblocking(False)  # a service manager that does not read must not stop the depot
            sock.sendto(text.encode(), address)
