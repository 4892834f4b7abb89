"""The Modbus TCP server that the utility's RTU writes its limit to (model 64900, see :mod:`grid.limit_model`).

    RTU --FC16--> LimitServer --LimitBlock--> LimitCommand --LimitCommands.commit()--> the core
        <--FC03--            <--Feedback-----------------------------------------------

Framing is done here: pymodbus' server answers only the first of several pipelined requests, hangs for ever on a foreign
protocol id, and does not tell who wrote. Its request and response messages are used as they are. A frame that is no
Modbus closes the connection; everything else gets an answer. Requests of one connection are answered in order, each in
one step of the event loop: reads and writes of several registers are atomic. A write is answered at once; what became of
a command shows in AckSeq and AckSt.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from types import TracebackType
from typing import Final, Protocol, Self

from pymodbus.constants import ExcCodes
from pymodbus.exceptions import ModbusException
from pymodbus.framer import FramerSocket
from pymodbus.pdu import DecodePDU, ExceptionResponse, ModbusPDU
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadHoldingRegistersResponse,
    ReadWriteMultipleRegistersRequest,
    ReadWriteMultipleRegistersResponse,
    WriteMultipleRegistersRequest,
    WriteMultipleRegistersResponse,
    WriteSingleRegisterRequest,
    WriteSingleRegisterResponse,
)

from depot.values import UtilityLink
from grid import GridError
from grid.failsafe import Verdict
from grid.limit_model import COMMON, DER_CONTROL, LOAD_LIMIT, METER, AckState, Alarm, Compliance, LimitOrigin, Values
from grid.limit_session import (
    ILLEGAL_ADDRESS,
    ILLEGAL_FUNCTION,
    ILLEGAL_VALUE,
    LimitBlock,
    LimitCommand,
    Master,
    RegisterRefused,
)

__all__ = [
    "CommandSeen",
    "CommitResult",
    "Feedback",
    "LimitCommands",
    "LimitServer",
    "LimitServerError",
    "LimitServerSettings",
    "PortInUse",
]

log = logging.getLogger(__name__)

FRAME_S: Final = 5.0
"""A frame that has begun must be complete, and an answer taken, within this time."""

COMMITS_AT_ONCE: Final = 8
LONGEST_ADU: Final = 254
REFUSED_REMEMBERED: Final = 100

NO_ALARM: Final = Alarm(0)

_REFUSALS: Final = {
    ILLEGAL_FUNCTION: "write by a master that may only read",
    ILLEGAL_ADDRESS: "register that does not exist or is read-only",
    ILLEGAL_VALUE: "value outside of its range, or half a value",
}

Network = IPv4Network | IPv6Network


class LimitServerError(GridError):
    """A setting that cannot be right (drawn in :mod:`grid`)."""


class PortInUse(LimitServerError):
    """The server cannot listen where it should."""


@dataclass(frozen=True, slots=True)
class CommandSeen:
    """A command that a master committed, and what became of it. ``state`` None: it is still being carried out;
    ``took_s``: from the write until it was true, or refused."""

    seq: int
    peer: str
    received_at: datetime
    state: AckState | None = None
    took_s: float | None = None


@dataclass(frozen=True, slots=True)
class CommitResult:
    """What became of a command; ``message`` is for the log."""

    state: AckState
    message: str = ""


class LimitCommands(Protocol):
    """The core's side. Neither raises for what a master does; what they raise ends the server and its owner."""

    def heartbeat(self, values: tuple[int, int]) -> None:
        """A heartbeat register changed just now; ``values`` of both. Immediate, never blocks."""

    async def commit(self, command: LimitCommand) -> CommitResult:
        """Put the command in force and return when it is: journaled, and the chargers obey it (or, with a start delay,
        journaled). A refusal returns as soon as it is known. Commands overlap: a newer one is called while an older
        one still waits, in the order in which they came. With :data:`COMMITS_AT_ONCE` waiting the oldest is cancelled;
        its outcome interests nobody any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitServerSettings:
    """``writers``: networks whose masters may command; ``readers``: those that may only read; others are not let in.
    ``idle_s``: a connection that asks nothing for so long is closed. Port 0: a free one."""

    host: str = "127.0.0.1"
    port: int = 5020
    unit_ids: frozenset[int] = frozenset({1, 255})
    writers: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    readers: tuple[str, ...] = ()
    max_connections: int = 10
    idle_s: float = 120.0
    model: str = "Depot controller"
    version: str = ""
    serial: str = ""
    _writers: tuple[Network, ...] = field(init=False, repr=False)
    _readers: tuple[Network, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.unit_ids or not all(1 <= unit <= 255 for unit in self.unit_ids):
            raise LimitServerError(f"limit server unit_ids are {sorted(self.unit_ids)}; give one or more between 1 and 255")
        if not 0 <= self.port <= 65_535 or self.max_connections < 1 or self.idle_s <= 0:
            raise LimitServerError("limit server: port must lie between 0 and 65535, max_connections and idle_s above 0")
        for name in ("writers", "readers"):
            try:
                networks = tuple(ip_network(text) for text in getattr(self, name))
            except ValueError as error:
                raise LimitServerError(f"limit server {name}: {error}; write networks like 10.20.0.0/24 or 10.20.0.7") from None
            object.__setattr__(self, f"_{name}", networks)

    def may_write(self, host: str) -> bool | None:
        """Whether a master at this address may write; None: it is not let in."""
        try:
            address = ip_address(host.partition("%")[0])
        except ValueError:
            return None
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        if any(address in network for network in self._writers):
            return True
        return False if any(address in network for network in self._readers) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """What the utility is told, at one moment; None: not known. ``link`` (steady axis) and ``verdict``: the utility's own
    limit; ``effective_w`` and ``origin``: the limit that binds the site, whoever set it. Powers are grid side."""

    link: UtilityLink
    verdict: Verdict
    effective_w: int
    origin: LimitOrigin
    contract_w: int
    utc: datetime
    contract_va: int | None = None
    import_w: int | None = None
    import_va: int | None = None
    base_w: int | None = None
    evse_w: int | None = None
    floor_w: int | None = None
    demand_w: int | None = None
    predicted_va: int | None = None
    demand_left_s: int | None = None
    compliance: Compliance = Compliance.NOT_KNOWN
    meter_age_s: int | None = None
    evses_online: int | None = None
    alarms: Alarm = NO_ALARM

    def values(self, settings: LimitServerSettings, up_s: int) -> dict[int, Values]:
        """Point values by model id. ``up_s`` counts our own heartbeat."""
        # the standard meter has 16 bits: room for twice the contract
        scale = next(k for k in range(11) if 2 * self.contract_w < 32_767 * 10**k or k == 10)
        common: Values = {
            "Mn": "Chargeyard", "Md": settings.model, "Vr": settings.version, "SN": settings.serial, "DA": min(settings.unit_ids),
        }  # fmt: skip
        meter: Values = {"W": None if self.import_w is None else round(self.import_w / 10**scale), "W_SF": scale, "Evt": 0}
        block: Values = {
            "LimSt": self.verdict.state, "LimSrc": self.origin, "WLimEff": self.effective_w, "WLimRvrtRem": self.verdict.remaining_s,
            "WImp": self.import_w, "VAImp": self.import_va, "WBase": self.base_w, "WEvse": self.evse_w, "WMinEvse": self.floor_w,
            "WDemAvg": self.demand_w, "VADemPred": self.predicted_va, "DemRem": self.demand_left_s, "Compl": self.compliance,
            "WMaxCtr": self.contract_w, "VACtr": self.contract_va, "DevHb": up_s, "Tms": int(self.utc.timestamp()),
            "MtrAge": self.meter_age_s, "NEvse": self.evses_online, "Alm": int(self.alarms | self.verdict.alarms),
        }  # fmt: skip
        return {COMMON: common, METER: meter, DER_CONTROL: {"LocRemCtl": 0, "DERHb": up_s}, LOAD_LIMIT: block}


class LimitServer:
    """``async with LimitServer(settings, commands=…, feedback=…, now=steady.now) as server: …``

    ``feedback`` is asked at each request and must be cheap. ``now``: the steady axis (:class:`grid.failsafe.SteadyTime`)
    that the core uses for the same link. ``requests``, ``refused`` and ``broken`` count answers, peers that were not let
    in, and connections closed for what they sent; ``refusals`` all that was refused, by reason. ``newest``: the newest
    command.
    """

    def __init__(
        self,
        settings: LimitServerSettings,
        *,
        commands: LimitCommands,
        feedback: Callable[[], Feedback],
        now: Callable[[], datetime],
    ) -> None:
        self.settings = settings
        self.block = LimitBlock(feedback().link)
        self.requests = 0
        self.refused = 0
        self.broken = 0
        self.refusals: Counter[str] = Counter()
        self.newest: CommandSeen | None = None
        self._commands = commands
        self._feedback = feedback
        self._now = now
        self._began = now()
        self._framer = FramerSocket(DecodePDU(is_server=True))
        self._server: asyncio.Server | None = None
        self._tasks = asyncio.TaskGroup()
        self._connections: set[asyncio.Task[None]] = set()
        self._commits: list[asyncio.Task[None]] = []
        self._told: set[str] = set()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        if self._server is None:
            raise RuntimeError("the limit server does not listen: use it in `async with`")
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def connections(self) -> int:
        """Masters that are connected now."""
        return len(self._connections)

    async def __aenter__(self) -> Self:
        host, port = self.settings.host, self.settings.port
        try:
            self._server = await asyncio.start_server(self._connected, host, port)
        except OSError as error:
            raise PortInUse(f"the limit server cannot listen on {host}:{port}: {error.strerror or error}") from None
        await self._tasks.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._server is not None:
            self._server.close()
        for task in (*self._connections, *self._commits):
            task.cancel()
        await self._tasks.__aexit__(kind, error, trace)
        self._server = None

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")
        host = str(peer[0]) if peer else ""
        may_write = self.settings.may_write(host)
        if may_write is None or len(self._connections) >= self.settings.max_connections:
            self.refused += 1
            self._tell(host, "is not on the allow-list" if may_write is None else "came when all connections were taken")
            writer.transport.abort()
            return
        master = Master(f"{host}:{peer[1]}", may_write)
        task = self._tasks.create_task(self._serve(master, reader, writer), name=f"limit master {master.peer}")
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    def _tell(self, host: str, what: str) -> None:
        """Count, and log once per peer and reason, for the first hundred."""
        self.refusals[f"master that {what}"] += 1
        if f"{host} {what}" not in self._told and len(self._told) < REFUSED_REMEMBERED:
            self._told.add(f"{host} {what}")
            log.warning("limit server: %s %s", host, what)

    async def _serve(self, master: Master, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sock = writer.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        try:
            while True:
                async with asyncio.timeout(self.settings.idle_s):
                    begun = await reader.readexactly(1)
                async with asyncio.timeout(FRAME_S):
                    transaction, protocol, length, unit = struct.unpack(">HHHB", begun + await reader.readexactly(6))
                    if protocol != 0 or not 2 <= length <= LONGEST_ADU:
                        self.broken += 1
                        self._tell(master.peer.rpartition(":")[0], "sent what is no Modbus TCP")
                        return
                    request = await reader.readexactly(length - 1)
                    answer = self._answer(master, unit, request)
                    answer.dev_id, answer.transaction_id = unit, transaction
                    writer.write(self._framer.buildFrame(answer))
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            pass  # it went away, or fell silent; masters do
        finally:
            writer.transport.abort()

    def _answer(self, master: Master, unit: int, request: bytes) -> ModbusPDU:
        """The answer to one request, of which the first byte is the function code."""
        self.requests += 1
        function = request[0]
        if unit not in self.settings.unit_ids:
            self.refusals["unit id that is not answered"] += 1
            return ExceptionResponse(function, ExcCodes.GATEWAY_NO_RESPONSE)
        handler = _HANDLERS.get(function)
        if handler is None:
            self.refusals["function code that is not served"] += 1
            return ExceptionResponse(function, ExcCodes.ILLEGAL_FUNCTION)
        try:
            return handler(self, master, request[1:])
        except RegisterRefused as error:
            log.debug("limit server: %s: %s", master.peer, error)
            self.refusals[_REFUSALS.get(error.code, "other")] += 1
            return ExceptionResponse(function, error.code)
        except (ValueError, IndexError, struct.error, ModbusException):
            self.refusals["malformed request"] += 1
            return ExceptionResponse(function, ExcCodes.ILLEGAL_VALUE)

    def _read(self, master: Master, data: bytes) -> ModbusPDU:
        request = ReadHoldingRegistersRequest()
        request.decode(data)
        _expect(len(data) == 4)
        return ReadHoldingRegistersResponse(registers=self._get(master, request.address, request.count))

    def _write_one(self, master: Master, data: bytes) -> ModbusPDU:
        request = WriteSingleRegisterRequest()
        request.decode(data)
        _expect(len(data) == 4)
        self._put(master, request.address, list(request.registers))
        return WriteSingleRegisterResponse(address=request.address, registers=request.registers)

    def _write_many(self, master: Master, data: bytes) -> ModbusPDU:
        request = WriteMultipleRegistersRequest()
        request.decode(data)
        _expect(1 <= request.count <= 123 and request.byte_count == request.count * 2 == len(data) - 5)
        self._put(master, request.address, list(request.registers))
        return WriteMultipleRegistersResponse(address=request.address, count=request.count)

    def _write_and_read(self, master: Master, data: bytes) -> ModbusPDU:
        request = ReadWriteMultipleRegistersRequest()
        request.decode(data)
        _expect(1 <= request.write_count <= 121 and request.write_byte_count == request.write_count * 2 == len(data) - 9)
        self._get(master, request.read_address, request.read_count)  # refuses before anything is written
        self._put(master, request.write_address, list(request.write_registers))
        return ReadWriteMultipleRegistersResponse(registers=self._get(master, request.read_address, request.read_count))

    def _get(self, master: Master, address: int, count: int) -> list[int]:
        feedback, at = self._feedback(), self._now()
        values = feedback.values(self.settings, int((at - self._began).total_seconds()))
        return self.block.read(master, address, count, values, at=at, link=feedback.link, found=feedback.verdict)

    def _put(self, master: Master, address: int, words: list[int]) -> None:
        feedback = self._feedback()
        written = self.block.write(master, address, words, at=self._now(), link=feedback.link, found=feedback.verdict)
        if written.beats is not None:
            self._commands.heartbeat(written.beats)
        if written.command is not None:
            command = written.command
            self.newest = CommandSeen(command.seq, command.peer, command.received_at)
            while len(self._commits) >= COMMITS_AT_ONCE:
                self._commits.pop(0).cancel()
            task = self._tasks.create_task(self._commit(written.command, written.ticket), name=f"limit command {written.command.seq}")
            self._commits.append(task)
            task.add_done_callback(self._committed)

    def _committed(self, task: asyncio.Task[None]) -> None:
        if task in self._commits:
            self._commits.remove(task)

    async def _commit(self, command: LimitCommand, ticket: int) -> None:
        result = await self._commands.commit(command)
        if not self.block.settle(ticket, result.state):
            result = replace(result, state=AckState.SUPERSEDED)
        else:
            took_s = (self._now() - command.received_at).total_seconds()
            self.newest = CommandSeen(command.seq, command.peer, command.received_at, result.state, took_s)
        log.info(
            "limit command %d of %s: %s%s",
            command.seq,
            command.peer,
            result.state.name.lower(),
            f" ({result.message})" if result.message else "",
        )


_HANDLERS: Final[dict[int, Callable[[LimitServer, Master, bytes], ModbusPDU]]] = {
    3: LimitServer._read,
    6: LimitServer._write_one,
    16: LimitServer._write_many,
    23: LimitServer._write_and_read,
}


def _expect(holds: bool) -> None:
    if not holds:
        raise ValueError("the request's length does not fit its count")
