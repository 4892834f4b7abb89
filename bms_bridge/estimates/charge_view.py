"""What people and machines read of a pack's state of charge. Plain data."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import msgspec

MOST_OLD: Final = timedelta(minutes=15)
"""A pack that was moving and has been silent for longer has no state of charge any more."""


class ChargeState(msgspec.Struct, frozen=True):
    """State of charge as current and voltage tell it, after the last step that was heard, ``at``. Shares; ``low``, ``high``: 90 % interval;
    null: there is none, for ``reason``. ``resting``: nothing flowed. ``bms_soc``: what its own system says, null: nothing lately;
    ``disagree``: the two are farther apart than both may be wrong, as ``note`` says. ``curve``: which open-circuit curve;
    ``curve_off_mv``: how far the curve that it began with is off where it was seen, null: not known; ``curve_wrong``: more than
    that curve claims, as ``curve_note`` says. ``capacity_ah``, ``cell_mohm`` (ohmic, one cell or parallel group, at 25 °C),
    ``offset_a`` (of the current sensor): as the filter found them, with 90 % intervals.
    ``fullest_cell``, ``emptiest_cell`` (from 1) with shares of charge
    beside the mean cell, ``cells_error``: half of the interval of their difference; null: not told by cell. ``full_at``: its last full
    charge. ``curve_mean_mv``: how far its own curve lies above the one that it began with, in the mean (below: negative);
    ``curve_off_wrong``: what was seen between full charges, not its rests alone, says that the first curve is wrong."""

    at: datetime
    soc: float | None
    low: float | None
    high: float | None
    reason: str
    resting: bool = False
    bms_soc: float | None = None
    disagree: bool = False
    note: str = ""
    curve: str = ""
    curve_off_mv: float | None = None
    curve_wrong: bool = False
    curve_note: str = ""
    capacity_ah: float | None = None
    capacity_low_ah: float | None = None
    capacity_high_ah: float | None = None
    cell_mohm: float | None = None
    cell_low_mohm: float | None = None
    cell_high_mohm: float | None = None
    offset_a: float | None = None
    full_at: datetime | None = None
    curve_mean_mv: float | None = None
    curve_off_wrong: bool = False
    fullest_cell: int | None = None
    fullest_by: float | None = None
    emptiest_cell: int | None = None
    emptiest_by: float | None = None
    cells_error: float | None = None


class ChargePoint(msgspec.Struct, frozen=True):
    """What was said of a pack's state of charge at a time: shares with the 90 % interval, null: nothing; ``bms_soc``: by its own system."""

    at: datetime
    soc: float | None
    low: float | None
    high: float | None
    bms_soc: float | None


def as_of(state: ChargeState | None, at: datetime) -> ChargeState | None:
    """The same, read at a later time: a pack that was moving when it fell silent may hold anything by now."""
    if state is None or state.soc is None or state.resting or at - state.at <= MOST_OLD:
        return state
    minutes = (at - state.at).total_seconds() / 60
    said = f"nothing was heard for {minutes:.0f} minutes" if minutes < 180 else f"nothing was heard for {minutes / 60:.0f} hours"
    return msgspec.structs.replace(
        state, soc=None, low=None, high=None, disagree=False, note="", reason=f"{said}; it held {state.low:.0%} to {state.high:.0%} then"
    )
