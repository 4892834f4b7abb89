"""SunSpec devices of the virtual depot: a solar inverter and a stationary battery behind real sockets.

    client --Modbus TCP: functions 3, 6, 16--> SunSpecServer --registers as they are now--> a face: SolarFace, BatteryFace

A Modbus server of its own, that knows what a device does wrong: it can refuse writes, say nothing, hang up, or be gone. Its register
layout is typed from the SunSpec model definitions by hand and shares nothing with the controller's client.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from simulator.battery_unit import BatteryUnit
from simulator.listening import Listener

BASE = 40_000
_HEADER = struct.Struct(">HHHB")
_NONE16, _NONE32 = 0xFFFF, 0xFFFF_FFFF


class Face(Protocol):
    """What a device shows at its registers, and does when they are written."""

    def models(self) -> list[list[int]]: ...
    def written(self, model_id: int, offset: int, values: list[int]) -> None: ...


class SunSpecServer:
    """``async with SunSpecServer(face) as server: … server.port``. ``refuses``: writes are answered with exception 4; ``mute``:
    nothing is answered; :meth:`gone`: it hangs up and is not there until :meth:`back`."""

    def __init__(self, face: Face, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.face = face
        self.refuses = False
        self.mute = False
        self.reads = 0
        self.writes: list[tuple[int, int, list[int]]] = []
        self._host, self.port = host, port
        self._listener = Listener(self._serve)

    async def __aenter__(self) -> Self:
        await self.back()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.gone()

    async def back(self) -> None:
        """Listen (again, at the same port)."""
        self.port = await self._listener.open(self._host, self.port)

    async def gone(self) -> None:
        """Hang up and be away."""
        await self._listener.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, struct.error):
            while True:
                transaction, _, length, unit = _HEADER.unpack(await reader.readexactly(_HEADER.size))
                answer = self._answer(await reader.readexactly(length - 1))
                if not self.mute:
                    writer.write(_HEADER.pack(transaction, 0, len(answer) + 1, unit) + answer)
                    await writer.drain()

    def _answer(self, pdu: bytes) -> bytes:
        function = pdu[0]
        if function == 3:
            address, count = struct.unpack(">HH", pdu[1:5])
            image = self._image()
            self.reads += 1
            if not (address >= BASE and address + count <= BASE + len(image) and 1 <= count <= 125):
                return bytes((0x83, 2))
            found = image[address - BASE : address - BASE + count]
            return bytes((3, 2 * count)) + struct.pack(f">{count}H", *found)
        if function == 16:
            address, count = struct.unpack(">HH", pdu[1:5])
            values = list(struct.unpack(f">{count}H", pdu[6 : 6 + 2 * count]))
            done = self._write(address, values)
            return pdu[:5] if done == 0 else bytes((0x90, done))
        if function == 6:
            address, value = struct.unpack(">HH", pdu[1:5])
            done = self._write(address, [value])
            return pdu if done == 0 else bytes((0x86, done))
        return bytes((function | 0x80, 1))

    def _image(self) -> list[int]:
        image = [0x5375, 0x6E53]
        for model in self.face.models():
            image += model
        return [*image, 0xFFFF, 0]

    def _write(self, address: int, values: list[int]) -> int:
        """0, or the exception code."""
        if self.refuses:
            return 4
        at = BASE + 2
        for model in self.face.models():
            if at <= address and address + len(values) <= at + len(model):
                self.writes.append((model[0], address - at, values))
                self.face.written(model[0], address - at, values)
                return 0
            at += len(model)
        return 2


class SolarFace:
    """An inverter: models 1, 103, 160, 704. ``light_w``: what the sun offers now. ``string_count``: of its MPP tracker."""

    def __init__(self, light_w: Callable[[], float], *, rated_w: float, now_s: Callable[[], float], string_count: int = 2) -> None:
        self._light_w, self._rated_w, self._now_s, self._strings = light_w, rated_w, now_s, string_count
        self.state = 4
        self.share = 1.0
        self.enabled = False
        self._back = (1.0, False, 0)
        self._reverts_at_s: float | None = None

    def gives_w(self) -> float:
        """What it feeds in now."""
        if self._reverts_at_s is not None and self._now_s() >= self._reverts_at_s:
            self.share, self.enabled, self._reverts_at_s = self._back[0], self._back[1], None
        light = max(0.0, self._light_w())
        return 0.0 if self.state == 7 else min(light, self.share * self._rated_w) if self.enabled else light

    def models(self) -> list[list[int]]:
        watts = round(self.gives_w() / 10)
        inverter = _model(103, 50)
        _put(inverter, 14, watts)
        _put(inverter, 15, 1)  # tens of watts
        _put(inverter, 24, 1234, width=2)
        _put(inverter, 26, 3)
        _put(inverter, 33, 412)
        _put(inverter, 37, -1)
        _put(inverter, 38, self.state)
        _put(inverter, 40, 0, width=2)
        tracker = _model(160, 8 + 20 * self._strings)
        _put(tracker, 4, 1)
        _put(tracker, 8, self._strings)
        for n in range(self._strings):
            _put(tracker, 10 + 20 * n + 11, round(watts / self._strings))
        controls = _model(704, 65)
        _put(controls, 14, int(self.enabled))
        _put(controls, 15, round(self.share * 1000))
        _put(controls, 16, round(self._back[0] * 1000))
        _put(controls, 17, int(self._back[1]))
        _put(controls, 18, self._back[2], width=2)
        _put(controls, 54, -1)
        return [_common("Sun"), inverter, tracker, controls]

    def written(self, model_id: int, offset: int, values: list[int]) -> None:
        for place, value in enumerate(values, offset):
            if model_id != 704:
                continue
            if place == 15:
                self.share = value / 1000
            elif place == 16:
                self._back = (value / 1000, *self._back[1:])
            elif place == 17:
                self._back = (self._back[0], value == 1, self._back[2])
            elif place == 19:
                self._back = (*self._back[:2], value)
            elif place == 14:
                self.enabled = value == 1
                self._reverts_at_s = self._now_s() + self._back[2] if self.enabled and self._back[2] else None


class BatteryFace:
    """A battery with its inverter: models 1, 701, 704, 713, 715, 802, 803. ``timer``: it has a reversion timer."""

    def __init__(self, unit: BatteryUnit, *, timer: bool = True) -> None:
        self.unit = unit
        self.timer = timer
        self.local = False
        self.heartbeats: list[int] = []

    def models(self) -> list[list[int]]:
        unit = self.unit
        power = unit.step()
        soc = unit.soc if unit.says_soc is None else unit.says_soc
        der = _model(701, 153)
        _put(der, 3, 0 if unit.fault else 1)
        _put(der, 6, 0, width=2)
        _put(der, 10, round(power / 10))
        _put(der, 116, 1)
        controls = _model(704, 65)
        _put(controls, 22, int(unit.enabled))
        _put(controls, 23, 1)
        _put(controls, 24, round(unit.wanted_w / 10), width=2)
        _put(controls, 26, round(unit.reverts_to_w / 10), width=2)
        _put(controls, 30, int(unit.stays_enabled))
        _put(controls, 31, unit.reverts_after_s if self.timer else _NONE32, width=2)
        _put(controls, 33, unit.reverts_in_s if self.timer else _NONE32, width=2)
        _put(controls, 55, 1)  # tens of watts
        capacity = _model(713, 7)
        _put(capacity, 4, round(soc * 1000))
        _put(capacity, 6, 2 if unit.fault else 0)
        _put(capacity, 8, -1)
        control = _model(715, 7)
        _put(control, 2, int(self.local))
        _put(control, 3, 1, width=2)
        _put(control, 5, self.heartbeats[-1] if self.heartbeats else 0, width=2)
        battery = _model(802, 62)
        _put(battery, 4, round(unit.charge_w / 100))
        _put(battery, 5, round(unit.discharge_w / 100))
        _put(battery, 11, round(soc * 1000))
        _put(battery, 13, 87)
        _put(battery, 16, 3 if power > 0 else 4 if power < 0 else 6)
        _put(battery, 17, int(self.local))
        _put(battery, 19, 0)
        _put(battery, 22, 99 if unit.fault else 3)
        _put(battery, 26, 1 << 1 if unit.fault else 0, width=2)
        _put(battery, 47, round(power / 100))
        _put(battery, 54, 2)  # hundreds of watts
        _put(battery, 56, -1)
        _put(battery, 58, 0)
        _put(battery, 63, 2)
        bank = _model(803, 26 + 32 * 4)
        _put(bank, 2, 4)
        _put(bank, 3, 4)
        _put(bank, 4, 315)
        _put(bank, 23, -1)
        return [_common("Store"), der, controls, capacity, control, battery, bank]

    def written(self, model_id: int, offset: int, values: list[int]) -> None:
        unit = self.unit
        unit.step()
        if model_id == 715 and offset == 5:
            self.heartbeats.append(values[0] << 16 | values[1])
        if model_id != 704:
            return
        places = dict(enumerate(values, offset))
        if 24 in places:
            unit.wanted_w = 10.0 * _signed(places[24], places[25])
        if 26 in places:
            unit.reverts_to_w = 10.0 * _signed(places[26], places[27])
        if 30 in places:
            unit.stays_enabled = places[30] == 1
        if 31 in places:
            unit.reverts_after_s = places[31] << 16 | places[32]
        if 22 in places:
            unit.enable(places[22] == 1)


def _common(name: str) -> list[int]:
    registers = _model(1, 66)
    text = name.encode().ljust(32, b"\0")
    for n in range(16):
        registers[18 + n] = text[2 * n] << 8 | text[2 * n + 1]
    return registers


def _model(model_id: int, length: int) -> list[int]:
    """All its points not implemented (16 bits each)."""
    return [model_id, length, *[_NONE16] * length]


def _put(registers: list[int], offset: int, value: int, *, width: int = 1) -> None:
    for n in range(width):
        registers[offset + n] = value >> 16 * (width - 1 - n) & 0xFFFF


def _signed(high: int, low: int) -> int:
    value = high << 16 | low
    return value - (1 << 32) if value >> 31 else value
