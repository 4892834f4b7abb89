"""The vehicles' telematics: each plugged vehicle tells of its pack over MQTT, as JSON, until it leaves.

Written from the contract alone (docs/telemetry.md): nothing here is shared with what reads it. A unit has four sensors with
a gradient, noise and 0.1 K of resolution, a clock of its own that may be wrong, and perhaps a pack that overheats.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random

import aiomqtt

from depot.ports import Clock
from depot.values import ConnectorId, PackKey
from simulator.link import wire_time
from simulator.personas import rng_for
from simulator.plant import Plant, Vehicle

log = logging.getLogger(__name__)

PACK_ID = "P1"
_SENSORS = 4
_GRADIENT_K = 0.4
_NOISE_K = 0.15
_NEIGHBOURS = 0.6
"""How much of a hot spot's excess the sensors around it see."""

_COOLING_S = 900.0
_LOOK_S = 1.0
_RETRY_S = (1.0, 5.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class HotPack:
    """A pack that overheats: from ``after_s`` on the charger, its sensor 0 rises by ``rise_k_per_min`` above what charging
    explains, for as long as power flows; else the excess decays. From ``alarm_c`` on the battery management system raises
    ``alarm`` (None: it stays silent, and only the temperature tells)."""

    after_s: float = 60.0
    rise_k_per_min: float = 4.0
    most_k: float = 60.0
    alarm_c: float | None = None
    alarm: str = "over_temperature"


@dataclass(slots=True)
class Unit:
    """One vehicle's telematics unit. ``clock_off_s``: how far its own clock is ahead. ``silent``: it has stopped sending."""

    depot_id: str
    pack: PackKey
    rng: Random
    hot: HotPack | None = None
    clock_off_s: float = 0.0
    silent: bool = False
    excess_k: float = 0.0
    plugged_s: float = 0.0
    alarms: list[str] = field(default_factory=list)

    @property
    def topic(self) -> str:
        return f"chargeyard/v1/{self.depot_id}/vehicles/{self.pack.vehicle_id}/packs/{self.pack.pack_id}/telemetry"

    def advance(self, seconds: float, *, charging: bool) -> None:
        """Let time go on at the charger."""
        self.plugged_s += seconds
        if self.hot is not None and charging and self.plugged_s > self.hot.after_s:
            self.excess_k = min(self.hot.most_k, self.excess_k + self.hot.rise_k_per_min * seconds / 60.0)
        else:
            self.excess_k *= math.exp(-seconds / _COOLING_S)

    def temperatures_c(self, pack_c: float) -> list[float]:
        """What the sensors say of a pack whose cells are at ``pack_c`` where nothing is wrong."""
        return [
            round(
                pack_c
                + _GRADIENT_K * (number - (_SENSORS - 1) / 2)
                + self.excess_k * (_NEIGHBOURS if number else 1.0)
                + self.rng.gauss(0.0, _NOISE_K),
                1,
            )
            for number in range(_SENSORS)
        ]

    def message(self, clock: Clock, *, pack_c: float, soc: float) -> bytes:
        """The payload of this moment."""
        temperatures = self.temperatures_c(pack_c)
        alarms = list(self.alarms)
        if self.hot is not None and self.hot.alarm_c is not None and max(temperatures) >= self.hot.alarm_c:
            alarms.append(self.hot.alarm)
        said = {
            "schema": "pack_telemetry/1",
            "reported_at": wire_time(clock.now() + timedelta(seconds=self.clock_off_s)),
            "temperatures_c": temperatures,
            "soc": round(soc, 4),
            "alarms": alarms,
        }
        return json.dumps(said).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAddress:
    """Where the vehicles send to, and with which key (by vehicle id)."""

    host: str = "127.0.0.1"
    port: int = 1883
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)


