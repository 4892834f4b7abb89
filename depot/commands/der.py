"""Commands on stations' DER controls (OCPP 2.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from depot.commands.stations import StationCommand


@dataclass(frozen=True, slots=True, kw_only=True)
class SetDerControl(StationCommand):
    """Make a station behave so towards the grid. ``settings``: as OCPP spells them for this type. ``control_id`` "": a new one.
    ``because``: what the grid operator wants it for, in his words."""

    TITLE: ClassVar[str] = "Set DER control"

    control_type: str
    is_default: bool
    settings: Mapping[str, Any] = field(default_factory=dict)
    control_id: str = ""
    because: str = ""

    @property
    def detail(self) -> Mapping[str, str]:
        found = {"control": self.control_type, "default": "yes" if self.is_default else "no", "because": self.because}
        return {key: value for key, value in found.items() if value}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearDerControls(StationCommand):
    """Drop a control by its id, else all defaults (or all others), of one type or of any."""

    TITLE: ClassVar[str] = "Clear DER controls"

    is_default: bool = False
    control_type: str = ""
    control_id: str = ""

    @property
    def detail(self) -> Mapping[str, str]:
        return {"control": self.control_id or self.control_type or "all", "default": "yes" if self.is_default else "no"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadDerControls(StationCommand):
    """Let the station tell its list anew, the whole or a part of it."""

    TITLE: ClassVar[str] = "Read DER controls"

    is_default: bool | None = None
    control_type: str = ""
    control_id: str = ""
