"""A charging station: sessions, profiles and habits, between the plant's outlets and an OCPP 1.6 connection.

Depot time (meter intervals, profile expiry, late answers, deaf spells, restarts) runs on the injected clock; what the
protocol times (answers, heartbeats, reconnecting) runs on the event loop's. Connections come and go under a station:
sessions, profiles and unconfirmed transaction messages stay.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import math
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from ocpp.exceptions import OCPPError
from ocpp.v16 import call
from ocpp.v16.enums import ChargePointStatus as Status
from ocpp.v16.enums import ChargingProfilePurposeType as Purpose
from ocpp.v16.enums import ChargingRateUnitType as Unit

from depot.ports import Clock
from depot.registry import ConnectorSpec, Current, StationSpec
from depot.values import ConnectorId
from simulator.agenda import Agenda, Appointment
from simulator.configuration import Configuration
from simulator.link import Link, wire_time
from simulator.outbox import Kind, Message, Outbox
from simulator.personas import Behaviour, Spells
from simulator.plant import OutletState, Plant
from simulator.profiles import Allowed, Profile, ProfileStack, read_time
from simulator.wire import Wire, WireClosed

Connect = Callable[[str], Awaitable[Wire]]
"""Opens a connection for a station id; raises OSError (:class:`~simulator.wire.WireRefused` among them) or TimeoutError."""

_RECONNECT_MOST_S = 10.0
_RESYNC_S = 1.0
_BOOT_S = 20.0
_ZERO_PATIENCE_S = 3.0
_START_PATIENCE_S = 60.0


class _Restart(Exception):
    """Ends a connection from this side: the station restarts, or wakes from a deaf spell."""


@dataclass(slots=True, eq=False)
class _Transaction:
    """``transaction_id`` None: the central system has not confirmed the start. ``drew``: power has flowed in it."""

    id_tag: str
    started_at: datetime
    meter_start: int
    transaction_id: int | None = None
    drew: bool = False


@dataclass(slots=True, eq=False)
class _Unit:
    """One connector. ``tag``: the plugged vehicle's. ``spent``: only a re-plug makes another session possible."""

    key: ConnectorId
    spec: ConnectorSpec
    status: Status = Status.available
    tag: str | None = None
    transaction: _Transaction | None = None
    remote: tuple[str, Profile | None] | None = None
    operative: bool = True
    operative_next: bool | None = None
    spent: bool = False
    stop_foreseen: bool = False
    sampling: Appointment | None = None
    expiry: Appointment | None = None


