"""A minimal central system for the simulator's tests: raw OCPP-J over the in-memory wire, no library, no policy.

It answers everything with "Accepted", writes down what it hears, and lets a test call any station.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from controller.clock import VirtualClock
from depot.registry import ConnectorSpec, Current, DepotSpec, FeederSpec, StationSpec
from depot.values import ConnectorId
from simulator.day import Day, Stay
from simulator.wire import PipeEnd, WireClosed, pipe

START = datetime(2026, 1, 12, 18, 0, tzinfo=UTC)


@dataclass
class Heard:
    at_s: float
    station_id: str
    message_id: str
    action: str
    payload: dict[str, Any]


@dataclass
class Central:
    """``answers[action]`` replaces an answer: called with (station id, payload); None from it means no answer at all."""

    clock: VirtualClock
    answers: dict[str, Callable[[str, dict[str, Any]], dict[str, Any] | None]] = field(default_factory=dict)
    heard: list[Heard] = field(default_factory=list)
    ends: dict[str, PipeEnd] = field(default_factory=dict)
    wires: list[tuple[PipeEnd, PipeEnd]] = field(default_factory=list)
    refuse: bool = False
    interval_s: int = 300

    def __post_init__(self) -> None:
        self._ids = itertools.count(1)
        self._transactions = itertools.count(101)
        self._waiting: dict[str, asyncio.Future[list[Any]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._known: dict[str, int] = {}

    async def connect(self, station_id: str) -> PipeEnd:
        if self.refuse:
            raise ConnectionRefusedError("nobody listens")
        station_end, central_end = pipe()
        self.ends[station_id] = central_end
        self.wires.append((station_end, central_end))
        task = asyncio.create_task(self._serve(station_id, central_end))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return station_end

    async def _serve(self, station_id: str, wire: PipeEnd) -> None:
        try:
            while True:
                frame = json.loads(await wire.recv())
                if frame[0] == 2:
                    _, message_id, action, payload = frame
                    self.heard.append(Heard(self.t(), station_id, message_id, action, payload))
                    answer = self.answers.get(action, self._answer)(station_id, {**payload, "": action})
                    if answer is not None:
                        await wire.send(json.dumps([3, message_id, answer]))
                elif frame[1] in self._waiting:
                    self._waiting.pop(frame[1]).set_result(frame)
        except WireClosed:
            pass

    def _answer(self, station_id: str, payload: dict[str, Any]) -> dict[str, Any]:
        action = payload.pop("")
        now = self.clock.now().isoformat()
        if action == "BootNotification":
            return {"status": "Accepted", "currentTime": now, "interval": self.interval_s}
        if action == "Heartbeat":
            return {"currentTime": now}
        if action == "Authorize":
            return {"idTagInfo": {"status": "Accepted"}}
        if action == "StartTransaction":
            key = f"{station_id} {payload}"
            if key not in self._known:
                self._known[key] = next(self._transactions)
            return {"idTagInfo": {"status": "Accepted"}, "transactionId": self._known[key]}
        return {}

    def t(self) -> float:
        return (self.clock.now() - START).total_seconds()

    async def call(self, station_id: str, action: str, **payload: Any) -> dict[str, Any]:
        """Call a station; returns the answer's payload. Raises TimeoutError after 60 s, RuntimeError on a CALLERROR."""
        message_id = f"c{next(self._ids)}"
        future: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self._waiting[message_id] = future
        await self.ends[station_id].send(json.dumps([2, message_id, action, payload]))
        async with asyncio.timeout(60):
            frame = await future
        if frame[0] == 4:
            raise RuntimeError(f"{frame[2]}: {frame[3]}")
        return frame[2]

    async def call_when_up(self, station_id: str) -> None:
        """Wait until the station has booted."""
        while not self.of("BootNotification", station_id):
            await self.clock.sleep(0.1)
        await self.clock.sleep(0.1)

    def of(self, action: str, station_id: str | None = None) -> list[Heard]:
        return [h for h in self.heard if h.action == action and station_id in (None, h.station_id)]

    def statuses(self, station_id: str, connector: int = 1) -> list[str]:
        return [h.payload["status"] for h in self.of("StatusNotification", station_id) if h.payload["connectorId"] == connector]


def tx_profile(
    level: float,
    *,
    until: datetime | None = None,
    unit: str = "W",
    transaction_id: int | None = None,
    purpose: str = "TxProfile",
    level_id: int = 1,
) -> dict[str, Any]:
    profile: dict[str, Any] = {
        "chargingProfileId": level_id,
        "stackLevel": 1,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Absolute",
        "chargingSchedule": {"chargingRateUnit": unit, "chargingSchedulePeriod": [{"startPeriod": 0, "limit": level}]},
    }
    if until is not None:
        profile["validTo"] = until.isoformat()
    if transaction_id is not None:
        profile["transactionId"] = transaction_id
    return profile


def default_profile(level: float, unit: str = "W") -> dict[str, Any]:
    return tx_profile(level, unit=unit, purpose="TxDefaultProfile", level_id=2)


def small_day(
    *,
    stations: int = 1,
    hours: float = 2.0,
    current: Current = Current.AC,
    rated_w: int = 22_000,
    min_w: int = 4140,
    stays: tuple[Stay, ...] = (),
    base_w: tuple[tuple[float, int], ...] = ((0.0, 1000),),
    contract_w: int = 1_000_000,
    limits: tuple[tuple[float, int], ...] = (),
) -> Day:
    """A depot with ``stations`` of one connector (CP1, CP2 …) on one feeder."""
    connector = ConnectorSpec(1, rated_w, min_w, current)
    spec = DepotSpec(
        depot_id="yard",
        name="Yard",
        contract_w=contract_w,
        failsafe_w=contract_w,
        worst_background_w=0,
        feeders=(FeederSpec("F1", contract_w),),
        stations=tuple(StationSpec(f"CP{n}", "F1", (connector,)) for n in range(1, stations + 1)),
    )
    return Day("test", START, hours * 3600, spec, stays, base_w, ((0.0, 0.2),), limits=limits)


def stay(
    station: int = 1,
    *,
    arrive_s: float = 60.0,
    depart_s: float = 7000.0,
    need_wh: int = 30_000,
    max_w: int = 22_000,
    phases: int = 3,
    **more: Any,
) -> Stay:
    fields: dict[str, Any] = {"min_w": 4140, "battery_wh": 75_000, "soc_arrival": 0.3} | more
    return Stay(
        vehicle_id=f"van-{station}",
        connector=ConnectorId(f"CP{station}", 1),
        arrive_s=arrive_s,
        depart_s=depart_s,
        stated_depart_s=depart_s,
        need_wh=need_wh,
        requested_wh=need_wh,
        max_w=max_w,
        phases=phases,
        **fields,
    )


async def until(clock: VirtualClock, t: float) -> None:
    """Sleep until ``t`` seconds after the day's start."""
    await clock.sleep((START + timedelta(seconds=t) - clock.now()).total_seconds())
