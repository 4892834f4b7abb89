"""Follows the demand block: what the meter reads becomes the running block, the kept blocks, and what may still be drawn.

    meter, once a second --> DemandBlocks --> status (views, SCADA), finished blocks --> BlockStore --> bills, history
                         --> Trail        --> allowances of limits on the block's average --> ControlLoop
                         --> MeterClock   --> where the billing meter's blocks begin

Not a room: shared by the Grid room, the planner and the bills, as the chart's history is. Hard limits (the contract demand,
limits of people on averages) go to limiter and planner; the month's peak target is soft: it binds the limiter alone, and gives
way to what the plan needs for its departures.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from controller.block_limits import BlockNow, Published, allowances, of_blocks
from controller.block_store import BlockMemory, BlockSource
from controller.history import Minute
from controller.limiter import least_w
from controller.yard import Yard
from depot.metering import MeterBlock
from depot.readings import SiteReading
from depot.values import Limit, LimitKind, LimitSource, Quantity, ScopeKind
from grid.block_allowance import Trail
from grid.block_prediction import PredictionError
from grid.demand import COUNTED_COVER, DemandBlocks, DemandStatus, block_of
from grid.meter_clock import MeterClock
from grid.months import Month

log = logging.getLogger(__name__)

LONG_AGO = datetime.fromisoformat("2000-01-01T00:00:00+00:00")

LEAST_FACTOR = 0.5
"""A measured power factor below this comes of a site at rest: it says nothing of what charging adds."""

MOVED_S = 5.0
"""The measured clock is taken over at a block's end once it differs by so much."""


@dataclass(frozen=True, slots=True)
class DemandSettings:
    """``contract_w``, ``contract_va``: what the block's average may be; ``target_w``: what it shall be. ``power_factor``: where
    apparent power is not measured. ``clock_offset_s``: of the billing meter, ahead of ours; None: measured, or 0;
    ``clock_error_s``: how far that may be off."""

    contract_w: int | None = None
    contract_va: int | None = None
    target_w: int | None = None
    power_factor: float = 0.95
    clock_offset_s: float | None = None
    clock_error_s: float = 30.0


class KeptBlocks(Protocol):
    """Where blocks are kept: :class:`controller.block_store.BlockStore`."""

    def put(self, source: BlockSource, blocks: Iterable[MeterBlock], *, replace: bool = True) -> bool: ...
    def flush(self) -> bool: ...
    def between(self, source: BlockSource, start: datetime, stop: datetime) -> Sequence[MeterBlock]: ...
    def months(self, source: BlockSource) -> tuple[datetime, datetime] | None: ...


