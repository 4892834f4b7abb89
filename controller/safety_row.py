"""One line of the timeline of the page *Safety*."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class Row(Struct, frozen=True, kw_only=True):
    """``tone``: alarm, warn, done or "". ``by``: who, where it was a person."""

    at: datetime
    title: str
    detail: str = ""
    tone: str = ""
    by: str = ""
