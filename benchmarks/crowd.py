"""Hundreds of plain chargers on real sockets in one process: as little work for each frame as OCPP 1.6J allows.

    crowd = Crowd(stations, url=…, keys=…)        one connector each, a vehicle that takes ``most_w`` and never fills
    async with crowd: …                           crowd.told: the level that holds at each; crowd.power_w(): what flows

The stations of :mod:`simulator` cost milliseconds a frame (they check every message against the schema); where the
controller is measured on the same small machine, its counterpart must not be what takes the time. These answer from
hand-written JSON, keep a live and a default profile with its expiry, and come to a level ``LAG_S`` after they were told.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from depot.registry import StationSpec
from simulator.configuration import Configuration
from simulator.wire import SocketWire, dial

LAG_S = 1.0
"""From the profile to the lower power, as a vehicle's charger takes it."""

SAMPLE_S = 60.0
SPREAD_S = 6.0
"""All connect within this time."""

Lowered = Callable[[str, float, float], None]
"""``lowered(station_id, level_w, at)``: a live profile came that is below what held; ``at`` on the monotonic clock."""


class PlainStation:
    """One charger with one connector and a hungry vehicle on it."""

    __slots__ = (
        "_crowd", "_id", "_live", "_next", "_pending", "_power_w", "_register_wh", "_since", "_tasks", "_wire", "asked", "default_w",
        "most_w", "spec", "transaction_id",
    )  # fmt: skip

    def __init__(self, crowd: Crowd, spec: StationSpec, most_w: int) -> None:
        self._crowd = crowd
        self._id = spec.station_id
        self.spec = spec.connectors[0]
        self.most_w = min(most_w, self.spec.rated_w)
        self.transaction_id: int | None = None
        self.default_w = float(self.spec.rated_w)
        self.asked = 0
        self._live: tuple[float, float] | None = None
        self._next = 0
        self._pending: dict[str, Callable[[Any], None]] = {}
        self._power_w = 0
        self._register_wh = 1000.0
        self._since = time.monotonic()
        self._wire: SocketWire | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def told_w(self) -> float:
        """The level that holds: the live profile's, or the default's; 0 without a transaction."""
        if self.transaction_id is None:
            return 0.0
        if self._live is not None and time.time() < self._live[1]:
            return self._live[0]
        return self.default_w

    @property
    def expired(self) -> bool:
        """Whether its live profile is over."""
        return self._live is not None and time.time() >= self._live[1]

    @property
    def power_w(self) -> int:
        """What it draws now."""
        return self._power_w

    async def run(self, url: str, key: str, *, after_s: float) -> None:
        """Connect, boot, answer; until cancelled. A lost connection is made anew, and the transaction goes on."""
        await asyncio.sleep(after_s)
        booted = False
        while True:
            with contextlib.suppress(OSError, TimeoutError):
                self._wire = await dial(url, station_id=self._id, key=key)
                if not booted:
                    self._ask("BootNotification", {"chargePointVendor": "Plain", "chargePointModel": "Crowd"}, self._booted)
                    booted = True
                while True:
                    await self._frame(await self._wire.recv(), time.monotonic())
            await asyncio.sleep(1.0 + after_s / SPREAD_S)

    def sample(self) -> None:
        """Say what is drawn."""
        if self.transaction_id is not None and self._wire is not None:
            self._integrate()
            now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            values = [
                {"value": str(self._power_w), "measurand": "Power.Active.Import", "unit": "W"},
                {"value": str(round(self._register_wh)), "measurand": "Energy.Active.Import.Register", "unit": "Wh"},
            ]
            request = {"connectorId": 1, "transactionId": self.transaction_id, "meterValue": [{"timestamp": now, "sampledValue": values}]}
            self._ask("MeterValues", request, _nothing)

    async def _frame(self, text: str, at: float) -> None:
        frame = json.loads(text)
        if frame[0] == 2:
            answer = self._answer(frame[2], frame[3], at)
            if self._wire is not None:
                await self._wire.send(json.dumps([3, frame[1], answer]))
            if frame[2] == "RemoteStartTransaction" and answer["status"] == "Accepted":
                self._start(frame[3])
            elif frame[2] == "TriggerMessage" and frame[3]["requestedMessage"] == "MeterValues":
                self.sample()
            elif frame[2] == "TriggerMessage" and frame[3]["requestedMessage"] == "StatusNotification":
                self._status()
        elif frame[0] == 3 and (done := self._pending.pop(frame[1], None)) is not None:
            done(frame[2])

    def _answer(self, action: str, payload: dict[str, Any], at: float) -> dict[str, Any]:
        self.asked += 1
        if action == "SetChargingProfile":
            self._install(payload["csChargingProfiles"], at)
            return {"status": "Accepted"}
        if action == "GetConfiguration":
            known, unknown = self._crowd.configuration.read(payload.get("key"))
            return {"configurationKey": known} | ({"unknownKey": unknown} if unknown else {})
        if action == "RemoteStartTransaction" and self.transaction_id is not None:
            return {"status": "Rejected"}
        if action == "GetCompositeSchedule":
            return {"status": "Rejected"}
        return {"status": "Accepted"}

    def _install(self, profile: dict[str, Any], at: float) -> None:
        schedule = profile["chargingSchedule"]
        level_w = float(schedule["chargingSchedulePeriod"][0]["limit"])
        if schedule["chargingRateUnit"] == "A":
            level_w *= 230.0 * 3
        before_w = self.told_w
        if profile["chargingProfilePurpose"] == "TxDefaultProfile":
            self.default_w = level_w
        else:
            until = datetime.fromisoformat(profile["validTo"]).timestamp() if "validTo" in profile else math.inf
            self._live = (level_w, until)
            if level_w < before_w - 50:
                self._crowd.lowered(self._id, level_w, at)
        self._crowd.loop.call_later(LAG_S, self.follow)

    def follow(self) -> None:
        """Draw what is allowed now."""
        level_w = self.told_w
        power_w = min(self.most_w, int(level_w)) if level_w >= self.spec.min_w else 0
        if power_w != self._power_w:
            self._integrate()
            self._crowd.charging_w += power_w - self._power_w
            self._power_w = power_w
            self._crowd.changed()

    def _integrate(self) -> None:
        now = time.monotonic()
        self._register_wh += self._power_w * (now - self._since) / 3600
        self._since = now

    def _booted(self, _answer: Any) -> None:
        self._status()

    def _status(self) -> None:
        status = "Preparing" if self.transaction_id is None else "Charging"
        self._ask("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": status}, _nothing)

    def _start(self, request: dict[str, Any]) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        start = {"connectorId": 1, "idTag": request["idTag"], "meterStart": round(self._register_wh), "timestamp": now}

        def confirmed(answer: Any) -> None:
            self.transaction_id = answer["transactionId"]
            if "chargingProfile" in request:
                self._install(request["chargingProfile"], time.monotonic())
            self._status()

        self._ask("StartTransaction", start, confirmed)

    def _ask(self, action: str, payload: dict[str, Any], done: Callable[[Any], None]) -> None:
        self._next += 1
        message_id = f"{self._id}-{self._next}"
        self._pending[message_id] = done
        task = asyncio.create_task(self._send(json.dumps([2, message_id, action, payload])))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, text: str) -> None:
        if self._wire is not None:
            with contextlib.suppress(OSError):
                await self._wire.send(text)


