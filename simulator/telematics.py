"""The vehicles' telematics: each plugged vehicle tells of its pack over MQTT, as JSON, until it leaves.

Written from the contract alone (docs/telemetry.md): nothing here is shared with what reads it. A unit tells what the battery's
own management sees (:mod:`simulator.cells`), by a clock of its own that may be wrong; what can be wrong with battery or unit
is injected (:mod:`simulator.battery_faults`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from random import Random

import aiomqtt

from depot.ports import Clock
from depot.values import ConnectorId, PackKey
from simulator.battery_faults import Fault, HotPack, Silence, WrongClock
from simulator.cells import LFP, Cells, Look, Make, series_of
from simulator.link import wire_time
from simulator.pack import Pack
from simulator.personas import rng_for
from simulator.plant import Plant, Vehicle
from simulator.wear import Wear

log = logging.getLogger(__name__)

PACK_ID = "P1"
FIRMWARE = "sim 2.0"
OLD_SHARE = 0.2
"""Of a depot's units so many speak the first version of the contract."""
_LOOK_S = 1.0
_RETRY_S = (1.0, 5.0)


@dataclass(slots=True)
class Unit:
    """One vehicle's telematics unit. ``clock_off_s``: how far its own clock is ahead. ``silent``: it has stopped sending.
    ``plugged_s``: since when its vehicle is on the charger. ``version``: of the contract that it speaks; 1 tells no cell, no insulation and
    no limit."""

    depot_id: str
    pack: PackKey
    cells: Cells
    clock_off_s: float = 0.0
    silent: bool = False
    plugged_s: float = 0.0
    version: int = 2

    @property
    def topic(self) -> str:
        return f"chargeyard/v1/{self.depot_id}/vehicles/{self.pack.vehicle_id}/packs/{self.pack.pack_id}/telemetry"

    def advance(self, seconds: float, pack: Pack, *, power_w: float) -> None:
        """Let time go on at the charger."""
        self.plugged_s += seconds
        self.cells.advance(seconds, pack, power_w=power_w, on_charger_s=self.plugged_s)

    @property
    def speaks(self) -> bool:
        """Whether it sends now."""
        return not self.silent and not any(isinstance(f, Silence) and self.plugged_s > f.after_s for f in self.cells.faults)

    @property
    def clock_error_s(self) -> float:
        """How far its clock is ahead now."""
        return self.clock_off_s + sum(f.by_s for f in self.cells.faults if isinstance(f, WrongClock) and self.plugged_s > f.after_s)

    def message(self, clock: Clock, pack: Pack, *, power_w: float) -> bytes:
        """The payload of this moment."""
        look = self.cells.look(pack, power_w=power_w, on_charger_s=self.plugged_s)
        reported_at = wire_time(clock.now() + timedelta(seconds=self.clock_error_s))
        found = said(look, reported_at) if self.version == 1 else said_2(look, reported_at)
        return json.dumps(found).encode()


def said(look: Look, reported_at: str) -> dict[str, object]:
    """``pack_telemetry/1`` of what is seen."""
    return {
        "schema": "pack_telemetry/1",
        "reported_at": reported_at,
        "temperatures_c": look.temperatures_c,
        "soc": round(look.soc, 4),
        "current_a": look.current_a,
        "voltage_v": look.voltage_v,
        "cell_min_v": min(look.cells_v),
        "cell_max_v": max(look.cells_v),
        "alarms": look.alarms,
    }


def said_2(look: Look, reported_at: str) -> dict[str, object]:
    """``pack_telemetry/2`` of what is seen, each cell with it."""
    return said(look, reported_at) | {
        "schema": "pack_telemetry/2",
        "cells_v": look.cells_v,
        "insulation_ohm": look.insulation_ohm,
        "limit_a": look.limit_a,
        "limit_v": look.limit_v,
        "stop": look.stop,
        "firmware": FIRMWARE,
    }


def unit_of(depot_id: str, vehicle_id: str, capacity_wh: float, *, make: Make, seed: int, off_clock_s: float = 0.0) -> Unit:
    """The unit and the battery's inside of a vehicle: the same for the same seed."""
    rng = rng_for(seed, f"{vehicle_id} telematics")
    off_s = rng.uniform(-off_clock_s, off_clock_s)
    cells = Cells(make, series=series_of(capacity_wh), rng=Random(rng.random()))  # noqa: S311  # a simulation must be repeatable
    return Unit(depot_id, PackKey(vehicle_id, PACK_ID), cells, clock_off_s=off_s)


