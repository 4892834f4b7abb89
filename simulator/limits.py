"""A station's limits: which profiles it takes, and what they mean in watts for an outlet and for the vehicle on it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from ocpp.v16.enums import ChargingProfilePurposeType as Purpose
from ocpp.v16.enums import ChargingRateUnitType as Unit

from depot.registry import ConnectorSpec, Current
from simulator.configuration import Configuration
from simulator.personas import Behaviour
from simulator.profiles import Allowed, Profile, ProfileStack

_MAINS_V = 300
_PACK_V = 400


class Limits:
    """The profiles of one station, and its habits in following them. ``vehicle_phases(connector)``: phases that the
    plugged vehicle uses, None without one."""

    def __init__(
        self,
        behaviour: Behaviour,
        configuration: Configuration,
        connectors: Mapping[int, ConnectorSpec],
        *,
        rate_units: tuple[str, ...],
        vehicle_phases: Callable[[int], int | None],
    ) -> None:
        self._behaviour = behaviour
        self._configuration = configuration
        self._connectors = connectors
        self._rate_units = rate_units
        self._vehicle_phases = vehicle_phases
        self.kept = ProfileStack()
        # What it should be obeying: the same thing, unless the station learns late or forgets.
        self.promised = ProfileStack() if behaviour.answer_s or behaviour.reboots else self.kept

    def acceptable(self, connector: int, data: Mapping[str, Any], *, now: datetime, transaction_id: int | str | None) -> Profile | None:
        """The profile of a SetChargingProfile (§5.16), or None to reject it. ``transaction_id``: the running one's, once
        the central system has confirmed its start."""
        try:
            profile = Profile.parse(data, now=now)
        except ValueError:
            return None
        if not self._supports(profile) or (connector != 0 and connector not in self._connectors):
            return None
        if profile.purpose == Purpose.charge_point_max_profile:
            return profile if connector == 0 else None
        if profile.purpose == Purpose.tx_profile and (transaction_id is None or profile.transaction_id not in (None, transaction_id)):
            return None
        return profile

    def acceptable_at_start(self, data: Mapping[str, Any], *, now: datetime) -> Profile | None:
        """The profile of a RemoteStartTransaction (§5.11), or None to reject it."""
        try:
            profile = Profile.parse(data, now=now)
        except ValueError:
            return None
        return profile if profile.purpose == Purpose.tx_profile and self._supports(profile) else None

    def _supports(self, profile: Profile) -> bool:
        return (
            profile.unit.value in self._rate_units
            and 0 <= profile.stack_level <= self._configuration.number("ChargeProfileMaxStackLevel")
            and len(profile.periods) <= self._configuration.number("ChargingScheduleMaxPeriods")
            and len(self.kept) < self._configuration.number("MaxChargingProfilesInstalled")
        )

    def install(self, connector: int, profile: Profile) -> None:
        for stack in self._stacks():
            stack.install(connector, profile)

    def foresee(self, connector: int, profile: Profile) -> None:
        """The profile has come in, but the station acts on it later."""
        self.promised.install(connector, profile)

    def clear(self, criteria: Mapping[str, Any]) -> bool:
        """ClearChargingProfile (§5.3) by its fields in snake_case; returns whether there was one."""
        purpose = criteria.get("charging_profile_purpose")
        wanted: dict[str, Any] = {
            "profile_id": criteria.get("id"),
            "connector": criteria.get("connector_id"),
            "purpose": Purpose(purpose) if purpose is not None else None,
            "stack_level": criteria.get("stack_level"),
        }
        found = [stack.clear(**wanted) for stack in self._stacks()]
        return found[0]

    def end_transaction(self, connector: int) -> None:
        for stack in self._stacks():
            stack.end_transaction(connector)

    def _stacks(self) -> tuple[ProfileStack, ...]:
        return (self.kept,) if self.promised is self.kept else (self.kept, self.promised)

    def levels(self, connector: int, now: datetime, began: datetime, *, running: int) -> tuple[float, float, datetime | None]:
        """What the station lets the vehicle draw, what it was granted (both W, inf: no limit), and when to ask again.

        ``running``: transactions on the station; they share the cap of a ChargePointMaxProfile.
        """
        own, cap, change = self.kept.in_force(connector, now, began)
        obeyed_w = math.inf
        if self._behaviour.obeys:
            obeyed_w = self._least(connector, own, cap, self._vehicle_phases(connector), running) * self._behaviour.draws
        if self.promised is not self.kept:
            own, cap, also = self.promised.in_force(connector, now, began)
            change = min((at for at in (change, also) if at is not None), default=None)
        return obeyed_w, self._least(connector, own, cap, None, running), change

    def composite(
        self, connector: int, now: datetime, *, seconds: int, began: datetime | None, unit: str | None
    ) -> tuple[datetime, dict[str, Any]] | None:
        """GetCompositeSchedule (§5.7): start and ChargingSchedule; None to reject. Where nothing limits, it states the rating."""
        spec = self._connectors.get(connector)
        rate = Unit(unit or ("W" if "W" in self._rate_units else "A"))
        if spec is None or rate.value not in self._rate_units:
            return None
        rows = self.kept.composite(
            connector, now, seconds=seconds, transaction_start=began, watts=lambda allowed: self._watts(connector, allowed, None)
        )
        per_w = 1.0 if rate == Unit.watts else 1.0 / self._watts(connector, Allowed(1.0, rate), None)
        periods = []
        for at, w in rows:
            limit = min(spec.rated_w, math.inf if w is None else max(0.0, w)) * per_w
            periods.append({"start_period": at, "limit": math.floor(limit * 10 + 1e-6) / 10})
        return now, {"duration": seconds, "charging_rate_unit": rate.value, "charging_schedule_period": periods}

    def _least(self, connector: int, own: Allowed | None, cap: Allowed | None, phases: int | None, running: int) -> float:
        level = math.inf if own is None else self._watts(connector, own, phases)
        return level if cap is None else min(level, self._watts(connector, cap, phases) / max(1, running))

    def _watts(self, connector: int, allowed: Allowed, phases: int | None) -> float:
        """``allowed`` in W; with ``phases``, the part that a vehicle on so many can draw: on one of three a third of a
        limit in W, and all of its phase's in A."""
        spec = self._connectors[connector]
        if spec.current is Current.DC:
            return allowed.limit * (_dc_voltage(spec) if allowed.unit == Unit.amps else 1)
        used = min(allowed.phases, _wired(spec))
        drawn = used if phases is None else min(phases, used)
        return allowed.limit * (spec.voltage_v * drawn if allowed.unit == Unit.amps else drawn / used)


def _wired(spec: ConnectorSpec) -> int:
    return len(spec.phases) or 3


def _dc_voltage(spec: ConnectorSpec) -> int:
    """What an ampere counts on the battery's side; a registry that states the mains' voltage says nothing about it."""
    return spec.voltage_v if spec.voltage_v > _MAINS_V else _PACK_V
