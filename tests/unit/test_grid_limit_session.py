"""Staged writes, the commit by CmdSeq, what is a repetition and what is not, and every refusal."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from depot.values import UtilityLink
from grid.failsafe import Beat, FailsafeChange, FailsafePolicy, Ordered, Tick, begin, step, verdict
from grid.limit_model import BASE, BLOCK, CHAIN, STOP, AckState
from grid.limit_session import STAGE_S, LimitBlock, LimitCommand, Master, RegisterRefused, Written
from grid.registers import decode, encode

T0 = datetime(2026, 1, 12, 6, tzinfo=UTC)
POLICY = FailsafePolicy(contract_w=1_000_000, failsafe_w=200_000)
WHOLE = ("WLimEna", "WLimEnaRvrt", "WLim", "WLimRvrt", "WLimRvrtTms", "StrTms", "WRmpTms", "Rsn", "CtlHb", "EvtId", "CmdSeq")


class Bench:
    """A block with masters and the state machine behind it; time is a number of seconds."""

    def __init__(self, link: UtilityLink | None = None) -> None:
        self.link = link or begin(POLICY, T0)
        self.block = LimitBlock(self.link)
        self.master = Master("rtu:1")
        self.seconds = 0.0

    @property
    def now(self) -> datetime:
        return T0 + timedelta(seconds=self.seconds)

    def write(self, address: int, words: list[int], master: Master | None = None) -> Written:
        found = verdict(self.link, self.now, POLICY)
        written = self.block.write(master or self.master, address, words, at=self.now, link=self.link, found=found)
        if written.beats is not None:
            self.link, _ = step(self.link, Beat(written.beats), self.now, POLICY)
        return written

    def put(self, master: Master | None = None, **points: int | None) -> Written:
        """One write for each point, in the order given."""
        written = Written()
        for name, value in points.items():
            written = self.write(BLOCK.address_of(name), encode(BLOCK.point(name), value), master)
        return written

    def whole(self, **points: int | None) -> Written:
        """One write from WLimEna to CmdSeq; what is not given is 'not implemented'."""
        points.setdefault("CtlHb", self.block.beats[0] + 1)
        words = [word for name in WHOLE for word in encode(BLOCK.point(name), points.get(name))]
        return self.write(BLOCK.address_of("WLimEna"), words)

    def take(self, written: Written, state: AckState = AckState.ACCEPTED) -> LimitCommand:
        """The core takes the command and acknowledges it."""
        assert written.command is not None
        if written.command.order is not None:
            self.link, _ = step(self.link, Ordered(written.command.order), self.now, POLICY)
        assert self.block.settle(written.ticket, state)
        return written.command

    def pass_time(self, seconds: float) -> None:
        """The RTU's heartbeat goes on meanwhile."""
        stop = self.seconds + seconds
        while self.seconds < stop:
            self.seconds = min(stop, self.seconds + 30)
            self.put(CtlHb=self.block.beats[0] + 1)
            self.link, _ = step(self.link, Tick(), self.now, POLICY)

    def read(self, name: str, master: Master | None = None) -> int | None:
        point = BLOCK.point(name)
        found = verdict(self.link, self.now, POLICY)
        words = self.block.read(master or self.master, BLOCK.address_of(name), point.size, {}, at=self.now, link=self.link, found=found)
        return decode(point, words)

    def acknowledgement(self) -> tuple[int | None, AckState]:
        return self.read("AckSeq"), AckState(self.read("AckSt") or 0)


def refused(bench: Bench, address: int, words: list[int], master: Master | None = None) -> int:
    with pytest.raises(RegisterRefused) as caught:
        bench.write(address, words, master)
    return caught.value.code


