"""What the central system asks of a station, answered. What follows an answer waits until that has left.

    Link (a message came) --> Answers --> text of the answer;  Link (the answer has left) --> carry_out()

Numbers with § are clauses of OCPP 1.6.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

from depot.ports import Clock
from simulator.charging import Charging
from simulator.outbox import Kind, Message
from simulator.profiles import Profile
from simulator.shown16 import Shown
from simulator.voice import Build

_BOOT_S = 20.0


class Restarts(Protocol):
    """What an answer can do to the station's connections."""

    @property
    def restarting_s(self) -> float | None: ...
    def restart(self, lasts_s: float) -> None: ...


class Answers:
    """The :class:`~simulator.link.StationSide` of a station. ``set_clock``: told the central system's time."""

    def __init__(self, charging: Charging, connection: Restarts, *, clock: Clock, set_clock: Callable[[str], None]) -> None:
        self.station_id = charging.station_id
        self.clock = clock
        self.configuration = charging.configuration
        self.shown = Shown()
        self._charging = charging
        self._units = charging.units
        self._limits = charging.limits
        self._outbox = charging.outbox
        self._voice = charging.voice
        self._connection = connection
        self._set_clock = set_clock
        self._after: list[Callable[[], None]] = []
        self.on_profile: Callable[[int, Mapping[str, Any]], None] | None = None
        """Called when a profile was taken, once the answer has left."""

    def say(self, build: Build) -> None:
        """Say it once the answer that is being given has left."""
        self._after.append(functools.partial(self._outbox.put, Message(Kind.NOTICE, build)))

    def carry_out(self) -> None:
        """Do what was promised in an answer that has now left."""
        waiting, self._after = self._after, []
        for action in waiting:
            action()

    # -- profiles -------------------------------------------------------------------------------------------------------

    def set_profile(self, connector: int, data: Mapping[str, Any]) -> str:
        """SetChargingProfile (§5.16); returns the ChargingProfileStatus."""
        profile = self._acceptable(connector, data)
        if profile is None:
            return "Rejected"
        self._limits.install(connector, profile)
        self._charging.evaluate_all()
        if self.on_profile is not None:
            self._after.append(functools.partial(self.on_profile, connector, data))
        return "Accepted"

    def _acceptable(self, connector: int, data: Mapping[str, Any]) -> Profile | None:
        running = self._charging.transaction_id(connector) if connector in self._units else None
        return self._limits.acceptable(connector, data, now=self._charging.now(), transaction_id=running)

    def clear_profile(self, criteria: Mapping[str, Any]) -> bool:
        """ClearChargingProfile (§5.3); returns whether there was one."""
        found = self._limits.clear(criteria)
        self._charging.evaluate_all()
        return found

    def foresee_profile(self, connector: int, data: Mapping[str, Any]) -> None:
        """A profile has come in that the station will act on late: note what it should be doing from now on."""
        profile = self._acceptable(connector, data)
        if profile is not None:
            self._limits.foresee(connector, profile)
        self._charging.evaluate_all()

    def foresee_stop(self, transaction_id: int | str) -> None:
        """A remote stop has come in that the station will act on late."""
        for unit in self._units.values():
            if unit.transaction is not None and unit.transaction.transaction_id == transaction_id:
                unit.stop_foreseen = True
        self._charging.evaluate_all()

    def runs(self, transaction_id: int | str) -> bool:
        """Whether this transaction runs here."""
        return any(u.transaction is not None and u.transaction.transaction_id == transaction_id for u in self._units.values())

    def held_profiles(self) -> list[tuple[int, Profile]]:
        """What a report of its profiles shows."""
        return self._limits.kept.held()

    def composite_schedule(self, connector: int, seconds: int, unit: str | None) -> tuple[datetime, dict[str, Any]] | None:
        """GetCompositeSchedule (§5.7): start and ChargingSchedule, None to reject."""
        transaction = self._units[connector].transaction if connector in self._units else None
        began = transaction.started_at if transaction is not None else None
        return self._limits.composite(connector, self._charging.now(), seconds=seconds, began=began, unit=unit)

    # -- everything else ------------------------------------------------------------------------------------------------

    def accept_remote_start(self, tag: str, connector: int | None, profile_data: Mapping[str, Any] | None) -> bool:
        """RemoteStartTransaction (§5.11): a free connector, plugged or about to be, with a profile that it can keep."""
        free = [u for u in self._units.values() if u.operative and not u.spent and u.transaction is None and u.remote is None]
        wanted = [u for u in free if u.key.connector == connector] if connector is not None else sorted(free, key=lambda u: u.tag is None)
        if not wanted or self._connection.restarting_s is not None:
            return False
        unit = wanted[0]
        profile = self._limits.acceptable_at_start(profile_data, now=self._charging.now()) if profile_data is not None else None
        if profile_data is not None and profile is None:
            return False
        unit.remote = (tag, profile)
        self._after.append(lambda: self._charging.begin_remote(unit))
        return True

    def accept_remote_stop(self, transaction_id: int | str) -> bool:
        """RemoteStopTransaction (§5.12)."""
        for unit in self._units.values():
            running = unit.transaction or unit.early
            if running is not None and running.transaction_id == transaction_id:
                self._after.append(functools.partial(self._charging.stop, unit, "Remote"))
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
                    self._after.append(functools.partial(self._charging.show_resting, unit))
        return "Scheduled" if scheduled else "Accepted"

    def change_configuration(self, key: str, value: str) -> str:
        """ChangeConfiguration (§5.3); a new sampling interval counts at once."""
        status = self.configuration.change(key, value)
        if status == "Accepted" and key == "MeterValueSampleInterval":
            for unit in self._units.values():
                if unit.transaction is not None:
                    self._charging.arm_sampling(unit)
        return status

    def accept_trigger(self, requested: str, connector: int | None) -> str:
        """TriggerMessage (§5.17)."""
        if connector is not None and connector not in self._units:
            return "Rejected"
        units = [u for u in self._units.values() if connector in (None, u.key.connector)]
        if requested == "MeterValues":
            self._after.extend(functools.partial(self._charging.sample, unit, "Trigger") for unit in units)
        elif requested == "TransactionEvent" and self._voice.names_transactions:
            running = [u for u in units if u.transaction is not None or u.early is not None]
            self._after.extend(functools.partial(self._charging.sample, unit, "Trigger") for unit in running)
            return "Accepted" if running else "Rejected"
        elif requested == "StatusNotification":
            self._after.extend(functools.partial(self._charging.notify, unit) for unit in units)
        elif requested == "Heartbeat":
            beat = Message(Kind.NOTICE, self._voice.heartbeat, lambda answer: self._set_clock(answer.current_time))
            self._after.append(functools.partial(self._outbox.put, beat))
        elif requested == "BootNotification":
            self._after.append(functools.partial(self._outbox.put, Message(Kind.NOTICE, lambda: self._voice.boot(self.station_id))))
        else:
            return "NotImplemented"
        return "Accepted"

    def unlock(self, connector: int) -> str:
        """UnlockConnector (§5.18)."""
        unit = self._units.get(connector)
        if unit is None:
            return "NotSupported"
        self._charging.stop(unit, "UnlockCommand")
        return "Unlocked"

    def reset(self, *, hard: bool) -> None:
        """Reset (§5.14): sessions end, volatile things go, and it boots again."""
        for unit in self._units.values():
            self._charging.stop(unit, "HardReset" if hard else "SoftReset")
        self._connection.restart(_BOOT_S)
