"""Facts of outputs and of isolated areas. See :mod:`depot.outputs`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from depot.events.envelope import Event
from depot.outputs import Area, Origin


@dataclass(frozen=True, slots=True)
class AreaIsolated(Event):
    """An area is isolated, and stays so until a person resets it. Recorded after it acted."""

    TYPE: ClassVar[str] = "output.area_isolated"
    area: Area
    origin: Origin
    reason: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class AreaReset(Event):
    """A person (``person``, ``role``) ended an isolation."""

    TYPE: ClassVar[str] = "output.area_reset"
    area: Area
    person: str
    role: str
    reason: str


@dataclass(frozen=True, slots=True)
class OutputMoved(Event):
    """What became of an output in an emergency or after it: ``state`` is its word (``open``), ``proof`` confirmed, not confirmed,
    or no read-back."""

    TYPE: ClassVar[str] = "output.output_moved"
    output_id: str
    state: str
    proof: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class OutputTested(Event):
    """A person had an output switched there and back."""

    TYPE: ClassVar[str] = "output.output_tested"
    output_id: str
    passed: bool
    result: str
    by: str