class DemandWatch:
    """One per depot. ``minutes``: what was measured before this start. ``margin_share``: of the site's limit that the limiter
    leaves. ``on_lower``: called when less may be drawn than a moment ago."""

    def __init__(
        self,
        yard: Yard,
        settings: DemandSettings,
        *,
        interval_min: int,
        minutes: Iterable[Minute] = (),
        store: KeptBlocks | None = None,
        margin_share: float = 0.01,
        on_lower: Callable[[], None] = lambda: None,
    ) -> None:
        self.settings = settings
        self.chosen_w: int | None = None
        """The month's peak target as found from past nights; what the settings say comes before it."""
        self.store: KeptBlocks = store if store is not None else BlockMemory()
        self.interval_min = interval_min
        self.zone = ZoneInfo(yard.spec.timezone)
        self._yard = yard
        self._margin_share = margin_share
        self._on_lower = on_lower
        self._blocks = DemandBlocks(interval_min=interval_min, timezone=yard.spec.timezone, clock_offset_s=settings.clock_offset_s or 0.0)
        self._clock = MeterClock(interval_min=interval_min, timezone=yard.spec.timezone)
        self._error = PredictionError()
        keep_s = interval_min * 60 + 4 * settings.clock_error_s + 120
        self._watts, self._volt_amperes = Trail(keep_s), Trail(keep_s)
        self._published, self._soft_published = Published(), Published()
        self._taken: datetime | None = None
        self._least_w = math.inf
        self.known_since: datetime | None = None
        for minute in minutes:
            if minute.site_w is not None:
                self._measured(SiteReading(minute.at, minute.site_w), fresh=False)
        self._from_store()

    # -- readings -----------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Take the newest reading of the meter, once, and see whether less may be drawn."""
        reading = self._yard.site_reading
        if reading is not None and reading.at != self._taken:
            self._taken = reading.at
            self._measured(reading, fresh=True)
            self._clock = self._clock.read(reading.at, reading.demand_w)
        self.store.flush()
        now = self._yard.clock.now()
        status = self.status(now)
        if status.expected_w is not None:
            left_share = (status.ends_at - now) / (status.ends_at - status.begins_at)
            self._error = self._error.predicted(status.expected_w, left_share=left_share)
        least_w = min((limit.value for limit in (*self.limits(now), *self.soft_limits(now)) if limit.holds_at(now)), default=math.inf)
        if least_w < self._least_w:
            self._on_lower()
        self._least_w = least_w

    def _measured(self, reading: SiteReading, *, fresh: bool) -> None:
        if self.known_since is None or self.month(self.known_since) != self.month(reading.at):
            self.known_since = reading.at
        at_s = reading.at.timestamp()
        self._watts.add(at_s, reading.power_w)
        if reading.apparent_va is not None:
            self._volt_amperes.add(at_s, reading.apparent_va if reading.power_w >= 0 else 0)
        self._blocks = self._blocks.advanced(reading.at, reading.power_w, apparent_va=reading.apparent_va, import_wh=reading.import_wh)
        if self._blocks.finished:
            self.store.put(BlockSource.OWN, self._blocks.finished, replace=fresh)
            self._error = self._error.ended(self._blocks.finished[-1].mean_w)
            self._follow_clock()

    def _follow_clock(self) -> None:
        """The meter's own clock, where it has told and nobody has said otherwise. A change moves the block that just began."""
        ahead_s = self._clock.offset_s
        if self.settings.clock_offset_s is None and ahead_s is not None and abs(ahead_s - self._blocks.clock_offset_s) >= MOVED_S:
            log.info("the meter's demand blocks end %.0f s %s ours", abs(ahead_s), "before" if ahead_s > 0 else "after")
            self._blocks = replace(self._blocks, clock_offset_s=round(ahead_s, 1))

    def _from_store(self) -> None:
        """The month's peak out of the kept blocks: a restart forgets none of it."""
        now = self._yard.clock.now()
        begins_at, ends_at = self.month(now).bounds(self.zone)
        counted = [b for b in self.store.between(BlockSource.OWN, begins_at, ends_at) if b.covered >= COUNTED_COVER]
        if counted:
            self.known_since = min(self.known_since or now, counted[0].begins_at)
        peak_w = max((round(b.mean_w / b.covered) for b in counted), default=0)
        peak_va = max((round(b.mean_va / b.covered) for b in counted if b.mean_va is not None), default=0)
        if self._blocks.at is not None and self.month(self._blocks.at) != self.month(now):
            self._blocks = replace(self._blocks, month_peak_w=0, month_peak_va=0)
        self._blocks = replace(
            self._blocks,
            month_peak_w=max(peak_w, self._blocks.month_peak_w),
            month_peak_va=max(peak_va, self._blocks.month_peak_va),
        )

    def month(self, at: datetime) -> Month:
        """The billing month of ``at``."""
        return Month.of(at, self.zone)

    # -- what is known ------------------------------------------------------------------------------------------

    def status(self, now: datetime) -> DemandStatus:
        """The running block; its end is predicted with the plan where that goes beyond the running slot."""
        plain = self._blocks.status(now)
        left_share = (plain.ends_at - now) / (plain.ends_at - plain.begins_at)
        return self._blocks.status(now, ahead=self._foreseen(now, plain.ends_at), error_w=self._error.of(left_share))

    @property
    def clock_offset_s(self) -> float:
        """By how much the billing meter's clock is taken to be ahead of ours."""
        return self._blocks.clock_offset_s

    @property
    def clock_known(self) -> str:
        """Where that comes from: entered, measured, assumed."""
        if self.settings.clock_offset_s is not None:
            return "entered"
        return "assumed" if self._clock.offset_s is None else "measured"

    @property
    def target_w(self) -> int | None:
        """What the month's highest block shall be: by the settings, else as chosen; None: nobody said."""
        return self.settings.target_w if self.settings.target_w is not None else self.chosen_w

    def free_peak_w(self) -> int:
        """Peaks up to here cost the plan nothing more: the month's recorded one, or its target."""
        return max(self._blocks.status(self._yard.clock.now()).month_peak_w, self.target_w or 0)

    def _foreseen(self, now: datetime, ends_at: datetime) -> tuple[tuple[float, float], ...]:
        plan = self._yard.plan
        if plan is None or plan.expires_at <= now:
            return ()
        out = []
        for k, site_w in enumerate(plan.site_w):
            begins_at = plan.start + timedelta(seconds=k * plan.slot_s)
            if now < begins_at < ends_at:
                out.append(((begins_at - now).total_seconds(), float(site_w)))
        return tuple(out)

    # -- limits -------------------------------------------------------------------------------------------------

    def contract_limits(self) -> list[Limit]:
        """The contract demand as limits on the block's average."""
        found = []
        for name, value, quantity in (("kw", self.settings.contract_w, Quantity.W), ("kva", self.settings.contract_va, Quantity.VA)):
            if value is not None:
                found.append(
                    Limit(
                        f"contract-demand-{name}", ScopeKind.SITE, value, LimitSource.CONTRACT, LONG_AGO,
                        quantity=quantity, kind=LimitKind.BLOCK_AVERAGE, set_by="contract", reason="contract demand",
                    )
                )  # fmt: skip
        return found

    def limits(self, now: datetime) -> Sequence[Limit]:
        """Limits on the block's average, and the instant ones that keep them."""
        own = self.contract_limits()
        found = [*own, *of_blocks(self._yard.state.limits.values(), now)]
        if not found:
            return ()
        return [*own, *allowances(found, self._block_now(now), self._published, self.zone)]

    def soft_limits(self, now: datetime) -> Sequence[Limit]:
        """The month's peak target for the limiter: as high as the peak that is there already, and as the plan needs. Without a plan
        nobody knows whether it would cost a departure, and it does not bind."""
        target_w, plan = self.target_w, self._yard.plan
        if target_w is None or plan is None or plan.expires_at <= now:
            return ()
        status = self._blocks.status(now)
        planned_w = max(
            (
                site_w
                for k, site_w in enumerate(plan.site_w)
                if plan.start + timedelta(seconds=(k + 1) * plan.slot_s) > status.begins_at
                and plan.start + timedelta(seconds=k * plan.slot_s) < status.ends_at
            ),
            default=0,
        )
        value = max(target_w, status.month_peak_w, planned_w)
        limit = Limit(
            "peak-target", ScopeKind.SITE, value, LimitSource.PEAK_TARGET, LONG_AGO,
            kind=LimitKind.BLOCK_AVERAGE, set_by="settings", reason="the month's peak target",
        )  # fmt: skip
        return allowances([limit], self._block_now(now), self._soft_published, self.zone)

    def allowed_w(self, now: datetime) -> int | None:
        """What the running block leaves under the tightest limit on its average; None: there is none."""
        found = [limit.value for limit in self.limits(now) if limit.kind is LimitKind.INSTANT and limit.holds_at(now)]
        return min(found, default=None)

    def evenly_w(self, limit_w: int, now: datetime) -> int:
        """The constant power that takes the running block's mean to ``limit_w``, by our own clock: for people to read."""
        return self._blocks.allowed_w(limit_w, now)

    def _block_now(self, now: datetime) -> BlockNow:
        begins_at, ends_at = block_of(now, interval_min=self.interval_min, zone=self.zone, clock_offset_s=self._blocks.clock_offset_s)
        reading, last = self._yard.site_reading, self._yard.last
        apparent = reading.apparent_va if reading is not None else None
        per_va = self.settings.power_factor
        if reading is not None and apparent and reading.power_w > 0:
            per_va = min(1.0, max(LEAST_FACTOR, reading.power_w / apparent))
        held_w = 0
        if last is not None:
            back = last.background
            held_w = back.now_w + max(back.unexplained_w, back.suspected_w) + math.ceil(last.site_now_w * self._margin_share)
            held_w += least_w(last.rows)
        return BlockNow(
            now=now,
            begins_at=begins_at,
            ends_at=ends_at,
            error_s=self.settings.clock_error_s,
            watts=self._watts,
            volt_amperes=self._volt_amperes if apparent is not None else None,
            per_va=per_va,
            held_w=held_w,
        )
