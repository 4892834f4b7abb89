"""Vehicles that speak ISO 15118 over a 2.x station, and an energy manager that limits it beside the depot.

    session begins --> NotifyEVChargingNeeds            from the vehicle's stay and pack
    a TxProfile    --> NotifyEVChargingSchedule         the vehicle takes what it is given; once for each other level
    limit(w)       --> NotifyChargingLimit, and the station holds it;  limit(None) --> ClearedChargingLimit

Only what a station passes on; what the vehicle draws is the plant's.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from ocpp.v201 import call

from depot.registry import Current
from simulator.charging import Charging, Unit
from simulator.link import wire_time
from simulator.outbox import Kind, Message
from simulator.plant import Plant
from simulator.profiles import Profile

EXTERNAL_ID = -1
"""The profile that stands for the energy manager's limit; ids below 0 are not the depot's."""
_EXTERNAL_LEVEL = 99
_TUPLES = 12
_MODES = {1: "AC_single_phase", 2: "AC_two_phase"}


class HighLevel:
    """One station's. ``vehicles``: whether those that plug in speak ISO 15118."""

    def __init__(self, plant: Plant, charging: Charging, *, vehicles: bool = True) -> None:
        self._plant = plant
        self._charging = charging
        self._told: dict[int, float] = {}
        """The level that each connector's vehicle has agreed to last."""
        if vehicles:
            charging.on_session = self.began

    def began(self, unit: Unit) -> None:
        """Its session is authorised: the vehicle says what it needs."""
        vehicle = self._plant.vehicle(unit.key)
        if vehicle is None:
            return
        self._told.pop(unit.key.connector, None)
        stay, soc = vehicle.stay, vehicle.pack.soc
        wanted_wh = max(0, round(stay.soc_arrival * stay.battery_wh + stay.need_wh - soc * stay.battery_wh))
        dc = unit.spec.current is Current.DC
        needs: dict[str, Any] = {
            "requested_energy_transfer": "DC" if dc else _MODES.get(stay.phases, "AC_three_phase"),
            "departure_time": wire_time(self._plant.day.start + timedelta(seconds=stay.stated_depart_s)),
        }
        energy = round(wanted_wh / stay.efficiency)
        if dc:
            volts = 800
            needs["dc_charging_parameters"] = {
                "ev_max_current": stay.max_w // volts, "ev_max_voltage": volts, "energy_amount": energy, "ev_max_power": stay.max_w,
                "state_of_charge": round(soc * 100), "ev_energy_capacity": stay.battery_wh,
            }  # fmt: skip
        else:
            per_a = unit.spec.voltage_v * stay.phases
            needs["ac_charging_parameters"] = {
                "energy_amount": energy, "ev_min_current": -(-stay.min_w // per_a), "ev_max_current": stay.max_w // per_a,
                "ev_max_voltage": unit.spec.voltage_v,
            }  # fmt: skip
        said = call.NotifyEVChargingNeeds(charging_needs=needs, evse_id=unit.key.connector, max_schedule_tuples=_TUPLES)
        self._charging.outbox.put(Message(Kind.NOTICE, lambda: said))

    def profiled(self, connector: int, profile: Mapping[str, Any]) -> None:
        """The station has taken a profile: the vehicle takes the schedule where it begins with another level than before."""
        schedule = profile["charging_schedule"]
        level = schedule["charging_schedule_period"][0]["limit"]
        if profile["charging_profile_purpose"] != "TxProfile" or self._told.get(connector) == level:
            return
        self._told[connector] = level
        kept = {key: schedule[key] for key in ("id", "duration", "charging_rate_unit", "charging_schedule_period") if key in schedule}
        base = schedule.get("start_schedule") or wire_time(self._charging.now())
        said = call.NotifyEVChargingSchedule(time_base=base, charging_schedule=kept, evse_id=connector)
        self._charging.outbox.put(Message(Kind.NOTICE, lambda: said))

    def limit(self, power_w: int | None, *, source: str = "EMS") -> None:
        """An energy manager limits the whole station; None: no more."""
        now = self._charging.now()
        said: Any
        if power_w is None:
            self._charging.limits.clear({"id": EXTERNAL_ID})
            said = call.ClearedChargingLimit(charging_limit_source=source)
        else:
            schedule = {"charging_rate_unit": "W", "charging_schedule_period": [{"start_period": 0, "limit": power_w}]}
            held = {
                "charging_profile_id": EXTERNAL_ID, "stack_level": _EXTERNAL_LEVEL, "charging_profile_purpose": "ChargePointMaxProfile",
                "charging_profile_kind": "Absolute",
                "charging_schedule": {**schedule, "start_schedule": wire_time(now - timedelta(seconds=1))},
            }  # fmt: skip
            self._charging.limits.install(0, Profile.parse(held, now=now))
            limit = {"charging_limit_source": source, "is_grid_critical": False}
            said = call.NotifyChargingLimit(charging_limit=limit, charging_schedule=[{"id": 1, **schedule}])
        self._charging.evaluate_all()
        self._charging.outbox.put(Message(Kind.NOTICE, lambda: said))
