"""A charging session as its station knows it, whatever version of OCPP tells of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(slots=True, eq=False)
class Session:
    """``transaction_id`` None: the central system has not confirmed the start (1.6; a 2.0.1 station names it itself).

    ``id_tag`` None: it began with the plug, and nobody has been authorised yet. ``remote``: the central system started
    it. ``drew``: power has flowed in it. ``events``: how many were told of it (2.0.1). ``state``: charging state last told.
    """

    connector: int
    id_tag: str | None
    started_at: datetime
    meter_start: int
    transaction_id: int | str | None = None
    remote: bool = False
    drew: bool = False
    events: int = 0
    state: str | None = None