class Telematics:
    """The units of all vehicles that come to ``connectors`` of ``plant``; its owner runs :meth:`run` as a task.

    ``every_s``: depot seconds between two samples. ``hot``: vehicles whose pack overheats. ``off_clocks``: largest error of
    a vehicle's clock, seconds. Needs real sockets: not for a virtual clock. ``units``: by vehicle, for who wants to meddle.
    :meth:`heat` lets a pack run hot at any time.
    """

    def __init__(
        self,
        plant: Plant,
        connectors: Sequence[ConnectorId],
        *,
        depot_id: str,
        broker: BrokerAddress,
        clock: Clock,
        seed: int,
        every_s: float = 5.0,
        hot: Mapping[str, HotPack] | None = None,
        off_clocks_s: float = 120.0,
    ) -> None:
        self.units: dict[str, Unit] = {}
        self.sent = 0
        self._plant = plant
        self._connectors = tuple(connectors)
        self._depot_id = depot_id
        self._broker = broker
        self._clock = clock
        self._seed = seed
        self._every_s = every_s
        self._hot = dict(hot or {})
        self._off_clocks_s = off_clocks_s

    def heat(self, vehicle_id: str, how: HotPack | None = None) -> None:
        """From now on (or when it comes) this vehicle's pack overheats while power flows; by ``how`` or as most do. It stays
        so until :meth:`cool`."""
        self._hot[vehicle_id] = hot = how or HotPack(after_s=0.0)
        unit = self.units.get(vehicle_id)
        if unit is not None:
            unit.hot = hot

    def cool(self, vehicle_id: str) -> None:
        """What was wrong with the pack is repaired: the excess heat decays by itself."""
        self._hot.pop(vehicle_id, None)
        unit = self.units.get(vehicle_id)
        if unit is not None:
            unit.hot = None

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            for key in self._connectors:
                group.create_task(self._serve(key), name=f"telematics {key}")

    async def _serve(self, key: ConnectorId) -> None:
        """Whoever is plugged in at ``key`` sends; a connection that fails is tried again while the vehicle is there."""
        before: Vehicle | None = None
        while True:
            vehicle = self._plant.vehicle(key)
            if vehicle is None or vehicle.stay.vehicle_id not in self._broker.keys:
                await self._clock.sleep(_LOOK_S)
                continue
            unit = self._unit(vehicle.stay.vehicle_id)
            if vehicle is not before:
                before, unit.plugged_s = vehicle, 0.0
            with contextlib.suppress(aiomqtt.MqttError):
                await self._send_while_plugged(key, vehicle, unit)
            task = asyncio.current_task()
            if task is not None and task.cancelling():  # what the client said while it was closed has hidden the cancellation
                raise asyncio.CancelledError
            await asyncio.sleep(unit.rng.uniform(*_RETRY_S))

    async def _send_while_plugged(self, key: ConnectorId, vehicle: Vehicle, unit: Unit) -> None:
        name = unit.pack.vehicle_id
        async with aiomqtt.Client(
            self._broker.host, self._broker.port, username=name, password=self._broker.keys[name], identifier=f"vehicle-{name}", logger=log
        ) as client:
            while self._plant.vehicle(key) is vehicle:
                if not unit.silent:
                    await client.publish(unit.topic, unit.message(self._clock, pack_c=vehicle.pack.temp_c, soc=vehicle.pack.soc), qos=1)
                    self.sent += 1
                await self._clock.sleep(self._every_s)
                unit.advance(self._every_s, charging=self._plant.power_w(key) > 0)

    def _unit(self, vehicle_id: str) -> Unit:
        unit = self.units.get(vehicle_id)
        if unit is None:
            rng = rng_for(self._seed, f"{vehicle_id} telematics")
            off_s = rng.uniform(-self._off_clocks_s, self._off_clocks_s)
            pack = PackKey(vehicle_id, PACK_ID)
            unit = self.units[vehicle_id] = Unit(self._depot_id, pack, rng, hot=self._hot.get(vehicle_id), clock_off_s=off_s)
        return unit
