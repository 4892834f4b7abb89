"""What masters write into the block, and when it becomes a command. No I/O and no clock: ``at`` is a parameter.

Points are staged per connection and forgotten :data:`STAGE_S` seconds after the connection's last write. Writing CmdSeq
makes one command of the staged points; a whole block in one write is staged and committed at once. What a command does
not give takes the default that its point states, never a value of an earlier command; "not implemented" (0xFFFF…) counts
as not given. Only the fail-safe settings stay as they are where they are not given.

Heartbeats stand outside: a changed value counts when it is written. AckSeq moves when :meth:`LimitBlock.settle` is told
that the newest command is in force or refused, not before.

Exceptions, none of which changes a register: 01 for a master that may only read, 02 for a register that does not exist
or is read-only, 03 for half of a 32-bit point or a value outside its range. A command that sets no limit, or one that no
depot like this can have, is taken as a number only and acknowledged as rejected_range: the limit before it stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from depot.values import UtilityLink, UtilityMode, UtilityOrder
from grid import GridError
from grid.failsafe import FailsafeChange, Verdict
from grid.limit_model import (
    BASE,
    DER_CONTROL,
    LOAD_LIMIT,
    SLOTS,
    STOP,
    AckState,
    image,
)
from grid.registers import Point, PointType, Values, decode

STAGE_S: Final = 30.0
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3

_ORDER_POINTS: Final = frozenset({"WLimEna", "WLimEnaRvrt", "WLim", "WLimRvrt", "WLimRvrtTms", "StrTms", "WRmpTms", "Rsn", "EvtId"})
_LIMITS: Final = ("WLim", "WLimRvrt", "FsWLim")
_FAILSAFE_POINTS: Final = frozenset({"FsWLim", "FsDurMin", "HbTms"})
_HEARTBEATS: Final = ("CtlHb", "ControllerHb")


class RegisterRefused(GridError):
    """A read or write that is answered with the exception ``code`` (drawn in :mod:`grid`)."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class LimitCommand:
    """What a master committed: an order, fail-safe settings or both. ``peer``: its address and port; ``role``: what its
    certificate gives it, "" on the plain port."""

    seq: int
    peer: str
    received_at: datetime
    order: UtilityOrder | None = None
    failsafe: FailsafeChange | None = None
    role: str = ""

    def same_content(self, other: LimitCommand) -> bool:
        """Whether both say the same, whoever sent them when."""
        return self._content() == other._content()

    def _content(self) -> tuple[int, UtilityOrder | None, FailsafeChange | None]:
        order = None if self.order is None else replace(self.order, received_at=datetime.min, peer="", ramp_from_w=None)  # noqa: DTZ901  # compared with itself only
        return self.seq, order, self.failsafe


@dataclass(slots=True)
class Master:
    """One connection. ``may_write``: by the allow-list, or by its ``role``; so is ``may_read``."""

    peer: str
    may_write: bool = True
    may_read: bool = True
    role: str = ""
    staged: dict[str, int] = field(default_factory=dict)
    staged_at: datetime | None = None
    refused: bool = False

    def stage(self, at: datetime) -> dict[str, int]:
        """The staged points, which may be changed; empty again after :data:`STAGE_S`."""
        if self.staged_at is not None and at - self.staged_at >= timedelta(seconds=STAGE_S):
            self.staged.clear()
        return self.staged


@dataclass(frozen=True, slots=True)
class Written:
    """What a write led to. ``beats``: the heartbeat registers' values, where one changed. ``ticket`` goes back into
    :meth:`LimitBlock.settle` with the command's outcome. ``rejected``: why the command ``seq`` is none."""

    beats: tuple[int, int] | None = None
    command: LimitCommand | None = None
    ticket: int = 0
    seq: int = 0
    rejected: str = ""