class Crowd:
    """See the module. ``lowered`` and ``changed`` (of the power that flows) are called as it happens."""

    def __init__(
        self,
        stations: Sequence[StationSpec],
        *,
        url: str,
        keys: Mapping[str, str],
        most_w: int,
        lowered: Lowered | None = None,
        changed: Callable[[], None] | None = None,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.configuration = Configuration(connectors=1, rate_units=("W",))
        self.stations = {spec.station_id: PlainStation(self, spec, most_w) for spec in stations}
        self.lowered: Lowered = lowered or (lambda _station, _level, _at: None)
        self.changed: Callable[[], None] = changed or (lambda: None)
        self.charging_w = 0
        self._url = url
        self._keys = keys
        self._running: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        count = len(self.stations)
        for n, (station_id, station) in enumerate(self.stations.items()):
            life = station.run(self._url, self._keys[station_id], after_s=SPREAD_S * n / count)
            self._running.append(asyncio.create_task(life, name=station_id))
        self._running.append(asyncio.create_task(self._seconds(), name="crowd"))
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    @property
    def charging(self) -> int:
        """How many draw power."""
        return sum(station.power_w > 0 for station in self.stations.values())

    @property
    def told_w(self) -> float:
        """Sum of the levels that hold."""
        return sum(station.told_w for station in self.stations.values())

    async def _seconds(self) -> None:
        """Profiles that expire, and meter values, evenly spread."""
        stations = list(self.stations.values())
        turn = 0.0
        while True:
            await asyncio.sleep(1.0)
            for station in stations:
                if station.expired:
                    station.follow()
            begin, turn = int(turn), turn + len(stations) / SAMPLE_S
            for n in range(begin, int(turn)):
                stations[n % len(stations)].sample()


def _nothing(_answer: Any) -> None:
    """An answer that says nothing."""
