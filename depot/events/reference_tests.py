"""Facts of reference tests: ordered, begun, each phase, how they ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from depot.events.envelope import Event
from depot.reference_tests import ReferenceOutcome, ReferencePhase
from depot.values import ConnectorId


@dataclass(frozen=True, slots=True)
class ReferenceTestOrdered(Event):
    """A person wants a vehicle's battery tested, beginning before ``until`` at the state of charge ``most_soc`` (0 to 1) or less."""

    TYPE: ClassVar[str] = "reference_test.ordered"
    test_id: str
    vehicle_id: str
    until: datetime
    most_soc: float
    pulses: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ReferenceTestBegan(Event):
    """It rests from now on. ``rate_w``: of the reference charge; ``low_w``, ``high_w``: of the pulses; all at the charger."""

    TYPE: ClassVar[str] = "reference_test.began"
    test_id: str
    vehicle_id: str
    visit_id: str
    connector: ConnectorId
    rate_w: int
    low_w: int
    high_w: int


@dataclass(frozen=True, slots=True)
class ReferenceTestPhaseBegan(Event):
    """The next phase of a test that runs."""

    TYPE: ClassVar[str] = "reference_test.phase_began"
    test_id: str
    vehicle_id: str
    phase: ReferencePhase


@dataclass(frozen=True, slots=True)
class ReferenceTestEnded(Event):
    """It is over, one way or the other; ``why`` is for people. ``held_back_s``: so long the charge was slower than its rate because the
    power was needed elsewhere."""

    TYPE: ClassVar[str] = "reference_test.ended"
    test_id: str
    vehicle_id: str
    outcome: ReferenceOutcome
    why: str = ""
    held_back_s: int = 0
