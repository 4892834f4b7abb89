"""What a session costs its driver, as stations are told it (OCPP 2.x block I).

A session that nobody pays for, as those of the own fleet, has no cost: stations are told none, never one that was made up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Cost:
    """``total_paise``: with taxes. ``message``: for the driver."""

    total_paise: int
    energy_wh: int
    message: str = ""

    @property
    def on_wire(self) -> float:
        """In the currency's main unit, to the paisa."""
        return self.total_paise / 100


CostAt = Callable[[int], Cost]
"""The cost of one session at a register, Wh."""


class CostDesk(Protocol):
    """Who knows prices."""

    def costs_of(self, number: int) -> CostAt | None:
        """How a running session is priced, by the depot's number of its transaction; None: nobody pays for it."""


class NoCosts:
    """Where nobody pays."""

    def costs_of(self, number: int) -> CostAt | None:
        return None