def test_points_are_staged_and_committed_by_the_command_number() -> None:
    bench = Bench()
    assert bench.put(WLim=400_000, WLimRvrtTms=900, WLimEna=1).command is None
    assert bench.read("WLim") == 400_000
    written = bench.put(CmdSeq=7)
    assert written.command is not None
    order = written.command.order
    assert order is not None
    assert (order.seq, order.value_w, order.validity_s, order.peer) == (7, 400_000, 900, "rtu:1")
    assert bench.read("CmdSeq") == 7


def test_a_whole_block_in_one_write_is_one_command_and_one_heartbeat() -> None:
    bench = Bench()
    written = bench.whole(WLimEna=1, WLim=0, EvtId=99, Rsn=2, CmdSeq=1)
    assert written.beats == (1, 0)
    command = bench.take(written)
    assert command.order is not None
    assert (command.order.value_w, command.order.event_id, command.order.reason) == (0, 99, 2)
    assert bench.read("AckEvtId") == 99


def test_what_is_not_given_has_safe_defaults_and_never_comes_from_an_earlier_command() -> None:
    bench = Bench()
    bench.take(bench.put(WLim=1, WLimEnaRvrt=0, WLimRvrt=900_000, WLimRvrtTms=60, StrTms=0, WRmpTms=5, CmdSeq=1))
    command = bench.take(bench.put(WLim=2, WLimRvrtTms=60, CmdSeq=2))
    order = command.order
    assert order is not None
    assert (order.reversion_limited, order.reversion_w, order.delay_s, order.ramp_s) == (True, None, 0, 0)
    assert bench.read("WLimEnaRvrt") == 1
    assert bench.read("WLimRvrt") == 200_000


def test_all_ones_mean_not_given_and_not_four_gigawatts() -> None:
    bench = Bench()
    bench.put(WLim=5)
    bench.write(BLOCK.address_of("WLim"), [0xFFFF, 0xFFFF])
    assert bench.put(CmdSeq=1).command is None
    assert bench.acknowledgement() == (1, AckState.REJECTED_RANGE)


@pytest.mark.parametrize("points", [{"WLimEna": 1}, {"Rsn": 2}, {"WLimRvrtTms": 60}, {}])
def test_a_command_that_says_too_little_is_rejected_and_changes_no_limit(points: dict[str, int]) -> None:
    bench = Bench()
    assert bench.put(**points, CmdSeq=3).command is None
    assert bench.acknowledgement() == (3, AckState.REJECTED_RANGE)


def test_a_switched_off_limit_needs_no_value() -> None:
    command = Bench().put(WLimEna=0, CmdSeq=1).command
    assert command is not None
    assert command.order is not None
    assert command.order.value_w is None


def test_failsafe_settings_alone_leave_the_order_alone() -> None:
    bench = Bench()
    command = bench.put(HbTms=60, FsWLim=150_000, CmdSeq=4).command
    assert command is not None
    assert command.order is None
    assert command.failsafe == FailsafeChange(150_000, None, 60)


def test_staging_belongs_to_a_connection_and_expires() -> None:
    bench, other = Bench(), Master("hmi:2")
    bench.put(WLim=400_000)
    assert bench.read("WLim", other) is None
    assert bench.put(other, CmdSeq=1).command is None
    bench.seconds = STAGE_S - 1
    assert bench.read("WLim") == 400_000
    bench.seconds = STAGE_S
    assert bench.read("WLim") is None
    assert bench.put(CmdSeq=2).command is None


def test_half_an_expired_stage_is_not_mixed_with_a_new_one() -> None:
    bench = Bench()
    bench.put(WLimEna=0)
    bench.seconds = STAGE_S + 1
    command = bench.put(WLim=10, CmdSeq=1).command
    assert command is not None
    assert command.order is not None
    assert command.order.value_w == 10


def test_the_acknowledgement_moves_when_the_core_says_so() -> None:
    bench = Bench()
    written = bench.put(WLim=1, CmdSeq=1)
    assert bench.acknowledgement() == (0, AckState.NONE)
    bench.take(written, AckState.CLAMPED)
    assert bench.acknowledgement() == (1, AckState.CLAMPED)