class Station:
    """One station of ``plant``; :meth:`run` is its life.

    ``rate_units``: "W", "A" or both. ``autostart``: it authorises a plugged vehicle and starts by itself instead of
    waiting for RemoteStart. ``on_spent``: told when a session ended in a way that needs a re-plug.
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
        on_spent: Callable[[ConnectorId], None] | None = None,
    ) -> None:
        self.station_id = spec.station_id
        self.clock = clock
        self.behaviour = behaviour
        self.configuration = Configuration(connectors=len(spec.connectors), rate_units=rate_units)
        self.kept = ProfileStack()
        # What it should be obeying. The same thing, unless the station learns late or forgets.
        self.promised = ProfileStack() if behaviour.answer_s or behaviour.reboots else self.kept
        self.boots = 0
        self._plant = plant
        self._agenda = agenda
        self._connect = connect
        self._rng = rng
        self._rate_units = frozenset(rate_units)
        self._autostart = autostart
        self._on_spent = on_spent
        self._units = {c.connector: _Unit(ConnectorId(spec.station_id, c.connector), c) for c in spec.connectors}
        self._outbox = Outbox(
            attempts=lambda: self.configuration.number("TransactionMessageAttempts"),
            retry_s=lambda: self.configuration.number("TransactionMessageRetryInterval"),
        )
        self._after: list[Callable[[], None]] = []
        self._skew = timedelta()
        self._booted = False
        self._restarting_s: float | None = None
        self._link: Link | None = None
        self._interrupt: asyncio.Event = asyncio.Event()
        self._unlabelled = rng.random() < 0.5
        self._messages = 0
        for unit in self._units.values():
            plant.listen(unit.key, self._outlet_changed)

    def now(self) -> datetime:
        """The station's own clock, set by the central system at boot and heartbeat (§4.2)."""
        return self.clock.now() + self._skew

    @property
    def connected(self) -> bool:
        return self._link is not None and not self._link.deaf

    def transaction_id(self, connector: int) -> int | None:
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
        if unit.remote is not None:
            self._begin_remote(unit)
        elif self._autostart:
            self._authorise(unit, tag)

    def unplugged(self, connector: int) -> None:
        """The vehicle was unplugged; its session ends (§4.10)."""
        unit = self._units[connector]
        unit.tag = None
        unit.spent = False
        if unit.transaction is not None:
            self._stop(unit, "EVDisconnected")
        self._set_status(unit, self._resting(unit))

    def _authorise(self, unit: _Unit, tag: str) -> None:
        def answered(answer: Any) -> None:
            if answer.id_tag_info["status"] == "Accepted" and unit.tag == tag and unit.transaction is None and unit.operative:
                self._start(unit, tag, None)

        if self.connected:
            self._outbox.put(Message(Kind.NOTICE, lambda: call.Authorize(id_tag=tag), answered))
        else:
            self._start(unit, tag, None)  # AllowOfflineTxForUnknownId

    # -- sessions ------------------------------------------------------------------------------------------------------

    def _start(self, unit: _Unit, tag: str, profile: Profile | None) -> None:
        transaction = _Transaction(tag, self.now(), self._register(unit))
        unit.transaction = transaction
        unit.stop_foreseen = False
        if profile is not None:
            self._install(unit.key.connector, profile)

        def confirmed(answer: Any) -> None:
            transaction.transaction_id = answer.transaction_id
            if answer.id_tag_info["status"] != "Accepted" and unit.transaction is transaction:
                self._stop(unit, "DeAuthorized")

        request = call.StartTransaction(
            connector_id=unit.key.connector, id_tag=tag, meter_start=transaction.meter_start, timestamp=wire_time(transaction.started_at)
        )
        self._outbox.put(Message(Kind.TRANSACTION, lambda: request, confirmed))
        self._evaluate(unit)
        self._plant.energise(unit.key, self._restarting_s is None)
        self._show_outlet(unit)
        self._arm_sampling(unit)

    def _stop(self, unit: _Unit, reason: str) -> None:
        transaction = unit.transaction
        if transaction is None:
            return
        unit.transaction = None
        self._plant.energise(unit.key, False)
        for appointment in (unit.sampling, unit.expiry):
            if appointment is not None:
                appointment.cancel()
        for stack in (self.kept, self.promised):
            stack.end_transaction(unit.key.connector)
        meter_stop, at = self._register(unit), wire_time(self.now())

        def request() -> Any:
            # −1: the start was given up unconfirmed, so the central system never named it
            number = transaction.transaction_id if transaction.transaction_id is not None else -1
            return call.StopTransaction(
                transaction_id=number, id_tag=transaction.id_tag, meter_stop=meter_stop, timestamp=at, reason=reason
            )

        for _ in range(self.behaviour.stops):
            self._outbox.put(Message(Kind.TRANSACTION, request))
        if unit.operative_next is not None:
            unit.operative, unit.operative_next = unit.operative_next, None
        if unit.tag is not None:
            self._set_status(unit, Status.finishing if unit.operative else Status.unavailable)

    def _outlet_changed(self, key: ConnectorId, state: OutletState) -> None:
        unit = self._units[key.connector]
        transaction = unit.transaction
        if transaction is None:
            return
        if self._restarting_s is None:
            self._show_outlet(unit)
        if state is OutletState.DRAWING:
            transaction.drew = True
        elif state is OutletState.HELD and self.behaviour.ends_at_zero:
            self._agenda.after(_ZERO_PATIENCE_S if transaction.drew else _START_PATIENCE_S, lambda: self._end_at_zero(unit, transaction))

    def _end_at_zero(self, unit: _Unit, transaction: _Transaction) -> None:
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
        connector, began = unit.key.connector, unit.transaction.started_at
        own, cap, change = self.kept.in_force(connector, now, began)
        obeyed_w = self._watts(unit, own, cap, vehicle=True) * self.behaviour.draws if self.behaviour.obeys else math.inf
        if self.promised is not self.kept:
            own, cap, promised_change = self.promised.in_force(connector, now, began)
            change = min((at for at in (change, promised_change) if at is not None), default=None)
        granted_w = 0.0 if unit.stop_foreseen else self._watts(unit, own, cap, vehicle=False)
        self._plant.order(unit.key, obeyed_w=obeyed_w, granted_w=granted_w)
        if change is not None:
            unit.expiry = self._agenda.after((change - now).total_seconds(), lambda: self._evaluate(unit))

    def _watts(self, unit: _Unit, own: Allowed | None, cap: Allowed | None, *, vehicle: bool) -> float:
        """Both in W: what the connector may draw, or what its vehicle then can. Connectors in use share the station's cap."""
        level = math.inf if own is None else self._allowed_w(unit, own, vehicle=vehicle)
        if cap is not None:
            running = sum(1 for other in self._units.values() if other.transaction is not None)
            level = min(level, self._allowed_w(unit, cap, vehicle=vehicle) / max(1, running))
        return level

    def _allowed_w(self, unit: _Unit, allowed: Allowed, *, vehicle: bool) -> float:
        """``allowed`` in W. A vehicle on one phase of three gets a third of a limit in W, and all of its phase's in A."""
        spec = unit.spec
        wired = len(spec.phases) or 3
        used = min(allowed.phases, wired)
        drawn = used
        plugged = self._plant.vehicle(unit.key) if vehicle and spec.current is Current.AC else None
        if plugged is not None:
            drawn = min(plugged.stay.phases, used)
        if allowed.unit == Unit.amps:
            return allowed.limit * spec.voltage_v * drawn
        return allowed.limit * drawn / used

    def set_profile(self, connector: int, data: Mapping[str, Any]) -> str:
        """SetChargingProfile (§5.16); returns the ChargingProfileStatus."""
        profile = self._acceptable(connector, data)
        if profile is None:
            return "Rejected"
        self._install(connector, profile)
        self._evaluate_all()
        return "Accepted"

    def _acceptable(self, connector: int, data: Mapping[str, Any]) -> Profile | None:
        try:
            profile = Profile.parse(data, now=self.now())
        except ValueError:
            return None
        if not self._supports(profile) or (connector != 0 and connector not in self._units):
            return None
        if profile.purpose == Purpose.charge_point_max_profile:
            return profile if connector == 0 else None
        if profile.purpose == Purpose.tx_profile:
            # §5.16.2, and a start counts as a transaction once it is confirmed
            running = self.transaction_id(connector) if connector else None
            if running is None or profile.transaction_id not in (None, running):
                return None
        return profile

    def _supports(self, profile: Profile) -> bool:
        return (
            profile.unit.value in self._rate_units
            and 0 <= profile.stack_level <= self.configuration.number("ChargeProfileMaxStackLevel")
            and len(profile.periods) <= self.configuration.number("ChargingScheduleMaxPeriods")
            and len(self.kept) < self.configuration.number("MaxChargingProfilesInstalled")
        )

    def _install(self, connector: int, profile: Profile) -> None:
        self.kept.install(connector, profile)
        if self.promised is not self.kept:
            self.promised.install(connector, profile)

    def clear_profile(self, criteria: Mapping[str, Any]) -> bool:
        """ClearChargingProfile (§5.3); returns whether there was one."""
        purpose = criteria.get("charging_profile_purpose")
        wanted: dict[str, Any] = {
            "profile_id": criteria.get("id"),
            "connector": criteria.get("connector_id"),
            "purpose": Purpose(purpose) if purpose is not None else None,
            "stack_level": criteria.get("stack_level"),
        }
        found = [stack.clear(**wanted) for stack in (self.kept, self.promised)]
        self._evaluate_all()
        return found[0]

    def foresee(self, action: str, payload: dict[str, Any]) -> None:
        """A call has come in that the station will act on late: note what it should be doing from now on."""
        if action == "SetChargingProfile":
            profile = self._acceptable(payload["connector_id"], payload["cs_charging_profiles"])
            if profile is not None:
                self.promised.install(payload["connector_id"], profile)
        elif action == "RemoteStopTransaction":
            for unit in self._units.values():
                if unit.transaction is not None and unit.transaction.transaction_id == payload["transaction_id"]:
                    unit.stop_foreseen = True
        self._evaluate_all()

    def composite_schedule(self, connector: int, seconds: int, unit_text: str | None) -> tuple[datetime, dict[str, Any]] | None:
        """GetCompositeSchedule (§5.7): start and ChargingSchedule, None to reject. Without a limit it states the rating."""
        unit = self._units.get(connector)
        rate = Unit(unit_text or ("W" if "W" in self._rate_units else "A"))
        if unit is None or rate.value not in self._rate_units:
            return None
        now = self.now()
        began = unit.transaction.started_at if unit.transaction else None
        rows = self.kept.composite(
            connector, now, seconds=seconds, transaction_start=began, watts=lambda allowed: self._allowed_w(unit, allowed, vehicle=False)
        )
        per_w = 1.0 if rate == Unit.watts else 1.0 / (unit.spec.voltage_v * (len(unit.spec.phases) or 3))
        periods = [
            {"start_period": at, "limit": math.floor(min(unit.spec.rated_w, math.inf if w is None else w) * per_w * 10) / 10}
            for at, w in rows
        ]
        return now, {"duration": seconds, "charging_rate_unit": rate.value, "charging_schedule_period": periods}

    def _evaluate_all(self) -> None:
        for unit in self._units.values():
            self._evaluate(unit)

    # -- what the central system asks (answers; what follows them waits in ``carry_out``) ------------------------------

    def carry_out(self) -> None:
        """Do what was promised in an answer that has now left."""
        waiting, self._after = self._after, []
        for action in waiting:
            action()

    def accept_remote_start(self, tag: str, connector: int | None, profile_data: Mapping[str, Any] | None) -> bool:
        """RemoteStartTransaction (§5.11): a free connector, plugged or about to be, with a profile that it can keep."""
        free = [u for u in self._units.values() if u.operative and not u.spent and u.transaction is None and u.remote is None]
        wanted = [u for u in free if u.key.connector == connector] if connector is not None else sorted(free, key=lambda u: u.tag is None)
        if not wanted or self._restarting_s is not None:
            return False
        unit = wanted[0]
        profile: Profile | None = None
        if profile_data is not None:
            with contextlib.suppress(ValueError):
                profile = Profile.parse(profile_data, now=self.now())
            if profile is None or profile.purpose != Purpose.tx_profile or not self._supports(profile):
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
            self._start(unit, tag, profile)

    def _give_up_remote(self, unit: _Unit, remote: tuple[str, Profile | None] | None) -> None:
        if unit.remote is remote:
            unit.remote = None

    def accept_remote_stop(self, transaction_id: int) -> bool:
        """RemoteStopTransaction (§5.12)."""
        for unit in self._units.values():
            if unit.transaction is not None and unit.transaction.transaction_id == transaction_id:
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
        elif requested == "StatusNotification":
            self._after.extend(functools.partial(self._notify, unit) for unit in units)
        elif requested == "Heartbeat":
            self._after.append(
                lambda: self._outbox.put(Message(Kind.NOTICE, call.Heartbeat, lambda answer: self._set_clock(answer.current_time)))
            )
        elif requested == "BootNotification":
            self._after.append(lambda: self._outbox.put(Message(Kind.NOTICE, self._boot_notification)))
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
        self._restart(_BOOT_S)

    # -- what it says --------------------------------------------------------------------------------------------------

    def _set_status(self, unit: _Unit, status: Status) -> None:
        if status != unit.status:
            unit.status = status
            self._notify(unit)

    def _resting(self, unit: _Unit) -> Status:
        """The status without a session."""
        if not unit.operative:
            return Status.unavailable
        return Status.available if unit.tag is None else Status.preparing

    def _show_resting(self, unit: _Unit) -> None:
        if unit.transaction is None:
            self._set_status(unit, self._resting(unit))

    def _notify(self, unit: _Unit) -> None:
        if self._link is not None:
            self._outbox.put(Message(Kind.NOTICE, self._status_request(unit.key.connector, unit.status)))

    def _status_request(self, connector: int, status: Status) -> Callable[[], Any]:
        at = wire_time(self.now())
        return lambda: call.StatusNotification(connector_id=connector, error_code="NoError", status=status.value, timestamp=at)

    def _boot_notification(self) -> Any:
        serial = f"SN-{self.station_id}"[:25]
        return call.BootNotification(
            charge_point_vendor="Yardworks", charge_point_model="YW-1", charge_point_serial_number=serial, firmware_version="1.4.2"
        )

    def _register(self, unit: _Unit) -> int:
        """Lifetime register as this station writes it in transaction messages."""
        return int(self._plant.register_wh(unit.key) / (1000 if self.behaviour.kwh else 1))

    def _arm_sampling(self, unit: _Unit) -> None:
        if unit.sampling is not None:
            unit.sampling.cancel()
        interval = self.configuration.number("MeterValueSampleInterval")
        if interval > 0:
            unit.sampling = self._agenda.after(interval, lambda: self._sample_again(unit))

    def _sample_again(self, unit: _Unit) -> None:
        if unit.transaction is not None:
            if self._restarting_s is None:
                self._sample(unit, "Sample.Periodic")
            self._arm_sampling(unit)

    def _sample(self, unit: _Unit, context: str) -> None:
        transaction = unit.transaction
        value = {"timestamp": wire_time(self.now()), "sampled_value": list(self._sampled_values(unit, context))}

        def request() -> Any:
            number = transaction.transaction_id if transaction is not None else None
            return call.MeterValues(connector_id=unit.key.connector, transaction_id=number, meter_value=[value])

        if value["sampled_value"]:
            self._outbox.put(Message(Kind.METER, request))

    def _sampled_values(self, unit: _Unit, context: str) -> Iterator[dict[str, str]]:
        wanted = self.configuration.listed("MeterValuesSampledData")
        vehicle = self._plant.vehicle(unit.key)
        if "Power.Active.Import" in wanted:
            yield {"value": str(self._plant.power_w(unit.key)), "context": context, "measurand": "Power.Active.Import", "unit": "W"}
        if "Energy.Active.Import.Register" in wanted:
            register = self._plant.register_wh(unit.key)
            sample = {"value": f"{register:.1f}", "context": context, "measurand": "Energy.Active.Import.Register", "unit": "Wh"}
            if self.behaviour.kwh:
                sample["value"] = f"{register / 1000:.4f}"
                if self._unlabelled:
                    del sample["unit"]  # where none is given, Wh is meant (§7.35)
            yield sample
        if vehicle is not None and "SoC" in wanted:
            yield {"value": f"{vehicle.pack.soc * 100:.1f}", "context": context, "measurand": "SoC", "unit": "Percent"}
        if vehicle is not None and "Temperature" in wanted:
            yield {"value": f"{vehicle.pack.temp_c:.1f}", "context": context, "measurand": "Temperature", "unit": "Celsius"}

    # -- connections ---------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Connect, boot, and come back whenever the connection is lost; until cancelled."""
        self._next_spell(self.behaviour.deaf, self._go_deaf)
        self._next_spell(self.behaviour.reboots, self._reboot)
        failures = 0
        wire: Wire | None = None
        await asyncio.sleep(self._rng.uniform(0.0, 2.0))
        try:
            while True:
                stale = wire
                try:
                    wire = await self._connect(self.station_id)
                except (OSError, TimeoutError):
                    failures += 1
                    await asyncio.sleep(min(_RECONNECT_MOST_S, 2.0 ** min(failures, 6) / 2) * self._rng.uniform(0.5, 1.5))
                    continue
                if stale is not None:
                    await _close(stale)
                failures = 0 if await self._serve(wire) else failures + 1
                if self._restarting_s is None and self._interrupt.is_set():
                    continue  # deaf spell over: the old connection still hangs when the new one comes
                await _close(wire)
                wire = None
                if self._restarting_s is not None:
                    await self.clock.sleep(self._restarting_s)
                await asyncio.sleep(min(_RECONNECT_MOST_S, 2.0 ** min(failures, 6)) * self._rng.uniform(0.25, 0.75))
        finally:
            if wire is not None:
                await _close(wire)

    def drop_link(self) -> None:
        """Lose the connection as seen from here; the station connects again."""
        self._interrupt.set()

    async def _serve(self, wire: Wire) -> bool:
        """Live on one connection until it is over; returns whether it lasted long enough to count as good."""
        late = functools.partial(self._rng.uniform, *self.behaviour.answer_s) if self.behaviour.answer_s else None
        link = Link(self, wire, message_id=self._message_id, answer_s=late)
        self._link = link
        self._interrupt = asyncio.Event()
        self._after = []
        began = asyncio.get_running_loop().time()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(link.start(), name=f"{self.station_id} reader")
                group.create_task(self._converse(link), name=f"{self.station_id} conversation")
                group.create_task(self._until_interrupted(self._interrupt), name=f"{self.station_id} interrupt")
        except* (OSError, TimeoutError, _Restart):
            pass  # lost or left; what comes next does not depend on why
        finally:
            self._link = None
        return asyncio.get_running_loop().time() - began >= _RECONNECT_MOST_S

    async def _until_interrupted(self, interrupt: asyncio.Event) -> None:
        await interrupt.wait()
        raise _Restart

    async def _converse(self, link: Link) -> None:
        if not self._booted:
            await self._boot(link)
        notices = [Message(Kind.NOTICE, self._status_request(0, Status.available))]
        notices += [Message(Kind.NOTICE, self._status_request(n, unit.status)) for n, unit in self._units.items()]
        self._outbox.reconnected(notices)
        for unit in self._units.values():
            if self._autostart and unit.tag is not None and unit.status == Status.preparing:
                self._authorise(unit, unit.tag)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._outbox.pump(link), name=f"{self.station_id} outbox")
            group.create_task(self._beat(link), name=f"{self.station_id} heartbeat")

    async def _boot(self, link: Link) -> None:
        """BootNotification until accepted (§4.2); then sessions that survived a restart go on."""
        while True:
            try:
                answer = await link.call(self._boot_notification(), suppress=False)
            except OCPPError:
                await asyncio.sleep(_RECONNECT_MOST_S)
                continue
            if answer.status == "Accepted":
                break
            await asyncio.sleep(max(1, answer.interval))
        self._set_clock(answer.current_time)
        if answer.interval > 0:
            self.configuration.change("HeartbeatInterval", str(answer.interval))
        self._booted = True
        self.boots += 1
        self._restarting_s = None
        for unit in self._units.values():
            if unit.transaction is not None:
                self._evaluate(unit)
                self._plant.energise(unit.key, True)
                self._show_outlet(unit)

    async def _beat(self, link: Link) -> None:
        """Heartbeats; two in a row without an answer mean that the connection is dead."""
        missed = 0
        while True:
            await asyncio.sleep(self.configuration.number("HeartbeatInterval"))
            try:
                answer = await link.call(call.Heartbeat(), suppress=False)
            except OCPPError:
                continue
            except TimeoutError:
                missed += 1
                if missed > 1:
                    raise WireClosed(reason="heartbeats unanswered") from None
            else:
                missed = 0
                self._set_clock(answer.current_time)

    def _set_clock(self, current_time: str) -> None:
        error = read_time(current_time) - self.now()
        if abs(error.total_seconds()) > _RESYNC_S:
            self._skew += error
            self._evaluate_all()

    def _message_id(self) -> str:
        self._messages += 1
        return f"{self.station_id[-20:]}-{self._messages}"

    # -- habits --------------------------------------------------------------------------------------------------------

    def _next_spell(self, spells: Spells | None, begin: Callable[[float], None]) -> None:
        if spells is not None:
            lasts = self._rng.uniform(*spells.lasts_s)
            self._agenda.after(self._rng.expovariate(1.0 / spells.every_s), lambda: begin(lasts))

    def _go_deaf(self, lasts_s: float) -> None:
        link = self._link
        if link is not None:
            link.go_deaf()
            self._agenda.after(lasts_s, lambda: self._wake(link))
        self._next_spell(self.behaviour.deaf, self._go_deaf)

    def _wake(self, link: Link) -> None:
        if self._link is link:
            self.drop_link()

    def _reboot(self, lasts_s: float) -> None:
        """Restart in the middle of everything: sessions go on afterwards, profiles are gone."""
        if self._restarting_s is None:
            self.kept.forget()
            self._restart(lasts_s)
        self._next_spell(self.behaviour.reboots, self._reboot)

    def _restart(self, lasts_s: float) -> None:
        self._restarting_s = lasts_s
        self._booted = False
        for unit in self._units.values():
            self._plant.energise(unit.key, False)
        self._interrupt.set()


async def _close(wire: Wire) -> None:
    with contextlib.suppress(OSError):
        await wire.close(1000, "leaving")
