"""Commands to stationary batteries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from depot.assets import AssetMode
from depot.commands.command import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAssetMode(Command):
    """Keep a stationary battery at rest, or let the depot decide again."""

    TITLE: ClassVar[str] = "Set battery mode"

    asset_id: str
    mode: AssetMode = AssetMode.STANDBY

    @property
    def target(self) -> str:
        return f"battery {self.asset_id}"

    @property
    def detail(self) -> Mapping[str, str]:
        return {"mode": self.mode.value}
