"""Appointments in depot time: everything in the simulated depot that happens later, in one task and in one order."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable
from typing import NoReturn

from depot.ports import Clock

# Sleeps are computed from float differences; what is due within a microsecond is due.
_SOON_S = 1e-6
_IDLE_S = 3600.0


class Appointment:
    """One thing to do at ``due`` (seconds of ``Clock.monotonic``). Cancelling twice, or after the fact, is harmless."""

    __slots__ = ("action", "due", "order")

    def __init__(self, due: float, order: int, action: Callable[[], None]) -> None:
        self.due = due
        self.order = order
        self.action: Callable[[], None] | None = action

    def cancel(self) -> None:
        self.action = None

    def __lt__(self, other: Appointment) -> bool:
        return (self.due, self.order) < (other.due, other.order)


class Agenda:
    """A heap of appointments and the task that keeps them. Equal times run in the order in which they were made.

    One task for a whole depot, instead of a task per timer: a night of 200 vehicles makes a million appointments.
    An exception in an action ends :meth:`run`; it is a bug of the simulation, not a thing that happens in a depot.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[Appointment] = []
        self._order = itertools.count()
        self._sleep: asyncio.Task[None] | None = None
        self._wakes_at = 0.0
        self._woken = False

    def after(self, seconds: float, action: Callable[[], None]) -> Appointment:
        """Do ``action`` in ``seconds`` of depot time (at once, but not before returning, for 0 or less)."""
        appointment = Appointment(self._clock.monotonic() + max(0.0, seconds), next(self._order), action)
        heapq.heappush(self._heap, appointment)
        if self._sleep is not None and appointment.due < self._wakes_at:
            self._woken = self._sleep.cancel() or self._woken  # it may have been woken just now, and be over
        return appointment

    async def run(self) -> NoReturn:
        """Keep the appointments until cancelled."""
        try:
            while True:
                self._keep_due()
                while self._heap and self._heap[0].action is None:  # do not wake for what was cancelled
                    heapq.heappop(self._heap)
                now = self._clock.monotonic()
                self._wakes_at = self._heap[0].due if self._heap else now + _IDLE_S
                self._sleep = asyncio.create_task(self._clock.sleep(self._wakes_at - now), name="agenda sleep")
                try:
                    await self._sleep
                except asyncio.CancelledError:
                    me = asyncio.current_task()
                    if not self._woken or (me is not None and me.cancelling()):
                        raise
                    self._woken = False
        finally:
            if self._sleep is not None:
                self._sleep.cancel()
                self._sleep = None

    def _keep_due(self) -> None:
        horizon = self._clock.monotonic() + _SOON_S
        while self._heap and self._heap[0].due <= horizon:
            appointment = heapq.heappop(self._heap)
            if appointment.action is not None:
                action, appointment.action = appointment.action, None
                action()
