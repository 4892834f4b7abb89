"""When the core looks for cyclic garbage. A full look stops everything for as long as a thousand stations' objects take: a
third of a second on a slow machine, and left to itself the interpreter takes one every few seconds.

    settle()             once all is loaded: what is there stays, and is not looked through again
    collect_rarely()     a full look when memory has grown, or every ten minutes; young objects are looked at as ever

Most of what dies here dies by its reference count; cycles are what a closed connection leaves.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import resource
import time
from pathlib import Path

log = logging.getLogger(__name__)

YOUNG = 2_000
"""So many more objects than before are looked through; the interpreter's 700 are a handful of messages."""
MIDDLE = 10
NEVER = 1_000_000

GROWN_BYTES = 64 * 1024 * 1024
EVERY_S = 600.0
LOOK_S = 5.0

_STATM = Path("/proc/self/statm")
_PAGE = resource.getpagesize()


def settle() -> None:
    """Call it when everything is loaded and nothing is connected yet."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, NEVER)


async def collect_rarely() -> None:
    """Until cancelled. Real time: what counts is this process."""
    held, at_s = _resident(), time.monotonic()
    while True:
        await asyncio.sleep(LOOK_S)
        if _resident() - held >= GROWN_BYTES or time.monotonic() - at_s >= EVERY_S:
            began_s = time.monotonic()
            found = gc.collect()
            held, at_s = _resident(), time.monotonic()
            log.debug("%d objects of cyclic garbage in %.0f ms", found, (at_s - began_s) * 1000)


def _resident() -> int:
    """Resident memory of this process, bytes; 0 where the system does not say."""
    try:
        return int(_STATM.read_text(encoding="ascii").split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        return 0
