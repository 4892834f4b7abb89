"""What the system says about its clock: whether something (NTP, GPS) keeps it."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Final

TIMESYNCD: Final = Path("/run/systemd/timesync/synchronized")
"""Touched by systemd-timesyncd once it has set the clock since the machine's start."""

_STA_UNSYNC: Final = 0x0040
_TIME_ERROR: Final = 5


class _Timex(ctypes.Structure):
    """``struct timex`` of adjtimex(2), as far as it is read; the rest is room."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("room", ctypes.c_byte * 512),
    )


def synchronised() -> bool | None:
    """Whether the kernel calls the clock synchronised; None where nobody tells (another system, a sandbox)."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        found = _Timex()
        state = libc.adjtimex(ctypes.byref(found))
    except (OSError, AttributeError):
        return None
    if state < 0:
        return True if os.path.exists(TIMESYNCD) else None  # noqa: PTH110  # a sandbox forbids the call, not the file
    return state != _TIME_ERROR and not found.status & _STA_UNSYNC
