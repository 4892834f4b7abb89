"""What a peak costs, over a plan's horizon: the tariff's demand pieces per slot."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from grid.demand_pieces import DemandPiece as SiteDemandPiece
from optimizer import DemandPiece


def pieces_of(
    pieces: Sequence[SiteDemandPiece], start: datetime, slots: int, slot_s: int, zone: ZoneInfo, *, share: float
) -> tuple[DemandPiece, ...]:
    """The tariff's pieces over the horizon: which slots count, and ``share`` of the month's rate."""
    minutes = [local.hour * 60 + local.minute for local in ((start + timedelta(seconds=k * slot_s)).astimezone(zone) for k in range(slots))]
    return tuple(
        DemandPiece(
            group=piece.group,
            per_kw=float(piece.rate_per_kw) * share,
            free_kw=float(piece.free_kw),
            counts=np.array([1.0 if piece.hours is None or piece.hours.hold(minute) else 0.0 for minute in minutes]),
        )
        for piece in pieces
    )
