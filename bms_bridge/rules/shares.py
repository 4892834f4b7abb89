"""Shares of the level that rules leave."""

from __future__ import annotations

from typing import Final

from bms_bridge.chemistry import LEAST_SHARE

CAUTIOUS_SHARE: Final = 0.5
"""Share while something is wrong that is not a temperature, and while nothing is known."""


def falling(value: float, from_: float, full: float) -> float:
    """1 up to ``from_``, falling in a straight line to the least share at ``full``. ``full`` may lie below: then the share falls with
    the value."""
    part = min(1.0, max(0.0, (value - from_) / (full - from_)))
    return 1.0 - part * (1.0 - LEAST_SHARE)
