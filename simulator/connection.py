"""A station's life on the network: connect, boot, beat, lose the connection, come back; deaf spells and restarts.

Waiting for answers, heartbeats and reconnecting run on the event loop's time, as protocol does; spells on depot time.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any, Protocol

from ocpp.exceptions import OCPPError

from depot.ports import Clock
from simulator.agenda import Agenda
from simulator.link import Link, StationSide
from simulator.outbox import Message, Outbox
from simulator.personas import Behaviour, Spells
from simulator.voice import Voice
from simulator.wire import Wire, WireClosed

Connect = Callable[[str], Awaitable[Wire]]
"""Opens a connection for a station id; raises OSError (:class:`~simulator.wire.WireRefused` among them) or TimeoutError."""

_BACK_OFF_MOST_S = 10.0
_GOOD_AFTER_S = 10.0
_FIRST_CONTACT_S = 2.0


class _Left(Exception):
    """Ends a connection from this side."""


class Owner(Protocol):
    """What the connection needs of its station. ``answers``: to what the central system asks."""

    station_id: str
    answers: StationSide
    outbox: Outbox
    voice: Voice

    def boot_request(self) -> Any: ...
    def set_clock(self, current_time: str) -> None: ...
    def heartbeat_s(self) -> int: ...
    def booted(self, interval_s: int) -> None:
        """The central system accepted the boot: sessions that survived a restart go on."""

    def present(self) -> list[Message]:
        """Notices that describe the present, for a central system that may know nothing."""

    def powered(self, on: bool) -> None:
        """The station goes down, or has come up: contactors follow."""

    def forget(self) -> None:
        """Every profile is gone."""


class Connection:
    """The connections of ``owner``, one after the other; :meth:`run` until cancelled."""

    def __init__(self, owner: Owner, *, connect: Connect, clock: Clock, agenda: Agenda, behaviour: Behaviour, rng: Random) -> None:
        self._owner = owner
        self._connect = connect
        self._clock = clock
        self._agenda = agenda
        self._behaviour = behaviour
        self._rng = rng
        self._link: Link | None = None
        self._interrupt = asyncio.Event()
        self._booted = False
        self._messages = 0
        self.restarting_s: float | None = None
        self._dead = False
        self._powerless_until = 0.0
        self.boots = 0

    @property
    def up(self) -> bool:
        """There is a connection (deaf or not)."""
        return self._link is not None

    @property
    def hears(self) -> bool:
        return self._link is not None and not self._link.deaf

    async def run(self) -> None:
        self._next_spell(self._behaviour.deaf, self._go_deaf)
        self._next_spell(self._behaviour.reboots, self._reboot)
        failures = 0
        wire: Wire | None = None
        await asyncio.sleep(self._rng.uniform(0.0, _FIRST_CONTACT_S))
        try:
            while True:
                stale = wire
                powerless_s = self._powerless_until - self._clock.monotonic()
                if powerless_s > 0:
                    await self._clock.sleep(powerless_s)
                try:
                    wire = await self._connect(self._owner.station_id)
                except (OSError, TimeoutError):
                    failures += 1
                    await asyncio.sleep(self._back_off_s(failures))
                    continue
                if stale is not None:
                    await _close(stale)
                failures = 0 if await self._serve(wire) else failures + 1
                if self.restarting_s is None and self._interrupt.is_set():
                    continue  # a deaf spell is over: the old connection still hangs when the new one comes
                if not self._dead:  # without power nobody says goodbye: the socket hangs until the next one takes over
                    await _close(wire)
                    wire = None
                self._dead = False
                if self.restarting_s is not None:
                    await self._clock.sleep(self.restarting_s)
                await asyncio.sleep(self._back_off_s(failures))
        finally:
            if wire is not None:
                await _close(wire)

    def _back_off_s(self, failures: int) -> float:
        return min(_BACK_OFF_MOST_S, 0.5 * 2.0 ** min(failures, 6)) * self._rng.uniform(0.5, 1.5)

    def drop(self) -> None:
        """Leave the connection as it hangs, and connect anew."""
        self._interrupt.set()

    def restart(self, lasts_s: float, *, power_lost: bool = False) -> None:
        """Power down, and boot again after ``lasts_s`` of depot time. ``power_lost``: without a word, the socket hangs."""
        if self.restarting_s is None:
            self.restarting_s = lasts_s
            self._dead = power_lost
            if power_lost:
                self._powerless_until = self._clock.monotonic() + lasts_s
            self._booted = False
            self._owner.powered(False)
            self._interrupt.set()

    async def _serve(self, wire: Wire) -> bool:
        """Live on one connection until it is over; returns whether it lasted long enough to count as good."""
        answer_s = functools.partial(self._rng.uniform, *self._behaviour.answer_s) if self._behaviour.answer_s else None
        link = self._owner.voice.link(self._owner.answers, wire, message_id=self._message_id, answer_s=answer_s)
        began = asyncio.get_running_loop().time()
        self._link = link
        self._interrupt = asyncio.Event()
        name = self._owner.station_id
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(link.start(), name=f"{name} reader")
                group.create_task(self._converse(link), name=f"{name} conversation")
                group.create_task(self._until_left(), name=f"{name} interrupt")
        except* (OSError, TimeoutError, _Left):
            pass  # lost or left; what comes next does not depend on why
        finally:
            self._link = None
        return asyncio.get_running_loop().time() - began >= _GOOD_AFTER_S

    async def _until_left(self) -> None:
        await self._interrupt.wait()
        raise _Left

    async def _converse(self, link: Link) -> None:
        if not self._booted:
            await self._boot(link)
        self._owner.outbox.reconnected(self._owner.present())
        async with asyncio.TaskGroup() as group:
            group.create_task(self._owner.outbox.pump(link), name=f"{link.id} outbox")
            group.create_task(self._beat(link), name=f"{link.id} heartbeat")

    async def _boot(self, link: Link) -> None:
        """BootNotification until accepted (§4.2)."""
        while True:
            try:
                answer = await link.call(self._owner.boot_request(), suppress=False)
            except OCPPError:
                await asyncio.sleep(_BACK_OFF_MOST_S)
                continue
            if answer.status == "Accepted":
                break
            await asyncio.sleep(max(1, answer.interval))
        self._booted = True
        self.boots += 1
        self.restarting_s = None
        self._owner.set_clock(answer.current_time)
        self._owner.booted(answer.interval)
        self._owner.powered(True)

    async def _beat(self, link: Link) -> None:
        """Heartbeats; two in a row without an answer mean that the connection is dead."""
        missed = 0
        while True:
            await asyncio.sleep(self._owner.heartbeat_s())
            try:
                answer = await link.call(self._owner.voice.heartbeat(), suppress=False)
            except OCPPError:
                continue
            except TimeoutError:
                missed += 1
                if missed > 1:
                    raise WireClosed(reason="heartbeats unanswered") from None
            else:
                missed = 0
                self._owner.set_clock(answer.current_time)

    def _message_id(self) -> str:
        self._messages += 1
        return f"{self._owner.station_id[-20:]}-{self._messages}"

    # -- habits --------------------------------------------------------------------------------------------------------

    def _next_spell(self, spells: Spells | None, begin: Callable[[float], None]) -> None:
        if spells is not None:
            lasts_s = self._rng.uniform(*spells.lasts_s)
            self._agenda.after(self._rng.expovariate(1.0 / spells.every_s), lambda: begin(lasts_s))

    def _go_deaf(self, lasts_s: float) -> None:
        link = self._link
        if link is not None:
            link.go_deaf()
            self._agenda.after(lasts_s, lambda: self._wake(link))
        self._next_spell(self._behaviour.deaf, self._go_deaf)

    def _wake(self, link: Link) -> None:
        if self._link is link:
            self.drop()

    def _reboot(self, lasts_s: float) -> None:
        """Restart in the middle of everything: sessions go on afterwards, profiles are gone."""
        if self.restarting_s is None:
            self._owner.forget()
            self.restart(lasts_s)
        self._next_spell(self._behaviour.reboots, self._reboot)


async def _close(wire: Wire) -> None:
    with contextlib.suppress(OSError):
        await wire.close(1000, "leaving")
