"""A charging station: its sessions and their meter values, between the plant's outlets and the central system's calls.

Connections come and go under a station (:mod:`simulator.connection`): sessions, profiles and unconfirmed transaction
messages stay. What it says, in which version of OCPP, is its voice's (:mod:`simulator.voice`); what it does is the same in
all. Numbers with § are clauses of OCPP 1.6.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from ocpp.v16.enums import ChargePointStatus as Status

from depot.ports import Clock
from depot.registry import ConnectorSpec, StationSpec
from depot.values import ConnectorId
from simulator.agenda import Agenda, Appointment
from simulator.configuration import Configuration
from simulator.connection import Connect, Connection
from simulator.limits import Limits
from simulator.link import wire_time
from simulator.measuring import Measuring
from simulator.outbox import Kind, Message, Outbox
from simulator.personas import Behaviour
from simulator.plant import OutletState, Plant
from simulator.profiles import Profile, read_time
from simulator.session import Session
from simulator.voice import Build, Voice, Voice16

_RESYNC_S = 1.0
_BOOT_S = 20.0
_ZERO_PATIENCE_S = 3.0
_START_PATIENCE_S = 60.0


@dataclass(slots=True, eq=False)
class _Unit:
    """One connector. ``tag``: the plugged vehicle's. ``spent``: only a re-plug makes another session possible. ``early``: a
    transaction that began with the plug and waits for somebody to be authorised."""

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


class Station:
    """One station of ``plant``.

    ``rate_units``: "W", "A" or both. ``autostart``: it authorises a plugged vehicle and starts by itself instead of
    waiting for RemoteStart. ``voice``: which OCPP it speaks, 1.6 unless told. ``on_spent``: told when a session ended in
    a way that needs a re-plug.
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
    ) -> None:
        self.station_id = spec.station_id
        self.voice = voice or Voice16()
        self.clock = clock
        self.configuration = Configuration(connectors=len(spec.connectors), rate_units=rate_units)
        self.outbox = Outbox(
            attempts=lambda: self.configuration.number("TransactionMessageAttempts"),
            retry_s=lambda: self.configuration.number("TransactionMessageRetryInterval"),
        )
        self.limits = Limits(
            behaviour,
            self.configuration,
            {c.connector: c for c in spec.connectors},
            rate_units=rate_units,
            vehicle_phases=self._vehicle_phases,
        )
        self.connection = Connection(self, connect=connect, clock=clock, agenda=agenda, behaviour=behaviour, rng=rng)
        self._behaviour = behaviour
        self._plant = plant
        self._agenda = agenda
        self._autostart = autostart
        self._on_spent = on_spent
        self._units = {c.connector: _Unit(ConnectorId(spec.station_id, c.connector), c) for c in spec.connectors}
        self._after: list[Callable[[], None]] = []
        self._skew = timedelta()
        self._meters = Measuring(plant, self.configuration, behaviour, unlabelled=rng.random() < 0.5)
        for unit in self._units.values():
            plant.listen(unit.key, self._outlet_changed)

    async def run(self) -> None:
        """Its life, until cancelled."""
        await self.connection.run()

    def now(self) -> datetime:
        """The station's own clock, set by the central system at boot and heartbeat (§4.2)."""
        return self.clock.now() + self._skew

    def transaction_id(self, connector: int) -> int | str | None:
        """The confirmed id of the running transaction, None without one."""
        transaction = self._units[connector].transaction
        return transaction.transaction_id if transaction else None

    # -- the vehicle's side ------------------------------------------------------------------------------------------

    def plugged(self, connector: int, tag: str) -> None:
        """A vehicle was plugged in (the plant knows it already). Its driver's or its own id tag is ``tag``."""
        unit = self._units[connector]
        unit.tag = tag
        unit.spent = False
        if not unit.operative:
            return
        self._set_status(unit, Status.preparing)
        if self.voice.starts_at_plug:
            unit.early = self._announce(unit, None)
        if unit.remote is not None:
            self._begin_remote(unit)
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
            self._stop(unit, "EVDisconnected")
        self._set_status(unit, self._resting(unit))

    def _authorise(self, unit: _Unit, tag: str) -> None:
        if self.connection.hears:
            self.outbox.put(self._authorisation(unit, tag))
        else:
            self._start(unit, tag, None)  # AllowOfflineTxForUnknownId

    def _authorisation(self, unit: _Unit, tag: str) -> Message:
        def answered(answer: Any) -> None:
            if self.voice.permits(answer) and unit.tag == tag and unit.transaction is None and unit.operative:
                self._start(unit, tag, None)

        return Message(Kind.NOTICE, lambda: self.voice.authorize(tag), answered)

    # -- sessions ------------------------------------------------------------------------------------------------------

    def _announce(self, unit: _Unit, tag: str | None, *, remote: bool = False) -> Session:
        """A transaction begins: the central system is told, and its answer is heeded whenever it comes."""
        session = Session(unit.key.connector, tag, self.now(), self._meters.register(unit.key), remote=remote)
        self.voice.named(session, self.station_id)

        def confirmed(answer: Any) -> None:
            self.voice.confirmed(session, answer)
            self._heed(unit, session, answer)

        self.outbox.put(Message(Kind.TRANSACTION, self.voice.started(session, offline=self._offline), confirmed))
        return session

    def _heed(self, unit: _Unit, session: Session, answer: Any) -> None:
        if not self.voice.permits(answer) and unit.transaction is session:
            self._stop(unit, "DeAuthorized")

    @property
    def _offline(self) -> bool:
        return not self.connection.up

    def _start(self, unit: _Unit, tag: str, profile: Profile | None, *, remote: bool = False) -> None:
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
            unit.transaction = self._announce(unit, tag, remote=remote)
        self._evaluate(unit)
        self._plant.energise(unit.key, self.connection.restarting_s is None)
        self._show_outlet(unit)
        self._arm_sampling(unit)

    def _stop(self, unit: _Unit, reason: str) -> None:
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
            self._set_status(unit, Status.finishing if unit.operative else Status.unavailable)

    def _outlet_changed(self, key: ConnectorId, state: OutletState) -> None:
        unit = self._units[key.connector]
        transaction = unit.transaction
        if transaction is None:
            return
        if self.connection.restarting_s is None:
            self._show_outlet(unit)
        if state is OutletState.DRAWING:
            transaction.drew = True
        elif state is OutletState.HELD and self._behaviour.ends_at_zero:
            self._agenda.after(_ZERO_PATIENCE_S if transaction.drew else _START_PATIENCE_S, lambda: self._end_at_zero(unit, transaction))

    def _end_at_zero(self, unit: _Unit, transaction: Session) -> None:
        if unit.transaction is transaction and self._plant.state(unit.key) is OutletState.HELD:
            unit.spent = True
            self._stop(unit, "Other")
            if self._on_spent is not None:
                self._on_spent(unit.key)

    def _show_outlet(self, unit: _Unit) -> None:
        shown = {OutletState.DRAWING: Status.charging, OutletState.HELD: Status.suspended_evse, OutletState.SATISFIED: Status.suspended_ev}
        status = shown.get(self._plant.state(unit.key))
        if unit.transaction is not None and status is not None:
            self._set_status(unit, status)

    # -- limits --------------------------------------------------------------------------------------------------------

    def _evaluate(self, unit: _Unit) -> None:
        """Order the outlet to what the profiles say now, and look again when they may say something else."""
        if unit.expiry is not None:
            unit.expiry.cancel()
        if unit.transaction is None:
            return
        now = self.now()
        running = sum(1 for other in self._units.values() if other.transaction is not None)
        obeyed_w, granted_w, change = self.limits.levels(unit.key.connector, now, unit.transaction.started_at, running=running)
        self._plant.order(unit.key, obeyed_w=obeyed_w, granted_w=0.0 if unit.stop_foreseen else granted_w)
        if change is not None:
            unit.expiry = self._agenda.after((change - now).total_seconds(), lambda: self._evaluate(unit))

    def _evaluate_all(self) -> None:
        for unit in self._units.values():
            self._evaluate(unit)

    def _vehicle_phases(self, connector: int) -> int | None:
        vehicle = self._plant.vehicle(self._units[connector].key)
        return vehicle.stay.phases if vehicle is not None else None

    def set_profile(self, connector: int, data: Mapping[str, Any]) -> str:
        """SetChargingProfile (§5.16); returns the ChargingProfileStatus."""
        profile = self._acceptable(connector, data)
        if profile is None:
            return "Rejected"
        self.limits.install(connector, profile)
        self._evaluate_all()
        return "Accepted"

    def _acceptable(self, connector: int, data: Mapping[str, Any]) -> Profile | None:
        running = self.transaction_id(connector) if connector in self._units else None
        return self.limits.acceptable(connector, data, now=self.now(), transaction_id=running)

    def clear_profile(self, criteria: Mapping[str, Any]) -> bool:
        """ClearChargingProfile (§5.3); returns whether there was one."""
        found = self.limits.clear(criteria)
        self._evaluate_all()
        return found

    def foresee_profile(self, connector: int, data: Mapping[str, Any]) -> None:
        """A profile has come in that the station will act on late: note what it should be doing from now on."""
        profile = self._acceptable(connector, data)
        if profile is not None:
            self.limits.foresee(connector, profile)
        self._evaluate_all()

    def foresee_stop(self, transaction_id: int | str) -> None:
        """A remote stop has come in that the station will act on late."""
        for unit in self._units.values():
            if unit.transaction is not None and unit.transaction.transaction_id == transaction_id:
                unit.stop_foreseen = True
        self._evaluate_all()

    def held_profiles(self) -> list[tuple[int, Profile]]:
        """What a report of its profiles shows."""
        return self.limits.kept.held()

    def composite_schedule(self, connector: int, seconds: int, unit: str | None) -> tuple[datetime, dict[str, Any]] | None:
        """GetCompositeSchedule (§5.7): start and ChargingSchedule, None to reject."""
        transaction = self._units[connector].transaction if connector in self._units else None
        began = transaction.started_at if transaction is not None else None
        return self.limits.composite(connector, self.now(), seconds=seconds, began=began, unit=unit)

    # -- what the central system asks (answers; what follows them waits in ``carry_out``) ------------------------------

    def say(self, build: Build) -> None:
        """Say it once the answer that is being given has left."""
        self._after.append(functools.partial(self.outbox.put, Message(Kind.NOTICE, build)))

    def carry_out(self) -> None:
        """Do what was promised in an answer that has now left."""
        waiting, self._after = self._after, []
        for action in waiting:
            action()

    def accept_remote_start(self, tag: str, connector: int | None, profile_data: Mapping[str, Any] | None) -> bool:
        """RemoteStartTransaction (§5.11): a free connector, plugged or about to be, with a profile that it can keep."""
        free = [u for u in self._units.values() if u.operative and not u.spent and u.transaction is None and u.remote is None]
        wanted = [u for u in free if u.key.connector == connector] if connector is not None else sorted(free, key=lambda u: u.tag is None)
        if not wanted or self.connection.restarting_s is not None:
            return False
        unit = wanted[0]
        profile = self.limits.acceptable_at_start(profile_data, now=self.now()) if profile_data is not None else None
        if profile_data is not None and profile is None:
            return False
        unit.remote = (tag, profile)
        self._after.append(lambda: self._begin_remote(unit))
        return True

    def _begin_remote(self, unit: _Unit) -> None:
        if unit.remote is None:
            return
        if unit.tag is None:
            remote = unit.remote
            self._agenda.after(self.configuration.number("ConnectionTimeOut"), lambda: self._give_up_remote(unit, remote))
            return
        (tag, profile), unit.remote = unit.remote, None
        if unit.transaction is None and unit.operative and not unit.spent:
            self._start(unit, tag, profile, remote=True)

    def _give_up_remote(self, unit: _Unit, remote: tuple[str, Profile | None] | None) -> None:
        if unit.remote is remote:
            unit.remote = None

    def accept_remote_stop(self, transaction_id: int | str) -> bool:
        """RemoteStopTransaction (§5.12)."""
        for unit in self._units.values():
            running = unit.transaction or unit.early
            if running is not None and running.transaction_id == transaction_id:
                self._after.append(functools.partial(self._stop, unit, "Remote"))
                return True
        return False

    def change_availability(self, connector: int, *, operative: bool) -> str:
        """ChangeAvailability (§5.2); connector 0 means all of them."""
        units = [u for u in self._units.values() if connector in (0, u.key.connector)]
        if not units:
            return "Rejected"
        scheduled = False
        for unit in units:
            if unit.transaction is not None and not operative:
                unit.operative_next = False
                scheduled = True
            else:
                unit.operative, unit.operative_next = operative, None
                if unit.transaction is None:
                    self._after.append(functools.partial(self._show_resting, unit))
        return "Scheduled" if scheduled else "Accepted"

    def change_configuration(self, key: str, value: str) -> str:
        """ChangeConfiguration (§5.3); a new sampling interval counts at once."""
        status = self.configuration.change(key, value)
        if status == "Accepted" and key == "MeterValueSampleInterval":
            for unit in self._units.values():
                if unit.transaction is not None:
                    self._arm_sampling(unit)
        return status

    def accept_trigger(self, requested: str, connector: int | None) -> str:
        """TriggerMessage (§5.17)."""
        if connector is not None and connector not in self._units:
            return "Rejected"
        units = [u for u in self._units.values() if connector in (None, u.key.connector)]
        if requested == "MeterValues":
            self._after.extend(functools.partial(self._sample, unit, "Trigger") for unit in units)
        elif requested == "TransactionEvent" and self.voice.names_transactions:
            running = [u for u in units if u.transaction is not None or u.early is not None]
            self._after.extend(functools.partial(self._sample, unit, "Trigger") for unit in running)
            return "Accepted" if running else "Rejected"
        elif requested == "StatusNotification":
            self._after.extend(functools.partial(self._notify, unit) for unit in units)
        elif requested == "Heartbeat":
            beat = Message(Kind.NOTICE, self.voice.heartbeat, lambda answer: self.set_clock(answer.current_time))
            self._after.append(functools.partial(self.outbox.put, beat))
        elif requested == "BootNotification":
            self._after.append(functools.partial(self.outbox.put, Message(Kind.NOTICE, self.boot_request)))
        else:
            return "NotImplemented"
        return "Accepted"

    def unlock(self, connector: int) -> str:
        """UnlockConnector (§5.18)."""
        unit = self._units.get(connector)
        if unit is None:
            return "NotSupported"
        self._stop(unit, "UnlockCommand")
        return "Unlocked"

    def reset(self, *, hard: bool) -> None:
        """Reset (§5.14): sessions end, volatile things go, and it boots again."""
        for unit in self._units.values():
            self._stop(unit, "HardReset" if hard else "SoftReset")
        self.connection.restart(_BOOT_S)

    # -- what it says --------------------------------------------------------------------------------------------------

    def _set_status(self, unit: _Unit, status: Status) -> None:
        if status == unit.status:
            return
        before, unit.status = unit.status, status
        if self.voice.shows(before, status):
            self._notify(unit)
        if unit.transaction is not None:
            changed = self.voice.changed(unit.transaction, status, wire_time(self.now()), offline=self._offline)
            if changed is not None:
                self.outbox.put(Message(Kind.TRANSACTION, changed))

    def _resting(self, unit: _Unit) -> Status:
        """The status without a session."""
        if not unit.operative:
            return Status.unavailable
        return Status.available if unit.tag is None else Status.preparing

    def _show_resting(self, unit: _Unit) -> None:
        if unit.transaction is None:
            self._set_status(unit, self._resting(unit))

    def _notify(self, unit: _Unit) -> None:
        if self.connection.up:
            self.outbox.put(Message(Kind.NOTICE, self._status_request(unit.key.connector, unit.status)))

    def _status_request(self, connector: int, status: Status) -> Build:
        return self.voice.status(connector, status, wire_time(self.now()))

    def boot_request(self) -> Any:
        return self.voice.boot(self.station_id)

    def _arm_sampling(self, unit: _Unit) -> None:
        if unit.sampling is not None:
            unit.sampling.cancel()
        interval = self.configuration.number("MeterValueSampleInterval")
        if interval > 0:
            unit.sampling = self._agenda.after(interval, lambda: self._sample_again(unit))

    def _sample_again(self, unit: _Unit) -> None:
        if unit.transaction is not None:
            if self.connection.restarting_s is None:
                self._sample(unit, "Sample.Periodic")
            self._arm_sampling(unit)

    def _sample(self, unit: _Unit, context: str) -> None:
        values = list(self._meters.sampled_values(unit.key))
        sampled = self.voice.sampled(
            unit.key.connector, unit.transaction or unit.early, values, wire_time(self.now()), context=context, offline=self._offline
        )
        if sampled is not None:
            self.outbox.put(Message(Kind.METER, sampled))

    # -- what its connection needs of it -------------------------------------------------------------------------------

    def present(self) -> list[Message]:
        """StatusNotifications of all connectors; vehicles that came while nobody listened ask again for permission."""
        notices = [Message(Kind.NOTICE, self._status_request(0, Status.available))]
        for connector, unit in self._units.items():
            notices.append(Message(Kind.NOTICE, self._status_request(connector, unit.status)))
            if self._autostart and unit.tag is not None and unit.status == Status.preparing:
                notices.append(self._authorisation(unit, unit.tag))
        return notices

    def heartbeat_s(self) -> int:
        return self.configuration.number("HeartbeatInterval")

    def set_clock(self, current_time: str) -> None:
        """Follow the central system's clock (§4.2), unless it is nonsense."""
        try:
            error = read_time(current_time) - self.now()
        except ValueError:
            return
        if abs(error.total_seconds()) > _RESYNC_S:
            self._skew += error
            self._evaluate_all()

    def booted(self, interval_s: int) -> None:
        if interval_s > 0:
            self.configuration.change("HeartbeatInterval", str(interval_s))

    def powered(self, on: bool) -> None:
        """Open all contactors, or close those of sessions that go on."""
        for unit in self._units.values():
            if unit.transaction is not None:
                self._evaluate(unit)
                self._plant.energise(unit.key, on)
                if on:
                    self._show_outlet(unit)

    def forget(self) -> None:
        self.limits.kept.forget()