def test_an_overtaken_command_is_not_acknowledged_as_the_newest() -> None:
    bench = Bench()
    first, second = bench.put(WLim=1, CmdSeq=1), bench.put(WLim=2, CmdSeq=2)
    assert not bench.block.settle(first.ticket, AckState.ACCEPTED)
    assert bench.acknowledgement() == (0, AckState.NONE)
    bench.take(second)
    assert bench.acknowledgement() == (2, AckState.ACCEPTED)


def test_a_repetition_is_no_command_while_the_first_is_under_way_or_in_force() -> None:
    bench = Bench()
    points = {"WLimEna": 1, "WLim": 5, "CmdSeq": 1}
    written = bench.whole(**points)
    assert bench.whole(**points).command is None
    bench.take(written)
    assert bench.whole(**points).command is None
    assert bench.put(CmdSeq=1).command is None
    assert bench.acknowledgement() == (1, AckState.ACCEPTED)


def test_a_restarted_rtu_that_counts_from_one_again_is_heard() -> None:
    bench = Bench()
    bench.take(bench.whole(WLimEna=1, WLim=5, CmdSeq=1))
    assert bench.whole(WLimEna=1, WLim=6, CmdSeq=1).command is not None
    bench = Bench()
    bench.take(bench.whole(WLimEna=1, WLim=5, CmdSeq=1))
    bench.seconds = 1_000
    bench.link, _ = step(bench.link, Tick(), bench.now, POLICY)
    assert bench.whole(WLimEna=1, WLim=5, CmdSeq=1).command is not None, "what comes after a fail-safe is fresh"


def test_the_same_command_after_its_validity_is_a_new_one() -> None:
    bench = Bench()
    points = {"WLimEna": 1, "WLim": 5, "WLimRvrtTms": 60, "CmdSeq": 1}
    bench.take(bench.whole(**points))
    bench.pass_time(59)
    assert bench.whole(**points).command is None
    bench.pass_time(1)
    assert bench.acknowledgement() == (1, AckState.EXPIRED)
    assert bench.whole(**points).command is not None


def test_a_refused_command_may_be_repeated() -> None:
    bench = Bench()
    bench.take(bench.whole(WLimEna=1, WLim=5, CmdSeq=1), AckState.REJECTED_STATE)
    assert bench.acknowledgement() == (1, AckState.REJECTED_STATE)
    assert bench.whole(WLimEna=1, WLim=5, CmdSeq=1).command is not None


def test_after_our_restart_a_repetition_of_what_is_in_force_is_none() -> None:
    bench = Bench()
    bench.take(bench.whole(WLimEna=1, WLim=5, CmdSeq=9))
    again = Bench(bench.link)
    assert again.acknowledgement() == (9, AckState.ACCEPTED)
    assert again.read("WLim") == 5
    assert again.whole(WLimEna=1, WLim=5, CmdSeq=9).command is None
    assert again.whole(WLimEna=1, WLim=4, CmdSeq=9).command is not None


def test_a_heartbeat_stands_outside_staging_and_counts_by_changing() -> None:
    bench = Bench()
    assert bench.put(CtlHb=0).beats is None
    assert bench.put(CtlHb=5).beats == (5, 0)
    assert bench.put(CtlHb=5).beats is None
    assert bench.put(CtlHb=0xFFFF_FFFF).beats == (0xFFFF_FFFF, 0)
    control = CHAIN[2]
    assert bench.write(control.address_of("ControllerHb"), [0, 3]).beats == (0xFFFF_FFFF, 3)
    assert bench.put(CmdSeq=1).command is None, "a heartbeat is no content"


