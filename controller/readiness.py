"""Will a vehicle leave on time? Pure prediction from its plan, or from the power it gets or can get.

A vehicle that lags behind its plan is late only when its own maximum power no longer suffices in the time that is left
after the plan: the next plan makes up for less. Whether the site then has that power is the next plan's question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from depot.values import Plan

RISK = timedelta(minutes=10)
"""Ready less than this before departure is at risk."""

LATE_SHARE = 0.02
LATE_WH = 100
"""Missing more than this at departure is late (the judges' tolerance)."""


class Standing(StrEnum):
    """How a vehicle stands to its departure. Blocked vehicles are at risk even with time to spare."""

    READY = "ready"
    ON_TIME = "on_time"
    AT_RISK = "at_risk"
    LATE = "late"


@dataclass(frozen=True, slots=True)
class Readiness:
    """``ready_at`` None: it does not get ready by anything known. ``missing_wh``: grid energy short at departure."""

    standing: Standing
    ready_at: datetime | None
    missing_wh: int = 0

    def margin_min(self, depart_at: datetime) -> int | None:
        """Minutes before departure (negative: after)."""
        return None if self.ready_at is None else round((depart_at - self.ready_at).total_seconds() / 60)


BOUGHT_BACK = 1.15
"""What is bought back for each kWh that a vehicle gives, both at the grid."""


def predict(
    *,
    visit_id: str,
    remaining_wh: int,
    needed_wh: int,
    begins: datetime,
    depart_at: datetime,
    now: datetime,
    power_w: int,
    most_w: int | None,
    plan: Plan | None,
    blocked: bool = False,
) -> Readiness:
    """Prediction at ``now`` for a vehicle that still needs ``remaining_wh`` of grid energy and may charge from ``begins``.

    ``power_w``: what flows now. ``most_w``: what vehicle and connector can do, None where unknown. ``blocked``: nothing
    flows until a person acts.
    """
    tolerance = LATE_SHARE * needed_wh + LATE_WH
    if remaining_wh <= tolerance:
        return Readiness(Standing.READY, now, 0)
    row = plan.power_w.get(visit_id) if plan is not None and now < plan.expires_at else None
    begins = max(now, begins)
    if plan is not None and row is not None:
        ready_at, gained, ends = _by_plan(plan, row, remaining_wh - tolerance, depart_at=depart_at, now=now)
        promised = plan.unmet_wh.get(visit_id, 0) <= tolerance
        begins = max(begins, ends)
    else:
        ready_at = now + timedelta(hours=remaining_wh / power_w) if power_w > 0 else None
        gained, promised = 0.0, True
        if ready_at is not None and ready_at > depart_at:
            ready_at = None
    if ready_at is None and promised and most_w:
        ready_at = begins + timedelta(hours=max(0.0, remaining_wh - tolerance - gained) / most_w)
    in_time_wh = gained
    if ready_at is not None and most_w and promised:
        in_time_wh += most_w * max(0.0, (depart_at - begins).total_seconds()) / 3600.0
    missing = max(0, round(remaining_wh - in_time_wh))
    if ready_at is None and most_w is None and row is None:
        return Readiness(Standing.AT_RISK if blocked else Standing.ON_TIME, None, 0)
    if ready_at is None or ready_at > depart_at:
        return Readiness(Standing.LATE if missing > tolerance else Standing.AT_RISK, ready_at, missing)
    at_risk = blocked or depart_at - ready_at < RISK
    return Readiness(Standing.AT_RISK if at_risk else Standing.ON_TIME, ready_at, 0)


def _by_plan(
    plan: Plan, row: Sequence[int], enough_wh: float, *, depart_at: datetime, now: datetime
) -> tuple[datetime | None, float, datetime]:
    """(when ``enough_wh`` has flowed if before departure, what flows until departure in Wh, end of the last power)."""
    ready_at: datetime | None = None
    gained, ends = 0.0, now
    for k, watts in enumerate(row):
        begin = max(now, plan.start + timedelta(seconds=k * plan.slot_s))
        end = min(depart_at, plan.start + timedelta(seconds=(k + 1) * plan.slot_s))
        if end <= begin or watts == 0:
            continue
        if watts < 0:  # it gives, and buys that back with the losses of both ways
            gained += watts * BOUGHT_BACK * (end - begin).total_seconds() / 3600.0
            ready_at = ready_at if gained >= enough_wh else None
            continue
        before, ends = gained, end
        gained += watts * (end - begin).total_seconds() / 3600.0
        if ready_at is None and gained >= enough_wh:
            ready_at = begin + timedelta(hours=(enough_wh - before) / watts)
    return ready_at, gained, ends
