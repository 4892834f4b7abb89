"""From Modbus requests to registers and commands: what the limit server does once a frame is there. No sockets.

    Frame --answer()--> read:  LimitBlock + newest Feedback --> registers
                        write: LimitBlock --> heartbeat, LimitCommand --commit()--> the core --settle--> AckSeq, AckSt

Each request is answered in one step of the event loop: reads and writes of several registers are atomic. A write is answered
at once; what became of a command shows in AckSeq and AckSt. Every command and every refused write is told to the core, for
the audit trail. The feedback is asked for at most every :data:`FRESH_S`, and anew after each write; all registers are encoded then,
and a read is a piece of them: a flood of reads costs the core next to nothing.
"""

from __future__ import annotations

import asyncio
import logging
import struct
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from pymodbus.constants import ExcCodes
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ExceptionResponse, ModbusPDU
from pymodbus.pdu.register_message import (
    ReadWriteMultipleRegistersRequest,
    ReadWriteMultipleRegistersResponse,
    WriteMultipleRegistersRequest,
    WriteMultipleRegistersResponse,
    WriteSingleRegisterRequest,
    WriteSingleRegisterResponse,
)

from grid.feedback import Feedback
from grid.limit_access import LimitServerSettings
from grid.limit_model import BASE, STOP, AckState
from grid.limit_session import (
    ILLEGAL_ADDRESS,
    ILLEGAL_FUNCTION,
    ILLEGAL_VALUE,
    LimitBlock,
    LimitCommand,
    Master,
    RegisterRefused,
    Written,
)
from grid.modbus_frames import Frame

log = logging.getLogger(__name__)

FRESH_S: Final = 0.1
COMMITS_AT_ONCE: Final = 8
READ_MOST: Final = 125
"""Registers that one read may ask for."""

WRONG_SCALE: Final = 2
"""A limit above so many times the contract is no limit of this depot: a wrong scale, swapped words, a negative number."""

WRITES: Final = frozenset({6, 16, 23})
"""Function codes that write holding registers."""

_REFUSALS: Final = {
    ILLEGAL_FUNCTION: "request by a master that may not",
    ILLEGAL_ADDRESS: "register that does not exist or is read-only",
    ILLEGAL_VALUE: "value outside of its range, or half a value",
}


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What a master wanted and what came of it, for the audit trail. ``seq`` and ``command``: of a command; without them a
    write was refused with the exception ``code``, and ``message`` says why. ``before_w``, ``after_w``: the limit in force."""

    peer: str
    role: str
    seq: int | None = None
    command: LimitCommand | None = None
    state: AckState | None = None
    code: int = 0
    message: str = ""
    before_w: int | None = None
    after_w: int | None = None


class LimitCommands(Protocol):
    """The core's side. None of it raises for what a master does; what they raise ends the server and its owner."""

    def heartbeat(self, values: tuple[int, int]) -> None:
        """A heartbeat register changed just now; ``values`` of both. Immediate, never blocks."""

    async def commit(self, command: LimitCommand) -> CommitResult:
        """Put the command in force and return when it is: journaled, and the chargers obey it (or, with a start delay,
        journaled). A refusal returns as soon as it is known. Commands overlap: a newer one is called while an older
        one still waits, in the order in which they came. With :data:`COMMITS_AT_ONCE` waiting the oldest is cancelled;
        its outcome interests nobody any more."""

    def answered(self, word: Answered) -> None:
        """A command is in force or over, or a write was refused. Immediate, never blocks."""


