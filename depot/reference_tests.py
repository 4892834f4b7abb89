"""Reference tests of batteries: who ordered one, how far it is, how it ended. Pure.

command OrderReferenceTest --> fact ReferenceTestOrdered --> ReferenceTest in the depot's state, one for each vehicle: the newest
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from depot.values import ConnectorId


class ReferencePhase(StrEnum):
    """How far a test is. ``waiting``: for a stay in which it can begin."""

    WAITING = "waiting"
    REST_BEFORE = "rest_before"
    PULSES = "pulses"
    CHARGE = "charge"
    REST_AFTER = "rest_after"
    OVER = "over"


class ReferenceOutcome(StrEnum):
    """How a test ended. ``expired``: no stay came in which it could begin."""

    NONE = ""
    DONE = "done"
    BROKEN_OFF = "broken_off"
    CALLED_OFF = "called_off"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class ReferenceTest:
    """The newest test of a vehicle. ``until``: it may begin until then. ``most_soc``: it begins at this state of charge or less (0 to
    1). ``pulses``: steps down and up again. From its begin on: ``visit_id``, ``connector``, and the powers, W at the charger. ``phase_at``:
    when its phase began; ``began_at`` None: it waits. ``why``: how it ended, for people."""

    test_id: str
    vehicle_id: str
    by: str
    reason: str
    ordered_at: datetime
    until: datetime
    most_soc: float
    pulses: int
    phase: ReferencePhase
    phase_at: datetime
    visit_id: str = ""
    connector: ConnectorId | None = None
    rate_w: int = 0
    low_w: int = 0
    high_w: int = 0
    began_at: datetime | None = None
    ended_at: datetime | None = None
    outcome: ReferenceOutcome = ReferenceOutcome.NONE
    why: str = ""

    @property
    def open(self) -> bool:
        """Whether it waits or runs."""
        return self.phase is not ReferencePhase.OVER

    @property
    def runs(self) -> bool:
        """Whether it has begun and is not over."""
        return self.open and self.phase is not ReferencePhase.WAITING
