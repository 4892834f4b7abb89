"""Facts of solar plants and stationary batteries. See :mod:`depot.assets`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from depot.assets import AssetMode
from depot.events.envelope import Event


@dataclass(frozen=True, slots=True)
class AssetModeSet(Event):
    """A person keeps a battery at rest, or gives it back to the depot."""

    TYPE: ClassVar[str] = "asset.mode_set"
    asset_id: str
    mode: AssetMode
    reason: str = ""
