"""Demand blocks: the mean power of the running 15 or 30 minutes, on which the utility bills the month's peak.

    reading --> DemandBlocks.advanced() --> status()    the running block: mean, prediction, month's peak
                                        --> finished    the blocks that ended, as a billing meter keeps them

Pure. Blocks are half-open and aligned to the depot's local clock as the *billing meter* shows it: ``clock_offset_s`` is by
how much that clock is ahead of ours. A block belongs to the local month in which it begins. Only import counts: what flows
to the grid stands in a register of its own and takes nothing off a block. Readings are held until the next one, but no
longer than :data:`LONGEST_HOLD_S`: what nobody measured is not made up. Where the meter tells its energy register, the
register bounds what the integral of power says.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from depot.metering import MeterBlock
from grid import GridError

__all__ = ["DemandBlocks", "DemandStatus", "block_of"]

LONGEST_HOLD_S = 60.0
COUNTED_COVER = 0.8
"""A block counts for the month's peak once this share of it was measured: a start just before its end says little."""

APPARENT_COVER = 0.95
"""The apparent energy of a block is told where it was measured for this share of the measured time."""

JUMP_WH = 2000
"""A register may be ahead of twice what power explains by this: it counts in lumps, and power between two readings is not seen."""

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # local wall clock


@dataclass(frozen=True, slots=True)
class DemandStatus:
    """The running block, import only, on our clock. ``mean_w``, ``mean_va``: of what was measured of it, None before the first
    reading; ``expected_w``, ``predicted_va``: at its end, if the newest power (or what was foreseen) stays; ``covered``: the
    measured share of the time gone by. ``error_w``: how far such predictions were off lately, None: not known yet."""

    begins_at: datetime
    ends_at: datetime
    mean_w: int | None
    expected_w: int | None
    month_peak_w: int
    covered: float
    mean_va: int | None = None
    predicted_va: int | None = None
    month_peak_va: int = 0
    error_w: int | None = None