class LimitBlock:
    """The registers that masters share: heartbeats, the newest command and its acknowledgement. ``link``: as restored;
    its newest order counts as acknowledged, so that a master that repeats it after our restart changes nothing."""

    def __init__(self, link: UtilityLink) -> None:
        self.beats = link.beats
        order = link.next_order or link.order
        self._newest = None if order is None else LimitCommand(order.seq, order.peer, order.received_at, order)
        self._ticket = 0
        self._pending = False
        self._acked = self._newest
        self._ack_seq = order.seq if order is not None else None
        self._ack = AckState.NONE if order is None else AckState.ACCEPTED

    @property
    def acknowledged_seq(self) -> int | None:
        """What AckSeq shows; None before the first command."""
        return self._ack_seq

    @property
    def ticket(self) -> int:
        """Of the newest command."""
        return self._ticket

    def write(
        self,
        master: Master,
        address: int,
        words: list[int],
        *,
        at: datetime,
        link: UtilityLink,
        found: Verdict,
        most_w: int | None = None,
    ) -> Written:
        """Take registers from a master; all or nothing. ``link`` and ``found``: what holds now. ``most_w``: no limit above
        it is meant. Raises :class:`RegisterRefused`."""
        if not master.may_write:
            master.refused = True
            raise RegisterRefused(ILLEGAL_FUNCTION, "this master may only read")
        given = dict(_points(address, words))
        new = [given.pop(name, None) for name in _HEARTBEATS]
        beats = (self.beats[0] if new[0] is None else new[0], self.beats[1] if new[1] is None else new[1])
        changed = beats if beats != self.beats else None
        self.beats = beats
        seq = given.pop("CmdSeq", None)
        stage = master.stage(at)
        if given:
            master.staged_at = at
            for name, value in given.items():
                if value is None:
                    stage.pop(name, None)
                else:
                    stage[name] = value
        if seq is None:
            return Written(changed)
        values = dict(stage)
        stage.clear()
        return self._commit(Written(changed), master, seq, values, at=at, link=link, found=found, most_w=most_w)

    def settle(self, ticket: int, state: AckState) -> bool:
        """The command of ``ticket`` is in force, or refused. False, and nothing changes, where a newer one came since."""
        if ticket != self._ticket:
            return False
        self._pending = False
        self._acked = self._newest
        self._ack_seq = self._newest.seq if self._newest is not None else None
        self._ack = state
        return True

    def read(
        self, master: Master, address: int, count: int, values: dict[int, Values], *, at: datetime, link: UtilityLink, found: Verdict
    ) -> list[int]:
        """``count`` registers from ``address`` on. ``values``: feedback by model id; the rest comes from here. A master
        sees what it has staged. Raises :class:`RegisterRefused`."""
        if address < BASE or address + count > STOP:
            raise RegisterRefused(ILLEGAL_ADDRESS, f"registers {address} to {address + count - 1} are not all there")
        block = {
            **values.get(LOAD_LIMIT, {}),
            **_order_values(link),
            "FsWLim": link.failsafe_w,
            "FsDurMin": link.failsafe_min_s,
            "HbTms": link.heartbeat_timeout_s,
            **master.stage(at),
            "CtlHb": self.beats[0],
            "CmdSeq": 0 if self._newest is None else self._newest.seq,
            "AckSeq": self._ack_seq or 0,
            "AckSt": self._ack_state(master, link, found),
            "AckEvtId": self._acked.order.event_id if self._acked is not None and self._acked.order is not None else 0,
            "W_SF": 0,
        }
        control = {**values.get(DER_CONTROL, {}), "ControllerHb": self.beats[1]}
        return image({**values, LOAD_LIMIT: block, DER_CONTROL: control}, address, count)

    def _ack_state(self, master: Master, link: UtilityLink, found: Verdict) -> AckState:
        if master.refused:
            return AckState.REJECTED_AUTH
        good = self._ack in (AckState.ACCEPTED, AckState.CLAMPED)
        if not (good and found.expired) or self._pending:
            return self._ack
        return AckState.COMPLETED if link.order is not None and not link.order.reversion_limited else AckState.EXPIRED

    def _commit(
        self,
        written: Written,
        master: Master,
        seq: int,
        values: dict[str, int],
        *,
        at: datetime,
        link: UtilityLink,
        found: Verdict,
        most_w: int | None,
    ) -> Written:
        if not values and self._newest is not None and seq == self._newest.seq:
            return written  # the commit's answer was lost, and it is repeated after its points were used up
        command = _command(seq, master, values, at)
        rejected = "" if command is not None else "neither a limit nor WLimEna = 0"
        for name in _LIMITS:
            if most_w is not None and values.get(name, 0) > most_w:
                command, rejected = None, f"{name} of {values[name]} W is above what this depot can have"
        if command is not None and self._newest is not None and command.same_content(self._newest) and self._stands(link, found):
            return written
        self._ticket += 1
        self._pending = command is not None
        self._newest = command or LimitCommand(seq, master.peer, at)
        if command is None:
            self.settle(self._ticket, AckState.REJECTED_RANGE)
            return replace(written, seq=seq, rejected=rejected)
        return replace(written, command=command, ticket=self._ticket)

    def _stands(self, link: UtilityLink, found: Verdict) -> bool:
        """Whether the newest command is on its way or still does what it said. If not, its repetition is a new one: a
        master that restarts counts from 1 again, and after a fail-safe what it says is fresh."""
        if self._pending:
            return True
        good = self._ack in (AckState.ACCEPTED, AckState.CLAMPED)
        return good and link.mode is UtilityMode.CONTROLLED and not found.expired


