"""Will a vehicle leave on time? Pure prediction from its plan, or from the power it gets now."""

from __future__ import annotations

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
    """How a vehicle stands to its departure."""

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


def predict(
    *, visit_id: str, remaining_wh: int, needed_wh: int, depart_at: datetime, now: datetime, power_w: int, plan: Plan | None
) -> Readiness:
    """Prediction at ``now`` for a vehicle that still needs ``remaining_wh`` of grid energy."""
    tolerance = LATE_SHARE * needed_wh + LATE_WH
    if remaining_wh <= tolerance:
        return Readiness(Standing.READY, now, 0)
    row = plan.power_w.get(visit_id) if plan is not None and now < plan.expires_at else None
    ready_at: datetime | None = None
    at_departure_wh = 0.0
    if plan is not None and row is not None:
        gained = 0.0
        for k, watts in enumerate(row):
            begin = max(now, plan.start + timedelta(seconds=k * plan.slot_s))
            end = plan.start + timedelta(seconds=(k + 1) * plan.slot_s)
            seconds = (end - begin).total_seconds()
            if seconds <= 0 or watts <= 0:
                continue
            before = gained
            gained += watts * seconds / 3600.0
            in_time = min(seconds, max(0.0, (depart_at - begin).total_seconds()))
            at_departure_wh += watts * in_time / 3600.0
            if ready_at is None and gained >= remaining_wh - tolerance:
                ready_at = begin + timedelta(hours=max(0.0, remaining_wh - tolerance - before) / watts)
        if ready_at is None and gained >= 0.9 * remaining_wh and power_w > 0:
            ready_at = now + timedelta(hours=remaining_wh / power_w)
    elif power_w > 0:
        ready_at = now + timedelta(hours=remaining_wh / power_w)
        at_departure_wh = power_w * max(0.0, (depart_at - now).total_seconds()) / 3600.0
    missing = max(0, round(remaining_wh - at_departure_wh))
    if missing > tolerance and (ready_at is None or ready_at > depart_at):
        return Readiness(Standing.LATE, ready_at, missing)
    if ready_at is not None and depart_at - ready_at < RISK:
        return Readiness(Standing.AT_RISK, ready_at, missing)
    return Readiness(Standing.ON_TIME, ready_at, missing)
