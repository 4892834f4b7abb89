"""Commands of reference tests of batteries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from depot.commands.command import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReferenceTest(Command):
    """Test a vehicle's battery: rest, pulses, one steady charge to full, rest. ``until``: it may wait so long for a stay in which it can
    begin; None: it begins now or is refused. ``most_soc``: it begins at this state of charge or less (0 to 1)."""

    TITLE: ClassVar[str] = "Order reference test"

    vehicle_id: str
    until: datetime | None = None
    most_soc: float = 0.5
    pulses: int = 3

    @property
    def target(self) -> str:
        return self.vehicle_id

    @property
    def detail(self) -> Mapping[str, str]:
        until = "now or never" if self.until is None else self.until.isoformat()
        return {"until": until, "most_soc": f"{self.most_soc:g}", "pulses": str(self.pulses)}


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOffReferenceTest(Command):
    """End a vehicle's test: it charges as planned again."""

    TITLE: ClassVar[str] = "Call off reference test"

    vehicle_id: str

    @property
    def target(self) -> str:
        return self.vehicle_id