@dataclass(frozen=True, slots=True)
class _Register:
    """The energy register over the block that runs. ``count_wh``: the smallest step seen of it, which is its resolution (None:
    it has not moved yet); ``integral_ws``: what power says of the same time."""

    first_wh: int
    newest_wh: int
    count_wh: int | None = None
    integral_ws: float = 0.0

    @property
    def correction_ws(self) -> float:
        """What to add to the integral so that it lies within one count of the register."""
        if self.count_wh is None:
            return 0.0
        taken_wh = self.newest_wh - self.first_wh
        least, most = (taken_wh - self.count_wh) * 3600.0, (taken_wh + self.count_wh) * 3600.0
        return min(max(self.integral_ws, least), most) - self.integral_ws

    def read(self, import_wh: int) -> _Register | None:
        """After its next reading; None: that cannot be the same register (it fell, or jumped more than power explains)."""
        step_wh, taken_wh = import_wh - self.newest_wh, import_wh - self.first_wh
        if step_wh < 0 or taken_wh > 2 * self.integral_ws / 3600 + (self.count_wh or 0) + JUMP_WH:
            return None
        count_wh = self.count_wh if step_wh == 0 else min(step_wh, self.count_wh or step_wh)
        return replace(self, newest_wh=import_wh, count_wh=count_wh)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandBlocks:
    """The tracker: an immutable value, moved on by :meth:`advanced`. ``month_peak_w``, ``month_peak_va``: the highest counted
    block means of the month so far; give what the utility's meter shows when the month did not begin here. ``finished``:
    the blocks that the last step ended; one that was not measured at all is not among them."""

    interval_min: int = 15
    timezone: str = "Asia/Kolkata"
    clock_offset_s: float = 0.0
    month_peak_w: int = 0
    month_peak_va: int = 0
    at: datetime | None = None
    power_w: int = 0
    apparent_va: int | None = None
    begins_at: datetime | None = None
    energy_ws: float = 0.0
    export_ws: float = 0.0
    apparent_vas: float = 0.0
    measured_s: float = 0.0
    apparent_s: float = 0.0
    register: _Register | None = None
    finished: tuple[MeterBlock, ...] = ()

    def __post_init__(self) -> None:
        if self.interval_min < 1 or 1440 % self.interval_min:
            raise GridError(f"demand blocks of {self.interval_min} min do not fill a day; use 15 or 30")

    def advanced(self, at: datetime, power_w: int, *, apparent_va: int | None = None, import_wh: int | None = None) -> DemandBlocks:
        """The tracker after a reading of ``power_w`` (export negative), ``apparent_va`` and the register ``import_wh`` at ``at``.
        A reading older than the newest one changes nothing but that no block is finished."""
        if self.at is not None and at < self.at:
            return replace(self, finished=()) if self.finished else self
        state = replace(self, finished=()) if self.finished else self
        state = state._until(at)
        state = state._registered(self.at, at, power_w, import_wh)
        return replace(state, at=at, power_w=power_w, apparent_va=apparent_va)

    def status(self, now: datetime, *, ahead: tuple[tuple[float, float], ...] = (), error_w: int | None = None) -> DemandStatus:
        """The block that runs at ``now``, if the newest power held until now. ``ahead``: what is foreseen after ``now``, as
        (seconds from now on, W), ordered; before the first and without any the newest power holds."""
        state = self._until(now)
        begins_at, ends_at = self._block(now)
        gone_s = (now - begins_at).total_seconds()
        left_s = (ends_at - now).total_seconds()
        mean = state._energy_ws / state.measured_s if state.measured_s else None
        mean_va = state.apparent_vas / state.apparent_s if state.apparent_s else None
        coming_w = None if state.at is None else _mean_ahead(max(0, state.power_w), ahead, left_s)
        expected = coming_w
        if mean is not None and coming_w is not None:
            expected = (mean * gone_s + coming_w * left_s) / (gone_s + left_s)
        predicted_va = None
        if coming_w is not None and state.apparent_va is not None:
            held_va = coming_w * _per_watt(state.apparent_va, state.power_w)
            predicted_va = held_va if mean_va is None else (mean_va * gone_s + held_va * left_s) / (gone_s + left_s)
        return DemandStatus(
            begins_at=begins_at,
            ends_at=ends_at,
            mean_w=None if mean is None else round(mean),
            expected_w=None if expected is None else round(expected),
            month_peak_w=state.month_peak_w,
            covered=state.measured_s / gone_s if gone_s else 1.0,
            mean_va=None if mean_va is None else round(mean_va),
            predicted_va=None if predicted_va is None else round(predicted_va),
            month_peak_va=state.month_peak_va,
            error_w=error_w,
        )

    def allowed_w(self, limit_w: int, now: datetime) -> int:
        """The constant power that takes the running block's mean to ``limit_w`` exactly at its end; may be negative.
        What was not measured of the block counts as its mean so far. What the limiter follows is stricter:
        :func:`grid.block_allowance.allowed_w`."""
        status = self.status(now)
        gone_s = (now - status.begins_at).total_seconds()
        left_s = (status.ends_at - now).total_seconds()
        return int((limit_w * (gone_s + left_s) - (status.mean_w or 0) * gone_s) // left_s)

    @property
    def _energy_ws(self) -> float:
        """Import of the running block: the integral of power, held within one count of the register where there is one."""
        return max(0.0, self.energy_ws + (self.register.correction_ws if self.register is not None else 0.0))

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
        import_ws = max(0, self.power_w) * seconds
        register = self.register
        if register is not None:
            register = replace(register, integral_ws=register.integral_ws + import_ws)
        known = self.apparent_va is not None
        return replace(
            self,
            energy_ws=self.energy_ws + import_ws,
            export_ws=self.export_ws + max(0, -self.power_w) * seconds,
            apparent_vas=self.apparent_vas + ((self.apparent_va or 0) * seconds if self.power_w >= 0 else 0.0),
            measured_s=self.measured_s + seconds,
            apparent_s=self.apparent_s + (seconds if known else 0.0),
            register=register,
        )

    def _registered(self, before: datetime | None, at: datetime, power_w: int, import_wh: int | None) -> DemandBlocks:
        """Take the register's reading at ``at``, with its power. It bridges a silence that lies wholly inside of one block. A
        register that was reset or replaced begins anew, and what it said before stays."""
        if import_wh is None:
            return self
        register, state = self.register, self
        silent_s = 0.0 if before is None else (at - before).total_seconds() - LONGEST_HOLD_S
        if register is not None and before is not None and silent_s > 0 and self.begins_at is not None and before >= self.begins_at:
            bridged_ws = max(0.0, (import_wh - register.newest_wh) * 3600.0 - max(0, self.power_w) * LONGEST_HOLD_S)
            if bridged_ws <= 2 * max(0, power_w, self.power_w) * silent_s + JUMP_WH * 3600:
                state = replace(self, energy_ws=self.energy_ws + bridged_ws, measured_s=self.measured_s + silent_s)
                register = replace(register, integral_ws=register.integral_ws + bridged_ws)
        taken = None if register is None else register.read(import_wh)
        if taken is not None and silent_s > 0 and register is not None:
            taken = replace(taken, count_wh=register.count_wh)  # the step of a long time tells nothing of the resolution
        if taken is None:
            return replace(state, energy_ws=state._energy_ws, register=_Register(import_wh, import_wh))
        return replace(state, register=taken)

    def _closed(self, next_begins_at: datetime) -> DemandBlocks:
        """The running block is over and the one at ``next_begins_at`` begins."""
        finished, peak_w, peak_va = self.finished, self.month_peak_w, self.month_peak_va
        if self.measured_s and self.begins_at is not None:
            block = self._record(self.begins_at)
            finished = (*finished, block)
            if self.measured_s >= COUNTED_COVER * self.interval_min * 60:
                peak_w = max(peak_w, round(self._energy_ws / self.measured_s))
                if block.import_vah is not None:
                    peak_va = max(peak_va, round(self.apparent_vas / self.apparent_s))
        if self.begins_at is not None and self._month(self.begins_at) != self._month(next_begins_at):
            peak_w = peak_va = 0
        register = self.register
        return replace(
            self,
            begins_at=next_begins_at,
            energy_ws=0.0,
            export_ws=0.0,
            apparent_vas=0.0,
            measured_s=0.0,
            apparent_s=0.0,
            month_peak_w=peak_w,
            month_peak_va=peak_va,
            register=None if register is None else _Register(register.newest_wh, register.newest_wh, register.count_wh),
            finished=finished,
        )

    def _record(self, begins_at: datetime) -> MeterBlock:
        import_vah = None
        if self.apparent_s >= APPARENT_COVER * self.measured_s:
            import_vah = round(self.apparent_vas * self.measured_s / self.apparent_s / 3600)
        return MeterBlock(
            begins_at=begins_at + timedelta(seconds=self.clock_offset_s),
            minutes=self.interval_min,
            import_wh=round(self._energy_ws / 3600),
            import_vah=import_vah,
            export_wh=round(self.export_ws / 3600),
            covered=min(1.0, self.measured_s / (self.interval_min * 60)),
        )

    def _month(self, begins_at: datetime) -> tuple[int, int]:
        local = (begins_at + timedelta(seconds=self.clock_offset_s)).astimezone(ZoneInfo(self.timezone))
        return local.year, local.month

    def _block(self, at: datetime) -> tuple[datetime, datetime]:
        return block_of(at, interval_min=self.interval_min, zone=ZoneInfo(self.timezone), clock_offset_s=self.clock_offset_s)


def block_of(at: datetime, *, interval_min: int, zone: ZoneInfo, clock_offset_s: float = 0.0) -> tuple[datetime, datetime]:
    """Begin and end, in UTC on our clock, of the block that holds ``at`` by a meter's clock ``clock_offset_s`` ahead of ours."""
    shown = at.astimezone(UTC) + timedelta(seconds=clock_offset_s)
    offset = shown.astimezone(zone).utcoffset() or timedelta()
    block = timedelta(minutes=interval_min)
    begins_at = shown - ((shown + offset).replace(tzinfo=None) - _EPOCH) % block - timedelta(seconds=clock_offset_s)
    return begins_at, begins_at + block


def _mean_ahead(held_w: float, ahead: tuple[tuple[float, float], ...], left_s: float) -> float:
    """Mean of what is foreseen over the next ``left_s`` seconds."""
    if left_s <= 0:
        return held_w
    total, since_s, power_w = 0.0, 0.0, held_w
    for from_s, then_w in ahead:
        if from_s >= left_s:
            break
        total += power_w * (max(from_s, since_s) - since_s)
        since_s, power_w = max(from_s, since_s), max(0.0, then_w)
    return (total + power_w * (left_s - since_s)) / left_s


def _per_watt(apparent_va: int, power_w: int) -> float:
    """VA per W of the newest reading; at low load, where the quotient says nothing, 1."""
    return max(1.0, apparent_va / power_w) if power_w > 0 and apparent_va < 2 * power_w else 1.0