def age(unit: Unit, wear: Wear, seed: int, *, days_ago: float = 0.0) -> None:
    """Let a unit's battery be as old as ``wear`` says, so many days ago. Once for each unit; the same for the same seed."""
    uneven = rng_for(seed, f"{unit.pack.vehicle_id} uneven")
    unit.cells.aged(stiffer=wear.stiffer, short_of=wear.short_before(days_ago), uneven=uneven)


def version_of(vehicle_id: str, seed: int) -> int:
    """Of the contract that a vehicle's unit speaks: :data:`OLD_SHARE` of them the first one."""
    return 1 if rng_for(seed, f"{vehicle_id} firmware").random() < OLD_SHARE else 2


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAddress:
    """Where the vehicles send to, and with which key (by vehicle id)."""

    host: str = "127.0.0.1"
    port: int = 1883
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)


class Telematics:
    """The units of all vehicles that come to ``connectors`` of ``plant``; its owner runs :meth:`run` as a task.

    ``every_s``: depot seconds between two samples. ``faults``: what is wrong, by vehicle. ``makes``: of batteries by vehicle, LFP
    where none is named. ``off_clocks``: largest error of a vehicle's clock, seconds. ``wears``: what years have done to batteries,
    by vehicle. Needs real sockets: not for a virtual clock. ``units``: by vehicle, for who wants to meddle. :meth:`inject` lets
    something go wrong at any time.
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
        faults: Mapping[str, Sequence[Fault]] | None = None,
        makes: Mapping[str, Make] | None = None,
        off_clocks_s: float = 120.0,
        wears: Mapping[str, Wear] | None = None,
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
        self._faults: dict[str, list[Fault]] = {vehicle: list(found) for vehicle, found in (faults or {}).items()}
        self._makes = dict(makes or {})
        self._off_clocks_s = off_clocks_s
        self._wears = dict(wears or {})

    def inject(self, vehicle_id: str, fault: Fault) -> None:
        """This goes wrong with the vehicle's battery or unit, ``after_s`` from now or, where it was never seen, from when it comes;
        until :meth:`mend`."""
        unit = self.units.get(vehicle_id)
        if unit is None:
            self._faults.setdefault(vehicle_id, []).append(fault)
        else:
            unit.cells.faults.append(replace(fault, after_s=unit.plugged_s + fault.after_s))

    def heat(self, vehicle_id: str, how: HotPack | None = None) -> None:
        """From now on its pack overheats while power flows; by ``how`` or as most do."""
        self.inject(vehicle_id, how or HotPack(after_s=0.0))

    def mend(self, vehicle_id: str) -> None:
        """Nothing is wrong with it any more; excess heat decays by itself."""
        self._faults.pop(vehicle_id, None)
        unit = self.units.get(vehicle_id)
        if unit is not None:
            unit.cells.faults.clear()

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
            unit = self._unit(vehicle)
            if vehicle is not before:
                before, unit.plugged_s = vehicle, 0.0
            with contextlib.suppress(aiomqtt.MqttError):
                await self._send_while_plugged(key, vehicle, unit)
            task = asyncio.current_task()
            if task is not None and task.cancelling():  # what the client said while it was closed has hidden the cancellation
                raise asyncio.CancelledError
            await asyncio.sleep(rng_for(self._seed, f"{key} retries {unit.plugged_s:.0f}").uniform(*_RETRY_S))

    async def _send_while_plugged(self, key: ConnectorId, vehicle: Vehicle, unit: Unit) -> None:
        name = unit.pack.vehicle_id
        async with aiomqtt.Client(
            self._broker.host, self._broker.port, username=name, password=self._broker.keys[name], identifier=f"vehicle-{name}", logger=log
        ) as client:
            while self._plant.vehicle(key) is vehicle:
                if unit.speaks:
                    power_w = self._plant.power_w(key)
                    await client.publish(unit.topic, unit.message(self._clock, vehicle.pack, power_w=power_w), qos=1)
                    self.sent += 1
                await self._clock.sleep(self._every_s)
                unit.advance(self._every_s, vehicle.pack, power_w=self._plant.power_w(key))

    def _unit(self, vehicle: Vehicle) -> Unit:
        vehicle_id = vehicle.stay.vehicle_id
        unit = self.units.get(vehicle_id)
        if unit is None:
            make = self._makes.get(vehicle_id, LFP)
            unit = unit_of(self._depot_id, vehicle_id, vehicle.pack.capacity_wh, make=make, seed=self._seed, off_clock_s=self._off_clocks_s)
            unit.version = version_of(vehicle_id, self._seed)
            wear = self._wears.get(vehicle_id)
            if wear is not None:
                age(unit, wear, self._seed)
            unit.cells.faults.extend(self._faults.get(vehicle_id, ()))
            self.units[vehicle_id] = unit
        return unit
