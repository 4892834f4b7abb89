"""One Modbus TCP connection to a device at the site, kept alive: opened, polled, closed and tried again with growing pauses.

    ModbusLink.keep(poll) --connect--> [opened] --poll, poll, poll ...--> a poll fails --close, pause, again-->

What is read belongs to its owner (a meter, a contact, an RTU, an inverter); here lives only the way to it. A poll that
raises :class:`LinkError` closes the connection: a late answer never meets the next question. Each loss and each return is
logged once. A device that answers with an exception (:class:`Refused`) is there: a poll may catch that and go on.
``framing = "rtu"`` speaks RTU frames over TCP, as simple serial gateways do.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pymodbus import FramerType
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU

from grid import GridError

__all__ = ["Framing", "LinkError", "ModbusLink", "NoAnswer", "Peer", "Refused", "Table"]

log = logging.getLogger(__name__)

FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 15.0

_EXCEPTIONS: Final = {
    1: "illegal function", 2: "illegal address", 3: "illegal value", 4: "device failure", 5: "acknowledged, still busy", 6: "busy",
    10: "gateway path unavailable", 11: "gateway: the device does not answer",
}  # fmt: skip
"""Modbus Application Protocol V1.1b3, 7."""


class LinkError(GridError):
    """Root of this module's errors (drawn in :mod:`grid`). A poll that cannot use an answer may raise one of its own kind."""


class NoAnswer(LinkError):
    """No connection, no answer in time, or one that is not Modbus."""


class Refused(LinkError):
    """The device answered with an exception; ``code`` says which."""

    def __init__(self, code: int, what: str) -> None:
        super().__init__(f"{what}: refused, {_EXCEPTIONS.get(code, 'exception')} ({code})")
        self.code = code


class Framing(StrEnum):
    """How a request lies in the TCP stream: Modbus TCP, or RTU frames with their checksum."""

    TCP = "tcp"
    RTU = "rtu"


