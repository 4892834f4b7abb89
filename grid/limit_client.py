"""The other way round: an RTU that cannot write is read, once a second; same registers, same rules.

    RTU <--FC03, all at once-- LimitClient --what is new--> LimitDesk --heartbeat, LimitCommand--> the core
        <--FC16, if wanted---- feedback <--------------------------------------------------

The RTU holds the registers that it would otherwise write (model 64900 and 715.ControllerHb at their own addresses), and we
hold the pen: what is new in them is put into the desk of the limit server as if a master had written it, so that checks,
acknowledgement, fail-safe and audit are one and the same. What counts as said:

- a heartbeat, where a heartbeat register differs from the poll before (a counter that stands still is silence);
- a command, where CmdSeq differs from the last one taken; other points alone are staged, as on the server. CmdSeq 0: none yet;
- what is corrected under the same CmdSeq, where it was refused before;
- the standing command once more, after a fail-safe or a start, with the heartbeat that is back: a passive RTU cannot say it
  again, and what it holds while it lives is what it wants. One whose validity has ended stays ended.

The fail-safe points count where they are not all zero. Without a connection no heartbeat comes, and fail-safe follows.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Final, Self

from grid.feedback import Feedback
from grid.limit_access import LimitServerSettings
from grid.limit_desk import CommandSeen, LimitCommands, LimitDesk
from grid.limit_model import BLOCK, LOAD_LIMIT, AckState
from grid.limit_session import Master
from grid.modbus_frames import HEADER, Frame
from grid.modbus_link import LinkError, ModbusLink, Peer, Refused, Table

__all__ = ["Heard", "LimitClient", "LimitClientSettings", "heard"]

log = logging.getLogger(__name__)

CONTROLLER_HB: Final = 40_182
CTL_HB: Final = 40_200
COMMAND: Final = 40_188
CMD_SEQ: Final = 40_204
FAILSAFE: Final = 40_206
FEEDBACK: Final = 40_212
FEEDBACK_COUNT: Final = BLOCK.address + BLOCK.length + 2 - FEEDBACK
POLLED: Final = FEEDBACK - CONTROLLER_HB
"""Registers of one poll: the heartbeat of model 715, then model 64900 up to its feedback."""


class NotThere(LinkError):
    """What answers has no model 64900 where it belongs (drawn in :mod:`grid`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitClientSettings:
    """``write_feedback``: the RTU takes our feedback points, in its own registers. Times are seconds."""

    peer: Peer
    period_s: float = 1.0
    write_feedback: bool = False


@dataclass(frozen=True, slots=True)
class Heard:
    """One poll. ``said``: the command block without its heartbeat; ``failsafe``: its points, empty where all are zero."""

    beats: tuple[int, int]
    seq: int
    said: tuple[int, ...]
    failsafe: tuple[int, ...]


def heard(words: list[int]) -> Heard:
    """What :data:`POLLED` registers say. Raises :class:`NotThere`."""

    def at(address: int, count: int) -> tuple[int, ...]:
        return tuple(words[address - CONTROLLER_HB : address - CONTROLLER_HB + count])

    if at(BLOCK.address, 2) != (LOAD_LIMIT, BLOCK.length):
        raise NotThere(f"there is no model {LOAD_LIMIT} at {BLOCK.address}: its first registers read {at(BLOCK.address, 2)}")
    (high, low), (ctl_high, ctl_low) = at(CONTROLLER_HB, 2), at(CTL_HB, 2)
    failsafe = at(FAILSAFE, 5)
    return Heard(
        beats=(ctl_high << 16 | ctl_low, high << 16 | low),
        seq=at(CMD_SEQ, 1)[0],
        said=at(COMMAND, CTL_HB - COMMAND) + at(CTL_HB + 2, 2),
        failsafe=failsafe if any(failsafe) else (),
    )


class LimitClient:
    """``async with LimitClient(settings, commands=…, feedback=…, now=steady.now) as client: …`` polls until it is left.

    It tells of itself in the words of :class:`grid.limit_server.LimitServer`: ``newest`` command, ``refusals``, and so on.
    """

    def __init__(
        self,
        settings: LimitClientSettings,
        *,
        commands: LimitCommands,
        feedback: Callable[[], Feedback],
        now: Callable[[], datetime],
    ) -> None:
        self.settings = settings
        self.link = ModbusLink(settings.peer, label=f"the utility's RTU at {settings.peer}")
        self._tasks = asyncio.TaskGroup()
        unit_id = max(1, settings.peer.unit_id)
        served = LimitServerSettings(unit_ids=frozenset({unit_id}))
        self._desk = LimitDesk(served, self._tasks, commands=commands, feedback=feedback, now=now)
        self._master = Master(f"{settings.peer.host}:{settings.peer.port}", role="passive RTU")
        self._unit_id = unit_id
        self._feedback = feedback
        self._now = now
        self._beats: tuple[int, int] | None = None
        self._seq: int | None = None
        self._taken_at: datetime | None = None
        self._task: asyncio.Task[None] | None = None
        self._bad: tuple[int, ...] | None = None
        self._unwelcome = False

    @property
    def addresses(self) -> tuple[str, ...]:
        """Whom it asks, as people write it."""
        return (f"{self.settings.peer} (asked)",)

    @property
    def connections(self) -> int:
        """1 while the RTU answers."""
        return int(self.link.connected)

    @property
    def requests(self) -> int:
        """Polls that were answered."""
        return self.link.answered

    @property
    def refusals(self) -> Counter[str]:
        """What was refused, by reason."""
        return self._desk.refusals

    @property
    def newest(self) -> CommandSeen | None:
        """The newest command."""
        return self._desk.newest

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._task = self._tasks.create_task(self.link.keep(self.poll, period_s=self.settings.period_s), name="limit client")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._task is not None:
            self._task.cancel()
        self._desk.close()
        await self._tasks.__aexit__(kind, error, trace)

    async def poll(self) -> None:
        """Read once and take what is new; raises :class:`grid.modbus_link.LinkError`."""
        self.take(heard(await self.link.read(Table.HOLDING, CONTROLLER_HB, POLLED)))
        if self.settings.write_feedback:
            await self._give_back()

    def take(self, found: Heard) -> None:
        """What one poll heard."""
        before, self._beats = self._beats, found.beats
        if before is None:
            self._desk.block.beats = found.beats  # where a counter stands says nothing; that it moves does
        elif before != found.beats:
            for address, new, old in ((CTL_HB, found.beats[0], before[0]), (CONTROLLER_HB, found.beats[1], before[1])):
                if new != old:
                    self._put(address, (new >> 16, new & 0xFFFF))
        content = found.said + found.failsafe
        corrected = self._bad is not None and self._bad != content
        if found.seq and (found.seq != self._seq or corrected or self._to_be_said_again()):
            self._seq, self._taken_at = found.seq, self._now()
            beat = (found.beats[0] >> 16, found.beats[0] & 0xFFFF)
            words = (*found.said[: CTL_HB - COMMAND], *beat, *found.said[CTL_HB - COMMAND :], found.seq)
            taken = self._put(COMMAND, (*words, 0, *found.failsafe) if found.failsafe else words)
            self._bad = None if taken else content

    def _to_be_said_again(self) -> bool:
        """Whether the standing command is older than the heartbeat that is back, and has not run out."""
        feedback, at = self._feedback(), self._now()
        link = feedback.link
        silent = link.beat_at is None or (at - link.beat_at).total_seconds() >= link.heartbeat_timeout_s
        old = self._taken_at is None or self._taken_at < link.fresh_from
        return old and not silent and not feedback.verdict.expired

    def _put(self, address: int, words: tuple[int, ...]) -> bool:
        """Whether the desk took it; why not is in its refusals and in the audit trail."""
        data = b"".join(word.to_bytes(2, "big") for word in words)
        pdu = b"\x10" + address.to_bytes(2, "big") + len(words).to_bytes(2, "big") + bytes((len(data),)) + data
        function = self._desk.answer(self._master, Frame(0, self._unit_id, pdu))[HEADER.size]
        newest = self._desk.newest
        return function == 0x10 and (newest is None or newest.state is not AckState.REJECTED_RANGE)

    async def _give_back(self) -> None:
        asked = b"\x03" + FEEDBACK.to_bytes(2, "big") + FEEDBACK_COUNT.to_bytes(2, "big")
        answer = self._desk.answer(self._master, Frame(0, self._unit_id, asked))
        data = answer[-2 * FEEDBACK_COUNT :]
        words = [int.from_bytes(data[k : k + 2], "big") for k in range(0, len(data), 2)]
        try:
            await self.link.write(FEEDBACK, words)
        except Refused as error:
            if not self._unwelcome:
                log.warning("the utility's RTU does not take our feedback: %s", error)
            self._unwelcome = True
        else:
            self._unwelcome = False
