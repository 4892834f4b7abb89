"""What a process itself uses: memory, open files, processor time. Read from /proc, at most every ten seconds.

/proc/self --ProcessProbe()--> ProcessView (in Health, for screens and metrics)
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable
from pathlib import Path

from controller.readmodel import ProcessView

EVERY_S = 10.0
"""Reading costs some tenths of a millisecond with a thousand connections; nobody needs it every second."""

_SELF = Path("/proc/self")


class ProcessProbe:
    """Call it for the newest figures. ``monotonic`` is real time, whatever the depot's clock does."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._page_bytes = resource.getpagesize()
        self._read_at_s = 0.0
        self._found: ProcessView | None = None

    def __call__(self) -> ProcessView | None:
        """None where the system has no /proc."""
        now_s = self._monotonic()
        if self._found is None or now_s - self._read_at_s >= EVERY_S:
            self._read_at_s = now_s
            self._found = self._read()
        return self._found

    def _read(self) -> ProcessView | None:
        try:
            resident_pages = int((_SELF / "statm").read_text(encoding="ascii").split()[1])
            open_fds = len(os.listdir(_SELF / "fd")) - 1  # noqa: PTH208  # a thousand Path objects are not needed; one is the listing's own
        except (OSError, ValueError, IndexError):
            return None
        return ProcessView(rss_bytes=resident_pages * self._page_bytes, open_fds=open_fds, cpu_s=round(time.process_time(), 2))