def _points(address: int, words: list[int]) -> Iterator[tuple[str, int | None]]:
    """The points of a write, decoded and checked; None: not given. Pads between writable points are passed over."""
    slots = [SLOTS.get(address + k) for k in range(len(words))]
    for k, slot in enumerate(slots):
        # a pad is passed over, but not written for itself
        if slot is None or not (slot.point.writable or (slot.point.kind is PointType.PAD and 0 < k < len(words) - 1)):
            raise RegisterRefused(ILLEGAL_ADDRESS, f"register {address + k} can't be written")
    k = 0
    while k < len(slots):
        slot = slots[k]
        assert slot is not None
        point = slot.point
        if slot.word or k + point.size > len(words):
            raise RegisterRefused(ILLEGAL_VALUE, f"half of {point.name} was written")
        if point.writable:
            yield point.name, _checked(point, words[k : k + point.size])
        k += point.size


def _checked(point: Point, words: list[int]) -> int | None:
    value = decode(point, words)
    if value is not None and not point.allows(value):
        raise RegisterRefused(ILLEGAL_VALUE, f"{point.name} can't be {value}")
    return value


def _command(seq: int, master: Master, values: dict[str, int], at: datetime) -> LimitCommand | None:
    """The command of the staged points; None where they don't make one."""
    order = None
    if values.keys() & _ORDER_POINTS:
        value_w = values.get("WLim")
        enabled = values.get("WLimEna", None if value_w is None else 1)
        if enabled is None or (enabled and value_w is None):
            return None
        order = UtilityOrder(
            seq,
            at,
            value_w if enabled else None,
            values.get("WLimRvrtTms", 0),
            values.get("StrTms", 0),
            values.get("WRmpTms", 0),
            bool(values.get("WLimEnaRvrt", 1)),
            values.get("WLimRvrt"),
            values.get("EvtId", 0),
            values.get("Rsn", 0),
            master.peer,
        )
    change = None
    if values.keys() & _FAILSAFE_POINTS:
        change = FailsafeChange(values.get("FsWLim"), values.get("FsDurMin"), values.get("HbTms"))
    if order is None and change is None:
        return None
    return LimitCommand(seq, master.peer, at, order, change, master.role)


def _order_values(link: UtilityLink) -> dict[str, int | None]:
    """What the command registers read: the newest order that was taken."""
    order = link.next_order or link.order
    if order is None:
        order = UtilityOrder(0, link.since)
    return {
        "WLimEna": int(order.value_w is not None),
        "WLimEnaRvrt": int(order.reversion_limited),
        "WLim": order.value_w,
        "WLimRvrt": link.failsafe_w if order.reversion_w is None else order.reversion_w,
        "WLimRvrtTms": order.validity_s,
        "StrTms": order.delay_s,
        "WRmpTms": order.ramp_s,
        "Rsn": order.reason,
        "EvtId": order.event_id,
    }
