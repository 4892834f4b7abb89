"""A charging station: what vehicles and their drivers do to it, between its connectors and its connections.

    vehicles --plugged(), presented(), unplugged()--> Station -- charging: its connectors (simulator.charging)
                                                              -- answers: to the central system (simulator.answers)
                                                              -- connection: one after the other (simulator.connection)

Connections come and go under a station: sessions, profiles and unconfirmed transaction messages stay. What it says, in
which version of OCPP, is its voice's (:mod:`simulator.voice`); what it does is the same in all. Numbers with § are clauses
of OCPP 1.6.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random
from typing import Any

from ocpp.v16.enums import ChargePointStatus as Status

from depot.ports import Clock
from depot.registry import StationSpec
from depot.values import ConnectorId
from simulator.agenda import Agenda
from simulator.answers import Answers
from simulator.charging import Around, Charging, Unit
from simulator.configuration import Configuration
from simulator.connection import Connect, Connection
from simulator.high_level import HighLevel
from simulator.outbox import Kind, Message, Outbox
from simulator.personas import Behaviour
from simulator.plant import Plant
from simulator.profiles import read_time
from simulator.voice import Voice, Voice16

_RESYNC_S = 1.0


class Station:
    """One station of ``plant``.

    ``rate_units``: "W", "A" or both. ``autostart``: it authorises a plugged vehicle and starts by itself instead of
    waiting for RemoteStart. ``voice``: which OCPP it speaks, 1.6 unless told. ``on_spent``: told when a session ended in
    a way that needs a re-plug. ``high_level``: its vehicles speak ISO 15118 and an energy manager may limit it (2.x only).
    """

    def __init__(
        self,
        spec: StationSpec,
        *,
        plant: Plant,
        clock: Clock,
        agenda: Agenda,
        connect: Connect,
        behaviour: Behaviour,
        rng: Random,
        rate_units: tuple[str, ...] = ("W", "A"),
        autostart: bool = False,
        voice: Voice | None = None,
        on_spent: Callable[[ConnectorId], None] | None = None,
        high_level: bool = False,
    ) -> None:
        self.station_id = spec.station_id
        self.voice = voice or Voice16()
        self.clock = clock
        self.configuration = Configuration(connectors=len(spec.connectors), rate_units=rate_units)
        self.outbox = Outbox(
            attempts=lambda: self.configuration.number("TransactionMessageAttempts"),
            retry_s=lambda: self.configuration.number("TransactionMessageRetryInterval"),
        )
        self.connection = Connection(self, connect=connect, clock=clock, agenda=agenda, behaviour=behaviour, rng=rng)
        around = Around(
            plant=plant,
            agenda=agenda,
            behaviour=behaviour,
            configuration=self.configuration,
            outbox=self.outbox,
            voice=self.voice,
            network=self.connection,
            now=self.now,
            on_spent=on_spent,
        )
        self._skew = timedelta()
        self.charging = Charging(spec, around, rate_units=rate_units, rng=rng)
        self.answers = Answers(self.charging, self.connection, clock=clock, set_clock=self.set_clock)
        self.limits = self.charging.limits
        self.high_level: HighLevel | None = None
        if high_level:
            self.high_level = HighLevel(plant, self.charging)
            self.answers.on_profile = self.high_level.profiled
        self._units = self.charging.units
        self._autostart = autostart

    async def run(self) -> None:
        """Its life, until cancelled."""
        await self.connection.run()

    def now(self) -> datetime:
        """The station's own clock, set by the central system at boot and heartbeat (§4.2)."""
        return self.clock.now() + self._skew

    def transaction_id(self, connector: int) -> int | str | None:
        """The confirmed id of the running transaction, None without one."""
        return self.charging.transaction_id(connector)

    # -- the vehicle's side ---------------------------------------------------------------------------------------------

    def plugged(self, connector: int, tag: str) -> None:
        """A vehicle was plugged in (the plant knows it already). Its driver's or its own id tag is ``tag``."""
        unit = self._units[connector]
        unit.tag = tag
        unit.spent = False
        if not unit.operative:
            return
        self.charging.set_status(unit, Status.preparing)
        if self.voice.starts_at_plug:
            unit.early = self.charging.announce(unit, None)
        if unit.remote is not None:
            self.charging.begin_remote(unit)
        elif self._autostart:
            self._authorise(unit, tag)

    def presented(self, connector: int, tag: str) -> None:
        """Somebody holds a card to the reader: the plugged vehicle's session shall start with ``tag``."""
        unit = self._units[connector]
        if unit.tag is not None and unit.transaction is None and unit.operative:
            unit.tag = tag
            self._authorise(unit, tag)

    def unplugged(self, connector: int) -> None:
        """The vehicle was unplugged; its session ends (§4.10)."""
        unit = self._units[connector]
        unit.tag = None
        unit.spent = False
        if unit.transaction is not None or unit.early is not None:
            self.charging.stop(unit, "EVDisconnected")
        self.charging.set_status(unit, self.charging.resting(unit))

    def _authorise(self, unit: Unit, tag: str) -> None:
        if self.connection.hears:
            self.outbox.put(self._authorisation(unit, tag))
        else:
            self.charging.start(unit, tag, None)  # AllowOfflineTxForUnknownId

    def _authorisation(self, unit: Unit, tag: str) -> Message:
        def answered(answer: Any) -> None:
            if self.voice.permits(answer) and unit.tag == tag and unit.transaction is None and unit.operative:
                self.charging.start(unit, tag, None)

        return Message(Kind.NOTICE, lambda: self.voice.authorize(tag), answered)

    def power_lost(self, back_after_s: float, *, resumes: bool) -> None:
        """The mains are gone; it boots ``back_after_s`` later. ``resumes``: its sessions go on then (with the defaults that
        survive, without live profiles), else they have ended with PowerLoss."""
        for unit in self._units.values():
            self.limits.end_transaction(unit.key.connector)
        self.connection.restart(back_after_s, power_lost=True)
        if not resumes:
            for unit in self._units.values():
                self.charging.stop(unit, "PowerLoss")

    # -- what its connection needs of it --------------------------------------------------------------------------------

    def present(self) -> list[Message]:
        """StatusNotifications of all connectors; vehicles that came while nobody listened ask again for permission."""
        notices = [Message(Kind.NOTICE, self.charging.status_request(0, Status.available))]
        for connector, unit in self._units.items():
            notices.append(Message(Kind.NOTICE, self.charging.status_request(connector, unit.status)))
            if self._autostart and unit.tag is not None and unit.status == Status.preparing:
                notices.append(self._authorisation(unit, unit.tag))
        return notices

    def heartbeat_s(self) -> int:
        return self.configuration.number("HeartbeatInterval")

    def boot_request(self) -> Any:
        return self.voice.boot(self.station_id)

    def set_clock(self, current_time: str) -> None:
        """Follow the central system's clock (§4.2), unless it is nonsense."""
        try:
            error = read_time(current_time) - self.now()
        except ValueError:
            return
        if abs(error.total_seconds()) > _RESYNC_S:
            self._skew += error
            self.charging.evaluate_all()

    def booted(self, interval_s: int) -> None:
        if interval_s > 0:
            self.configuration.change("HeartbeatInterval", str(interval_s))

    def powered(self, on: bool) -> None:
        """The station goes down, or has come up: contactors follow."""
        self.charging.powered(on)

    def forget(self) -> None:
        self.limits.kept.forget()
