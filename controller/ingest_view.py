"""What the web hands to the core of telemetry that came over HTTP, and what became of each item: shapes alone."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

ITEMS_AT_ONCE: Final = 32
BYTES_AT_ONCE: Final = 40_000
"""The most that is handed over in one line of the link (:data:`controller.link.MAX_REQUEST`), in payload."""


class TelemetryItem(Struct, frozen=True, kw_only=True):
    """One message about one pack. ``payload``: as it came, JSON without line breaks. ``wrong``: why it cannot be taken, "" where
    nothing is known against it; ``allowed``: whether its sender may speak of that vehicle."""

    vehicle_id: str
    pack_id: str
    payload: msgspec.Raw
    wrong: str = ""
    allowed: bool = True


class ItemTaken(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one item. ``status``: ``accepted``; ``late``: it says how things were, which can trip a pack and does nothing
    else; ``repeated``: it came before; ``refused``, for ``reason`` and ``text``. ``issues``: what of it was not believed."""

    status: str
    reason: str = ""
    text: str = ""
    issues: list[str] = []
