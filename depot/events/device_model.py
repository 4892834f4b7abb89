"""Facts of wanted device-model variables. See :mod:`depot.wanted`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from depot.device_model import Variable
from depot.events.envelope import Event
from depot.wanted import WantedScope, WantedVariable


@dataclass(frozen=True, slots=True)
class WantedVariablesChanged(Event):
    """Values are wanted, or wanted no more, for the depot (``name`` ""), a model or a station."""

    TYPE: ClassVar[str] = "depot.wanted_variables_changed"
    scope: WantedScope
    name: str
    wanted: tuple[WantedVariable, ...] = ()
    removed: tuple[Variable, ...] = ()