@pytest.mark.parametrize(
    ("address", "words", "code"),
    [
        (BLOCK.address_of("WLim"), [1], 3),
        (BLOCK.address_of("WLim") + 1, [1], 3),
        (BLOCK.address_of("WLimEna"), [1, 1, 0], 3),
        (BLOCK.address_of("WLimEna"), [2], 3),
        (BLOCK.address_of("Rsn"), [6], 3),
        (BLOCK.address_of("HbTms"), [9], 3),
        (BLOCK.address_of("HbTms"), [601], 3),
        (BLOCK.address_of("FsDurMin"), [0, 7_199], 3),
        (BLOCK.address_of("FsDurMin"), [1, 20_865], 3),
        (BLOCK.address_of("AckSeq"), [1], 2),
        (BLOCK.address_of("Pad1"), [0], 2),
        (BLOCK.address_of("CmdSeq"), [1, 0], 2),
        (BLOCK.address_of("HbTms"), [60, 0, 1], 2),
        (BASE, [0x5375], 2),
        (STOP, [0], 2),
        (0, [0], 2),
        (65_535, [0], 2),
    ],
)
def test_what_must_not_be_written_is_refused_and_changes_nothing(address: int, words: list[int], code: int) -> None:
    bench = Bench()
    before = bench.block.read(bench.master, BASE, 125, {}, at=T0, link=bench.link, found=verdict(bench.link, T0, POLICY))
    assert refused(bench, address, words) == code
    assert bench.master.staged == {}
    assert before == bench.block.read(bench.master, BASE, 125, {}, at=T0, link=bench.link, found=verdict(bench.link, T0, POLICY))


def test_one_bad_point_spoils_the_whole_write_with_its_heartbeat() -> None:
    bench = Bench()
    words = [word for name in WHOLE for word in encode(BLOCK.point(name), {"WLim": 5, "CtlHb": 7, "CmdSeq": 1, "Rsn": 77}.get(name))]
    assert refused(bench, BLOCK.address_of("WLimEna"), words) == 3
    assert bench.block.beats == (0, 0)
    assert bench.read("CmdSeq") == 0


def test_the_pads_may_be_passed_over_by_one_long_write() -> None:
    bench = Bench()
    names = (*WHOLE, "Pad1", "FsWLim", "FsDurMin", "HbTms")
    given = {"WLim": 5, "WLimEna": 1, "CmdSeq": 1, "FsWLim": 100_000, "HbTms": 60, "Pad1": 0}
    words = [word for name in names for word in encode(BLOCK.point(name), given.get(name))]
    command = bench.write(BLOCK.address_of("WLimEna"), words).command
    assert command is not None
    assert command.failsafe == FailsafeChange(100_000, None, 60)


def test_who_may_only_read_is_told_so_and_nobody_else_is() -> None:
    bench, reader = Bench(), Master("hmi:2", may_write=False)
    assert refused(bench, BLOCK.address_of("CtlHb"), [0, 1], reader) == 1
    assert bench.block.beats == (0, 0)
    assert bench.read("AckSt", reader) == AckState.REJECTED_AUTH
    assert bench.read("AckSt") == AckState.NONE


@pytest.mark.parametrize(("address", "count"), [(BASE - 1, 2), (STOP - 1, 2), (STOP, 1), (0, 1)])
def test_what_is_not_there_is_not_read(address: int, count: int) -> None:
    bench = Bench()
    with pytest.raises(RegisterRefused) as caught:
        bench.block.read(bench.master, address, count, {}, at=T0, link=bench.link, found=verdict(bench.link, T0, POLICY))
    assert caught.value.code == 2


def test_content_is_compared_without_sender_and_time() -> None:
    bench = Bench()
    command = bench.put(WLim=5, CmdSeq=1).command
    assert command is not None
    assert command.order is not None
    later = replace(command.order, received_at=T0 + timedelta(hours=1), peer="x", ramp_from_w=3)
    assert command.same_content(replace(command, order=later, peer="x"))
    assert not command.same_content(replace(command, order=replace(command.order, ramp_s=1)))
