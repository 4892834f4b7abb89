"""A simulated I/O module with relays: a Modbus TCP server of its own, with everything that goes wrong with real ones.

    async with IoModule(relays=8, watchdog_s=2.0) as module:     coil n drives relay n; discrete input n is its auxiliary contact
        module.welded.add(0)          relay 0 stays pulled in whatever its coil does
        module.stuck.add(0)           relay 0 stays dropped out
        module.says[0] = False        its auxiliary contact tells this, always
        module.delay_s[0] = 3.0       it is slow
        module.silent = True          requests are taken and not answered
        await module.cut() / mend()   the link is gone / back

Holding register :data:`WATCHDOG` must be written at least every ``watchdog_s``, else all coils drop out. A request that a plain
module does not know is answered with an exception. ``on_change(relay, pulled_in)`` hears what really moved.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from simulator.listening import Listener

WATCHDOG: Final = 100
_LOOK_S: Final = 0.02
_ILLEGAL_FUNCTION, _ILLEGAL_ADDRESS, _ILLEGAL_VALUE = 1, 2, 3


class _Wrong(Exception):
    """A request that is answered with an exception."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class IoModule:
    """``port`` 0: a free one, found in :attr:`port` once it listens. ``watchdog_s`` 0: none. Times are real seconds."""

    def __init__(
        self,
        *,
        relays: int = 8,
        watchdog_s: float = 0.0,
        host: str = "127.0.0.1",
        port: int = 0,
        on_change: Callable[[int, bool], None] = lambda _relay, _in: None,
    ) -> None:
        self.coils = [False] * relays
        self.pulled_in = [False] * relays
        self.registers: dict[int, int] = {WATCHDOG: 0}
        self.welded: set[int] = set()
        self.stuck: set[int] = set()
        self.says: dict[int, bool] = {}
        self.delay_s: dict[int, float] = {}
        self.silent = False
        self.dropped_out = 0
        """How often its watchdog dropped everything out."""
        self.moves: list[tuple[int, bool]] = []
        self.changed = asyncio.Condition()
        self._watchdog_s = watchdog_s
        self._host, self._port = host, port
        self._on_change = on_change
        self._since = [0.0] * relays
        self._kicked_s = 0.0
        self._listener = Listener(self._serve)
        self._ticking: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port that it listens on, also while its link is cut."""
        return self._port

    async def __aenter__(self) -> Self:
        self._kicked_s = asyncio.get_running_loop().time()
        await self.mend()
        self._ticking = asyncio.create_task(self._tick(), name="relays")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._ticking is not None
        self._ticking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._ticking
        await self.cut()

    async def mend(self) -> None:
        """It can be reached (again)."""
        if not self._listener.listens:
            self._port = await self._listener.open(self._host, self._port)

    async def cut(self) -> None:
        """Nobody reaches it; its relays do what they do."""
        await self._listener.close()

    async def until(self, relay: int, pulled_in: bool) -> None:
        """Wait until a relay is so."""
        async with self.changed:
            await self.changed.wait_for(lambda: self.pulled_in[relay] is pulled_in)

    # -- relays -------------------------------------------------------------------------------------------------

    def contact(self, relay: int) -> bool:
        """What the auxiliary contact tells."""
        return self.says.get(relay, self.pulled_in[relay])

    async def _tick(self) -> None:
        while True:
            now_s = asyncio.get_running_loop().time()
            if self._watchdog_s and now_s - self._kicked_s > self._watchdog_s and any(self.coils):
                self.coils = [False] * len(self.coils)
                self._since = [now_s] * len(self.coils)
                self.dropped_out += 1
            moved = False
            for relay, coil in enumerate(self.coils):
                due = now_s - self._since[relay] >= self.delay_s.get(relay, 0.0)
                held = (self.pulled_in[relay] and relay in self.welded) or (not self.pulled_in[relay] and relay in self.stuck)
                if coil is not self.pulled_in[relay] and due and not held:
                    self.pulled_in[relay] = coil
                    self.moves.append((relay, coil))
                    self._on_change(relay, coil)
                    moved = True
            if moved:
                async with self.changed:
                    self.changed.notify_all()
            await asyncio.sleep(_LOOK_S)

    # -- Modbus -------------------------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                number, protocol, length, unit = struct.unpack(">HHHB", await reader.readexactly(7))
                body = await reader.readexactly(length - 1)
                if protocol != 0 or self.silent:
                    continue
                try:
                    answer = self._answer(body)
                except _Wrong as wrong:
                    answer = bytes([body[0] | 0x80, wrong.code])
                writer.write(struct.pack(">HHHB", number, 0, len(answer) + 1, unit) + answer)
                await writer.drain()

    def _answer(self, body: bytes) -> bytes:
        function = body[0]
        first, second = struct.unpack(">HH", body[1:5])
        match function:
            case 1 | 2:
                return self._bits(function, first, second)
            case 3 | 4:
                values = [self._register(first + k) for k in range(second)]
                return struct.pack(f">BB{second}H", function, 2 * second, *values)
            case 5:
                if second not in (0x0000, 0xFF00):
                    raise _Wrong(_ILLEGAL_VALUE)
                self._set(first, second == 0xFF00)
                return body[:5]
            case 6:
                self._write(first, second)
                return body[:5]
            case 16:
                for k in range(second):
                    self._write(first + k, struct.unpack_from(">H", body, 6 + 2 * k)[0])
                return body[:5]
            case _:
                raise _Wrong(_ILLEGAL_FUNCTION)

    def _bits(self, function: int, first: int, count: int) -> bytes:
        if first + count > len(self.coils):
            raise _Wrong(_ILLEGAL_ADDRESS)
        found = [self.coils[k] if function == 1 else self.contact(k) for k in range(first, first + count)]
        packed = bytearray((count + 7) // 8)
        for k, bit in enumerate(found):
            packed[k // 8] |= bit << (k % 8)
        return bytes([function, len(packed)]) + bytes(packed)

    def _register(self, address: int) -> int:
        if address not in self.registers:
            raise _Wrong(_ILLEGAL_ADDRESS)
        return self.registers[address]

    def _set(self, coil: int, on: bool) -> None:
        if coil >= len(self.coils):
            raise _Wrong(_ILLEGAL_ADDRESS)
        if self.coils[coil] is not on:
            self.coils[coil] = on
            self._since[coil] = asyncio.get_running_loop().time()

    def _write(self, address: int, value: int) -> None:
        self._register(address)
        self.registers[address] = value
        if address == WATCHDOG:
            self._kicked_s = asyncio.get_running_loop().time()