class Table(StrEnum):
    """A device's four tables, each with the function that reads it: 01, 02, 03, 04."""

    COIL = "coil"
    DISCRETE = "discrete"
    HOLDING = "holding"
    INPUT = "input"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Where a device is. ``unit_id``: its Modbus address behind a gateway. ``timeout_s``: for connecting and for each answer."""

    host: str
    port: int = 502
    unit_id: int = 1
    timeout_s: float = 1.0
    framing: Framing = Framing.TCP

    def __post_init__(self) -> None:
        for name, value, least, most in (
            ("port", self.port, 1, 65_535),
            ("unit_id", self.unit_id, 0, 255),
            ("timeout_s", self.timeout_s, 0.01, 60),
        ):
            if not least <= value <= most:
                raise LinkError(f"{name} of {self.host} is {value}; it must lie between {least} and {most}")

    def __str__(self) -> str:
        return f"{self.host}:{self.port} unit {self.unit_id}"


class ModbusLink:
    """The connection of one owner, who runs :meth:`keep` as a task; cancelling ends it and closes the connection.

    ``label``: the device as people find it in the log. ``longest_pause_s``: between two attempts. ``failures`` counts polls
    and attempts that failed, ``answered`` polls that did not. Requests may come from several tasks; they go one by one.
    """

    def __init__(self, peer: Peer, *, label: str, longest_pause_s: float | None = None, rng: random.Random | None = None) -> None:
        self.peer = peer
        self.failures = 0
        self.answered = 0
        self.connected = False
        self._label = label
        self._longest_pause_s = longest_pause_s
        self._rng = rng or random.Random()  # noqa: S311  # jitter, not a secret
        self._client: AsyncModbusTcpClient | None = None
        self._announced: bool | None = None

    async def keep(
        self, poll: Callable[[], Awaitable[None]], *, period_s: float, opened: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Poll every ``period_s`` until cancelled; ``opened`` runs first after each connection (a discovery, say)."""
        attempt = 0
        while True:
            before = self.answered
            try:
                await self.open()
                if opened is not None:
                    await opened()
                while True:
                    began = asyncio.get_running_loop().time()
                    await poll()
                    self.answered += 1
                    self._tell(connected=True)
                    await asyncio.sleep(max(0.0, began + period_s - asyncio.get_running_loop().time()))
            except LinkError as error:
                self.failures += 1
                self._tell(connected=False, why=str(error))
            finally:
                self.close()
            attempt = 1 if self.answered > before else attempt + 1
            await asyncio.sleep(self._pause_s(attempt))

    async def open(self) -> None:
        """Connect; raises :class:`NoAnswer`. For who does not :meth:`keep`, like a probe; then :meth:`close`."""
        # pymodbus reports every failed attempt; this module reports each loss and each return, once
        logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)
        self.close()
        peer = self.peer
        framer = FramerType.RTU if peer.framing is Framing.RTU else FramerType.SOCKET
        client = AsyncModbusTcpClient(peer.host, port=peer.port, framer=framer, timeout=peer.timeout_s, retries=0, reconnect_delay=0)
        try:
            opened = await client.connect()
        except (ModbusException, OSError, TimeoutError) as error:
            client.close()
            _heed_cancellation()
            raise NoAnswer(f"no connection to {peer.host}:{peer.port} ({error})") from None
        except BaseException:
            client.close()
            raise
        if not opened:
            client.close()
            _heed_cancellation()
            raise NoAnswer(f"no connection to {peer.host}:{peer.port}")
        self._client = client

    def close(self) -> None:
        """Close the connection, if there is one."""
        self.connected = False
        if self._client is not None:
            self._client.close()
            self._client = None

    async def read(self, table: Table, address: int, count: int, *, unit_id: int | None = None) -> list[int]:
        """``count`` registers from ``address`` (counted from 0), holding or input. Raises :class:`Refused`, :class:`NoAnswer`."""
        unit = self.peer.unit_id if unit_id is None else unit_id
        client = self._open_client()
        ask = client.read_input_registers if table is Table.INPUT else client.read_holding_registers
        answer = await self._answer(lambda: ask(address, count=count, device_id=unit), _span(table, address, count))
        if len(answer.registers) != count:
            raise NoAnswer(f"{len(answer.registers)} registers came, {count} were asked for")
        return list(answer.registers)

    async def read_bits(self, table: Table, address: int, count: int = 1, *, unit_id: int | None = None) -> list[bool]:
        """``count`` coils or discrete inputs from ``address``. Raises as :meth:`read`."""
        unit = self.peer.unit_id if unit_id is None else unit_id
        client = self._open_client()
        ask = client.read_coils if table is Table.COIL else client.read_discrete_inputs
        answer = await self._answer(lambda: ask(address, count=count, device_id=unit), _span(table, address, count))
        if len(answer.bits) < count:
            raise NoAnswer(f"{len(answer.bits)} bits came, {count} were asked for")
        return [bool(bit) for bit in answer.bits[:count]]

    async def write(self, address: int, values: Sequence[int], *, unit_id: int | None = None) -> None:
        """Write holding registers from ``address`` on in one request (function 16). Raises as :meth:`read`."""
        unit = self.peer.unit_id if unit_id is None else unit_id
        client = self._open_client()
        await self._answer(lambda: client.write_registers(address, list(values), device_id=unit), f"write holding {address}")

    async def write_coil(self, address: int, *, on: bool, unit_id: int | None = None) -> None:
        """Write one coil (function 05). Raises as :meth:`read`."""
        unit = self.peer.unit_id if unit_id is None else unit_id
        client = self._open_client()
        await self._answer(lambda: client.write_coil(address, on, device_id=unit), f"write coil {address}")

    def _open_client(self) -> AsyncModbusTcpClient:
        if self._client is None:
            raise NoAnswer(f"no connection to {self.peer.host}:{self.peer.port}")
        return self._client

    async def _answer(self, ask: Callable[[], Awaitable[ModbusPDU]], what: str) -> ModbusPDU:
        try:
            answer = await ask()  # it may raise before there is anything to await
        except (ModbusException, OSError, TimeoutError) as error:
            _heed_cancellation()
            raise NoAnswer(f"{what}: {error}") from None
        _heed_cancellation()
        if answer.isError():
            raise Refused(getattr(answer, "exception_code", 0), what)
        return answer

    def _pause_s(self, attempt: int) -> float:
        longest = LONGEST_PAUSE_S if self._longest_pause_s is None else self._longest_pause_s
        return min(longest, FIRST_PAUSE_S * 2.0 ** min(attempt, 10)) * self._rng.uniform(0.5, 1.0)

    def _tell(self, *, connected: bool, why: str = "") -> None:
        self.connected = connected
        if connected == self._announced:
            return
        self._announced = connected
        if connected:
            log.info("%s: answers", self._label)
        else:
            log.warning("%s: no answer (%s); trying again", self._label, why)


def _span(table: Table, address: int, count: int) -> str:
    return f"{table} {address}" if count == 1 else f"{table} {address} to {address + count - 1}"


def _heed_cancellation() -> None:
    """asyncio.wait_for of Python 3.11, which pymodbus rests on, forgets a cancellation that comes at the very moment of an answer or of
    its time-out: a task that goes on after it could not be ended any more."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
