"""A station's connectors: their sessions, what its profiles let them draw, and what it says of them.

    vehicles, the central system, time --> Charging --> plant (energise, order), outbox (transactions, statuses, samples)

Sessions stay while connections come and go. What is said, in which version of OCPP, is the voice's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any, Protocol

from ocpp.v16.enums import ChargePointStatus as Status

from depot.registry import ConnectorSpec, StationSpec
from depot.values import ConnectorId
from simulator.agenda import Agenda, Appointment
from simulator.configuration import Configuration
from simulator.limits import Limits
from simulator.link import wire_time
from simulator.measuring import Measuring
from simulator.outbox import Kind, Message, Outbox
from simulator.personas import Behaviour
from simulator.plant import OutletState, Plant
from simulator.profiles import Profile
from simulator.session import Session
from simulator.voice import Build, Voice

_ZERO_PATIENCE_S = 3.0
_START_PATIENCE_S = 60.0


@dataclass(slots=True, eq=False)
class Unit:
    """One connector. ``tag``: the plugged vehicle's. ``spent``: only a re-plug makes another session possible. ``early``: a
    transaction that began with the plug and waits for somebody to be authorised. ``giving``: until when it gives, ``tired``: it
    has ended that by itself."""

    key: ConnectorId
    spec: ConnectorSpec
    status: Status = Status.available
    tag: str | None = None
    transaction: Session | None = None
    early: Session | None = None
    remote: tuple[str, Profile | None] | None = None
    operative: bool = True
    operative_next: bool | None = None
    spent: bool = False
    stop_foreseen: bool = False
    sampling: Appointment | None = None
    expiry: Appointment | None = None
    giving: Appointment | None = None
    tired: bool = False


class Network(Protocol):
    """What charging asks of the station's connections. ``restarting_s``: how long it is powered down, None: it is not."""

    @property
    def up(self) -> bool: ...
    @property
    def restarting_s(self) -> float | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What a station's connectors stand in. ``now``: by the station's own clock."""

    plant: Plant
    agenda: Agenda
    behaviour: Behaviour
    configuration: Configuration
    outbox: Outbox
    voice: Voice
    network: Network
    now: Callable[[], datetime]
    on_spent: Callable[[ConnectorId], None] | None = None


class Charging:
    """See the module. ``limits``: what its profiles say."""

    def __init__(self, spec: StationSpec, around: Around, *, rate_units: Sequence[str], rng: Random) -> None:
        self.station_id = spec.station_id
        self.now = around.now
        self.outbox = around.outbox
        self.voice = around.voice
        self.configuration = around.configuration
        self.limits = Limits(
            around.behaviour,
            around.configuration,
            {c.connector: c for c in spec.connectors},
            rate_units=tuple(rate_units),
            vehicle_phases=self._vehicle_phases,
        )
        self.units = {c.connector: Unit(ConnectorId(spec.station_id, c.connector), c) for c in spec.connectors}
        self._behaviour = around.behaviour
        self._plant = around.plant
        self._agenda = around.agenda
        self._connection = around.network
        self._on_spent = around.on_spent
        self.on_session: Callable[[Unit], None] = lambda _unit: None
        """Called when a session is authorised and its first message is on its way."""
        self._rng = rng
        self._meters = Measuring(around.plant, around.configuration, around.behaviour, unlabelled=rng.random() < 0.5)
        for unit in self.units.values():
            around.plant.listen(unit.key, self._outlet_changed)

    def transaction_id(self, connector: int) -> int | str | None:
        """The confirmed id of the running transaction, None without one."""
        transaction = self.units[connector].transaction
        return transaction.transaction_id if transaction else None

    # -- sessions -------------------------------------------------------------------------------------------------------

    def announce(self, unit: Unit, tag: str | None, *, remote: bool = False) -> Session:
        """A transaction begins: the central system is told, and its answer is heeded whenever it comes."""
        session = Session(unit.key.connector, tag, self.now(), self._meters.register(unit.key), remote=remote)
        self.voice.named(session, self.station_id)

        def confirmed(answer: Any) -> None:
            self.voice.confirmed(session, answer)
            self._heed(unit, session, answer)

        self.outbox.put(Message(Kind.TRANSACTION, self.voice.started(session, offline=self._offline), confirmed))
        return session

    def _heed(self, unit: Unit, session: Session, answer: Any) -> None:
        if not self.voice.permits(answer) and unit.transaction is session:
            self.stop(unit, "DeAuthorized")

    @property
    def _offline(self) -> bool:
        return not self._connection.up

    def start(self, unit: Unit, tag: str, profile: Profile | None, *, remote: bool = False) -> None:
        early, unit.early = unit.early, None
        if early is not None:
            early.id_tag, early.remote = tag, remote
            unit.transaction = early
        unit.stop_foreseen = False
        if profile is not None:
            self.limits.install(unit.key.connector, profile)
        if early is not None:
            authorised = self.voice.authorised(early, wire_time(self.now()), offline=self._offline)
            self.outbox.put(Message(Kind.TRANSACTION, authorised, lambda answer: self._heed(unit, early, answer)))
        else:
            unit.transaction = self.announce(unit, tag, remote=remote)
        self.evaluate(unit)
        self._plant.energise(unit.key, self._connection.restarting_s is None)
        self.show_outlet(unit)
        self.arm_sampling(unit)
        self.on_session(unit)

    def stop(self, unit: Unit, reason: str) -> None:
        transaction = unit.transaction or unit.early
        if transaction is None:
            return
        unit.transaction = unit.early = None
        self._plant.energise(unit.key, False)
        for appointment in (unit.sampling, unit.expiry):
            if appointment is not None:
                appointment.cancel()
        self.limits.end_transaction(unit.key.connector)
        stopped = self.voice.stopped(
            transaction, self._meters.register(unit.key), wire_time(self.now()), reason=reason, offline=self._offline
        )
        for _ in range(self._behaviour.stops):
            self.outbox.put(Message(Kind.TRANSACTION, stopped))
        if unit.operative_next is not None:
            unit.operative, unit.operative_next = unit.operative_next, None
        if unit.tag is not None:
            self.set_status(unit, Status.finishing if unit.operative else Status.unavailable)

    def begin_remote(self, unit: Unit) -> None:
        if unit.remote is None:
            return
        if unit.tag is None:
            remote = unit.remote
            self._agenda.after(self.configuration.number("ConnectionTimeOut"), lambda: self._give_up_remote(unit, remote))
            return
        (tag, profile), unit.remote = unit.remote, None
        if unit.transaction is None and unit.operative and not unit.spent:
            self.start(unit, tag, profile, remote=True)

    def _give_up_remote(self, unit: Unit, remote: tuple[str, Profile | None] | None) -> None:
        if unit.remote is remote:
            unit.remote = None

    # -- outlets and limits ---------------------------------------------------------------------------------------------

    def _outlet_changed(self, key: ConnectorId, state: OutletState) -> None:
        unit = self.units[key.connector]
        transaction = unit.transaction
        if transaction is None:
            return
        if self._connection.restarting_s is None:
            self.show_outlet(unit)
        if state is OutletState.DRAWING:
            transaction.drew = True
        elif state is OutletState.HELD and self._behaviour.ends_at_zero:
            self._agenda.after(_ZERO_PATIENCE_S if transaction.drew else _START_PATIENCE_S, lambda: self._end_at_zero(unit, transaction))

    def _end_at_zero(self, unit: Unit, transaction: Session) -> None:
        if unit.transaction is transaction and self._plant.state(unit.key) is OutletState.HELD:
            unit.spent = True
            self.stop(unit, "Other")
            if self._on_spent is not None:
                self._on_spent(unit.key)

    def show_outlet(self, unit: Unit) -> None:
        shown = {OutletState.DRAWING: Status.charging, OutletState.HELD: Status.suspended_evse, OutletState.SATISFIED: Status.suspended_ev}
        status = shown.get(self._plant.state(unit.key))
        if unit.transaction is not None and status is not None:
            self.set_status(unit, status)

    def evaluate(self, unit: Unit) -> None:
        """Order the outlet to what the profiles say now, and look again when they may say something else."""
        if unit.expiry is not None:
            unit.expiry.cancel()
        if unit.transaction is None:
            return
        now = self.now()
        running = sum(1 for other in self.units.values() if other.transaction is not None)
        obeyed_w, granted_w, change = self.limits.levels(unit.key.connector, now, unit.transaction.started_at, running=running)
        obeyed_w = self._given(unit, obeyed_w)
        self._plant.order(unit.key, obeyed_w=obeyed_w, granted_w=0.0 if unit.stop_foreseen else granted_w)
        if change is not None:
            unit.expiry = self._agenda.after((change - now).total_seconds(), lambda: self.evaluate(unit))

    def _given(self, unit: Unit, level_w: float) -> float:
        """What it makes of a level below 0: as told, more, the contrary, or nothing once a spell is over."""
        if level_w >= 0:
            unit.giving, unit.tired = None, False
            return level_w
        spells = self._behaviour.gives_for
        if spells is not None and unit.giving is None:
            unit.giving = self._agenda.after(self._rng.uniform(*spells.lasts_s), lambda: self._tire(unit))
        return 0.0 if unit.tired else level_w * self._behaviour.gives_share

    def _tire(self, unit: Unit) -> None:
        unit.tired = True
        self.evaluate(unit)

    def evaluate_all(self) -> None:
        for unit in self.units.values():
            self.evaluate(unit)

    def _vehicle_phases(self, connector: int) -> int | None:
        vehicle = self._plant.vehicle(self.units[connector].key)
        return vehicle.stay.phases if vehicle is not None else None

    def powered(self, on: bool) -> None:
        """Open all contactors, or close those of sessions that go on."""
        for unit in self.units.values():
            if unit.transaction is not None:
                self.evaluate(unit)
                self._plant.energise(unit.key, on)
                if on:
                    self.show_outlet(unit)

    # -- what is said of them -------------------------------------------------------------------------------------------

    def set_status(self, unit: Unit, status: Status) -> None:
        if status == unit.status:
            return
        before, unit.status = unit.status, status
        if self.voice.shows(before, status):
            self.notify(unit)
        if unit.transaction is not None:
            changed = self.voice.changed(unit.transaction, status, wire_time(self.now()), offline=self._offline)
            if changed is not None:
                self.outbox.put(Message(Kind.TRANSACTION, changed))

    def resting(self, unit: Unit) -> Status:
        """The status without a session."""
        if not unit.operative:
            return Status.unavailable
        return Status.available if unit.tag is None else Status.preparing

    def show_resting(self, unit: Unit) -> None:
        if unit.transaction is None:
            self.set_status(unit, self.resting(unit))

    def notify(self, unit: Unit) -> None:
        if self._connection.up:
            self.outbox.put(Message(Kind.NOTICE, self.status_request(unit.key.connector, unit.status)))

    def status_request(self, connector: int, status: Status) -> Build:
        return self.voice.status(connector, status, wire_time(self.now()))

    def arm_sampling(self, unit: Unit) -> None:
        if unit.sampling is not None:
            unit.sampling.cancel()
        interval = self.configuration.number("MeterValueSampleInterval")
        if interval > 0:
            unit.sampling = self._agenda.after(interval, lambda: self._sample_again(unit))

    def _sample_again(self, unit: Unit) -> None:
        if unit.transaction is not None:
            if self._connection.restarting_s is None:
                self.sample(unit, "Sample.Periodic")
            self.arm_sampling(unit)

    def sample(self, unit: Unit, context: str) -> None:
        if self._behaviour.silent_giver and self._plant.power_w(unit.key) < 0:
            return
        values = list(self._meters.sampled_values(unit.key))
        sampled = self.voice.sampled(
            unit.key.connector, unit.transaction or unit.early, values, wire_time(self.now()), context=context, offline=self._offline
        )
        if sampled is not None:
            self.outbox.put(Message(Kind.METER, sampled))
