"""Demand blocks: the mean power of the running 15 or 30 minutes, on which the utility bills the month's peak.

Pure. Blocks are half-open and aligned to the depot's local clock; a block belongs to the local month in which it begins.
Readings are held until the next one, but no longer than :data:`LONGEST_HOLD_S`: what nobody measured is not made up.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from grid import GridError

__all__ = ["DemandBlocks", "DemandStatus"]

LONGEST_HOLD_S = 60.0
COUNTED_COVER = 0.8
"""A block counts for the month's peak once this share of it was measured: a start just before its end says little."""


@dataclass(frozen=True, slots=True)
class DemandStatus:
    """The running block, W. ``mean_w``: of what was measured of it, None before the first reading; ``expected_w``: at its
    end, if the newest power stays; ``covered``: the measured share of the time gone by."""

    begins_at: datetime
    ends_at: datetime
    mean_w: int | None
    expected_w: int | None
    month_peak_w: int
    covered: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandBlocks:
    """The tracker: an immutable value, moved on by :meth:`advanced`. ``month_peak_w``: the highest counted block mean
    of the month so far; give it what the utility's meter shows when the month did not begin here."""

    interval_min: int = 15
    timezone: str = "Asia/Kolkata"
    month_peak_w: int = 0
    at: datetime | None = None
    power_w: int = 0
    begins_at: datetime | None = None
    energy_ws: float = 0.0
    measured_s: float = 0.0

    def __post_init__(self) -> None:
        if self.interval_min < 1 or 1440 % self.interval_min:
            raise GridError(f"demand blocks of {self.interval_min} min do not fill a day; use 15 or 30")

    def advanced(self, at: datetime, power_w: int) -> DemandBlocks:
        """The tracker after a reading of ``power_w`` at ``at``. A reading older than the newest one changes nothing."""
        if self.at is not None and at < self.at:
            return self
        return replace(self._until(at), at=at, power_w=power_w)

    def status(self, now: datetime) -> DemandStatus:
        """The block that runs at ``now``, if the newest power held until now."""
        state = self._until(now)
        begins_at, ends_at = self._block(now)
        gone_s = (now - begins_at).total_seconds()
        left_s = (ends_at - now).total_seconds()
        mean = state.energy_ws / state.measured_s if state.measured_s else None
        if mean is None:
            expected = None if state.at is None else float(state.power_w)
        else:
            expected = (mean * gone_s + state.power_w * left_s) / (gone_s + left_s)
        return DemandStatus(
            begins_at=begins_at,
            ends_at=ends_at,
            mean_w=None if mean is None else round(mean),
            expected_w=None if expected is None else round(expected),
            month_peak_w=state.month_peak_w,
            covered=state.measured_s / gone_s if gone_s else 1.0,
        )

    def allowed_w(self, limit_w: int, now: datetime) -> int:
        """The constant power that takes the running block's mean to ``limit_w`` exactly at its end; may be negative.
        What was not measured of the block counts as its mean so far."""
        status = self.status(now)
        gone_s = (now - status.begins_at).total_seconds()
        left_s = (status.ends_at - now).total_seconds()
        return int((limit_w * (gone_s + left_s) - (status.mean_w or 0) * gone_s) // left_s)

    def _until(self, at: datetime) -> DemandBlocks:
        """Hold the newest power until ``at``, closing the blocks that end on the way."""
        state = self
        begins_at, ends_at = self._block(self.at or at)
        if state.begins_at is None:
            state = replace(state, begins_at=begins_at)
        if state.at is not None:
            held_until = min(at, state.at + timedelta(seconds=LONGEST_HOLD_S))
            since = state.at
            while ends_at <= held_until:
                state = state._measured((ends_at - since).total_seconds())._closed(ends_at)
                since = ends_at
                begins_at, ends_at = self._block(since)
            if held_until > since:
                state = state._measured((held_until - since).total_seconds())
        if ends_at <= at:
            state = state._closed(self._block(at)[0])
        return state

    def _measured(self, seconds: float) -> DemandBlocks:
        return replace(self, energy_ws=self.energy_ws + self.power_w * seconds, measured_s=self.measured_s + seconds)

    def _closed(self, next_begins_at: datetime) -> DemandBlocks:
        """The running block is over and the one at ``next_begins_at`` begins."""
        counted = self.measured_s >= COUNTED_COVER * self.interval_min * 60
        peak_w = max(self.month_peak_w, round(self.energy_ws / self.measured_s)) if counted else self.month_peak_w
        if self.begins_at is not None and self._month(self.begins_at) != self._month(next_begins_at):
            peak_w = 0
        return replace(self, begins_at=next_begins_at, energy_ws=0.0, measured_s=0.0, month_peak_w=peak_w)

    def _month(self, at: datetime) -> tuple[int, int]:
        local = at.astimezone(ZoneInfo(self.timezone))
        return local.year, local.month

    def _block(self, at: datetime) -> tuple[datetime, datetime]:
        local = at.astimezone(ZoneInfo(self.timezone))
        offset = local.utcoffset() or timedelta()
        seconds = (at.astimezone(UTC) + offset).replace(tzinfo=None) - datetime(1970, 1, 1)  # noqa: DTZ001  # local wall clock
        block = timedelta(minutes=self.interval_min)
        begins_at = at.astimezone(UTC) - seconds % block
        return begins_at, begins_at + block