class LimitDesk:
    """``tasks`` owns the commands under way. ``feedback`` must be cheap. ``now``: the steady axis. ``requests`` counts
    answers; ``refusals`` all that was refused, by reason; ``newest``: the newest command."""

    def __init__(
        self,
        settings: LimitServerSettings,
        tasks: asyncio.TaskGroup,
        *,
        commands: LimitCommands,
        feedback: Callable[[], Feedback],
        now: Callable[[], datetime],
    ) -> None:
        first = feedback()
        self.block = LimitBlock(first.link)
        self.requests = 0
        self.refusals: Counter[str] = Counter()
        self.newest: CommandSeen | None = None
        self._settings = settings
        self._tasks = tasks
        self._commands = commands
        self._ask = feedback
        self._now = now
        self._began = now()
        self._known: Feedback | None = None
        self._image = b""
        self._known_at = self._began
        self._known_s = 0.0
        self._commits: list[asyncio.Task[None]] = []

    def close(self) -> None:
        """Let go of commands under way."""
        for task in self._commits:
            task.cancel()

    def answer(self, master: Master, frame: Frame) -> bytes:
        """The answer to a request."""
        self.requests += 1
        found = self._answer(master, frame)
        return frame.answered(found if isinstance(found, bytes) else bytes((found.function_code,)) + found.encode())

    def _answer(self, master: Master, frame: Frame) -> ModbusPDU | bytes:
        function = frame.function
        if frame.unit not in self._settings.unit_ids:
            self.refusals["unit id that is not answered"] += 1
            return ExceptionResponse(function, ExcCodes.GATEWAY_NO_RESPONSE)
        handler = _HANDLERS.get(function)
        if handler is None:
            self.refusals["function code that is not served"] += 1
            return ExceptionResponse(function, ExcCodes.ILLEGAL_FUNCTION)
        try:
            if not master.may_read:
                raise RegisterRefused(ILLEGAL_FUNCTION, "the certificate gives no role")
            return handler(self, master, frame.pdu[1:])
        except RegisterRefused as error:
            self.refusals[_REFUSALS.get(error.code, "other")] += 1
            self._refused(master, function, error.code, str(error))
            return ExceptionResponse(function, error.code)
        except (ValueError, IndexError, struct.error, ModbusException):
            self.refusals["malformed request"] += 1
            self._refused(master, function, ILLEGAL_VALUE, "malformed request")
            return ExceptionResponse(function, ExcCodes.ILLEGAL_VALUE)

    def _refused(self, master: Master, function: int, code: int, why: str) -> None:
        log.debug("limit server: %s: %s", master.peer, why)
        if function in WRITES:
            self._commands.answered(Answered(peer=master.peer, role=master.role, code=code, message=why))

    # -- function codes ---------------------------------------------------------------------------------------------

    def _read(self, master: Master, data: bytes) -> bytes:
        address, count = struct.unpack(">HH", data)
        _expect(1 <= count <= READ_MOST)
        if address < BASE or address + count > STOP:
            raise RegisterRefused(ILLEGAL_ADDRESS, f"registers {address} to {address + count - 1} are not all there")
        image = self._registers(master)
        return bytes((3, 2 * count)) + image[2 * (address - BASE) : 2 * (address - BASE + count)]

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

    # -- registers --------------------------------------------------------------------------------------------------

    def _get(self, master: Master, address: int, count: int) -> list[int]:
        feedback, at = self._feedback(), self._now()
        values = feedback.values(self._settings, int((at - self._began).total_seconds()))
        return self.block.read(master, address, count, values, at=at, link=feedback.link, found=feedback.verdict)

    def _registers(self, master: Master) -> bytes:
        """All registers, as this master sees them."""
        feedback, at = self._feedback(), self._now()
        own = master.refused or master.stage(at)  # it sees what it has staged
        if not own and self._image:
            return self._image
        values = feedback.values(self._settings, int((at - self._began).total_seconds()))
        words = self.block.read(master, BASE, STOP - BASE, values, at=at, link=feedback.link, found=feedback.verdict)
        found = struct.pack(f">{len(words)}H", *words)
        if not own:
            self._image = found
        return found

    def _feedback(self) -> Feedback:
        at, at_s = self._now(), time.monotonic()
        if self._known is None or at_s - self._known_s >= FRESH_S or not timedelta(0) <= at - self._known_at < timedelta(seconds=FRESH_S):
            self._known, self._known_at, self._known_s, self._image = self._ask(), at, at_s, b""
        return self._known

    def _put(self, master: Master, address: int, words: list[int]) -> None:
        self._known = None
        feedback = self._feedback()
        most_w = WRONG_SCALE * feedback.contract_w
        written = self.block.write(master, address, words, at=self._now(), link=feedback.link, found=feedback.verdict, most_w=most_w)
        self._known = None
        if written.beats is not None:
            self._commands.heartbeat(written.beats)
        if written.command is not None:
            self._carry_out(written.command, written, before_w=feedback.effective_w)
        elif written.rejected:
            self.refusals["command that says no possible limit"] += 1
            self.newest = CommandSeen(written.seq, master.peer, self._now(), AckState.REJECTED_RANGE, 0.0)
            self._commands.answered(
                Answered(
                    peer=master.peer,
                    role=master.role,
                    seq=written.seq,
                    state=AckState.REJECTED_RANGE,
                    message=written.rejected,
                    before_w=feedback.effective_w,
                    after_w=feedback.effective_w,
                )
            )

    # -- commands ---------------------------------------------------------------------------------------------------

    def _carry_out(self, command: LimitCommand, written: Written, *, before_w: int) -> None:
        self.newest = CommandSeen(command.seq, command.peer, command.received_at)
        while len(self._commits) >= COMMITS_AT_ONCE:
            self._commits.pop(0).cancel()
        task = self._tasks.create_task(self._commit(command, written.ticket, before_w), name=f"limit command {command.seq}")
        self._commits.append(task)
        task.add_done_callback(self._committed)

    def _committed(self, task: asyncio.Task[None]) -> None:
        if task in self._commits:
            self._commits.remove(task)

    async def _commit(self, command: LimitCommand, ticket: int, before_w: int) -> None:
        try:
            result = await self._commands.commit(command)
        except asyncio.CancelledError:
            if self.block.ticket != ticket:  # newer ones came, and not the end of the server
                self._tell(command, CommitResult(AckState.SUPERSEDED), before_w)
            raise
        self._known = None
        if not self.block.settle(ticket, result.state):
            result = replace(result, state=AckState.SUPERSEDED)
        else:
            took_s = (self._now() - command.received_at).total_seconds()
            self.newest = CommandSeen(command.seq, command.peer, command.received_at, result.state, took_s)
        self._tell(command, result, before_w)

    def _tell(self, command: LimitCommand, result: CommitResult, before_w: int) -> None:
        detail = f" ({result.message})" if result.message else ""
        log.info("limit command %d of %s: %s%s", command.seq, command.peer, result.state.name.lower(), detail)
        self._commands.answered(
            Answered(
                peer=command.peer,
                role=command.role,
                seq=command.seq,
                command=command,
                state=result.state,
                message=result.message,
                before_w=before_w,
                after_w=self._ask().effective_w,
            )
        )


_HANDLERS: Final[dict[int, Callable[[LimitDesk, Master, bytes], ModbusPDU | bytes]]] = {
    3: LimitDesk._read,
    6: LimitDesk._write_one,
    16: LimitDesk._write_many,
    23: LimitDesk._write_and_read,
}


def _expect(holds: bool) -> None:
    if not holds:
        raise ValueError("the request's length does not fit its count")
