"""Masters, time, refusals, crashes and clock jumps in any order: the utility's limit is never looser than somebody
allowed. The oracle below knows nothing of the state machine: it keeps the writes, the beats and the seconds."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from depot.values import UtilityLink
from grid.failsafe import Beat, FailsafePolicy, Ordered, Tick, begin, limits, resume, shifted, step, verdict, worth_recording
from grid.limit_model import BLOCK, AckState
from grid.limit_session import STAGE_S, LimitBlock, Master, Written
from grid.registers import encode

T0 = datetime(2026, 1, 12, 6, tzinfo=UTC)
POLICY = FailsafePolicy(contract_w=1_000_000, failsafe_w=200_000, heartbeat_timeout_s=60)
ORDER_POINTS = ("WLimEna", "WLimEnaRvrt", "WLim", "WLimRvrt", "WLimRvrtTms", "StrTms", "WRmpTms", "Rsn")
PEERS = st.sampled_from(["rtu:1", "hmi:2"])
WATTS = st.sampled_from([0, 1, 100_000, 199_999, 200_001, 500_000, 1_000_000, 3_000_000])
SECONDS = st.sampled_from([0, 1, 20, 59, 60, 61, 200, 5_000])
POINTS: dict[str, st.SearchStrategy[int]] = {
    "WLimEna": st.sampled_from([0, 1]), "WLimEnaRvrt": st.sampled_from([0, 1]), "WLim": WATTS, "WLimRvrt": WATTS, "WLimRvrtTms": SECONDS,
    "StrTms": SECONDS, "WRmpTms": SECONDS, "Rsn": st.integers(0, 5), "FsWLim": WATTS, "HbTms": st.sampled_from([10, 60, 120]),
}  # fmt: skip


@dataclass
class Given:
    """An accepted order as the oracle remembers it."""

    at_s: int
    points: dict[str, int]

    @property
    def start_s(self) -> int:
        return self.at_s + self.points.get("StrTms", 0)

    @property
    def end_s(self) -> float:
        return self.start_s + (self.points.get("WLimRvrtTms", 0) or float("inf"))

    @property
    def ramped_s(self) -> int:
        return self.start_s + self.points.get("WRmpTms", 0)


def meant(points: dict[str, int]) -> dict[str, int]:
    """What the points say: an order that lifts the limit names none, whatever stands in ``WLim`` beside it."""
    return {name: value for name, value in points.items() if name != "WLim" or points.get("WLimEna", 1)}


@dataclass
class Stage:
    at_s: int = 0
    points: dict[str, int] = field(default_factory=dict)


class LimitMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.s = 0
        self.jump = timedelta(0)
        self.link: UtilityLink = begin(POLICY, T0)
        self.recorded: UtilityLink | None = None
        self.block = LimitBlock(self.link)
        self.masters = {peer: Master(peer) for peer in ("rtu:1", "hmi:2")}
        self.stages: dict[str, Stage] = {}
        self.beat_s: int | None = None
        self.lost_s = 0
        self.timeout_s, self.failsafe_w = 60, 200_000
        self.running: Given | None = None
        self.waiting: Given | None = None
        self.newest: tuple[int, dict[str, int]] | None = None
        self.keep()

    @property
    def now(self) -> datetime:
        return T0 + timedelta(seconds=self.s)

    def keep(self) -> None:
        """The journal, which keeps wall times."""
        before = None if self.recorded is None else shifted(self.recorded, -self.jump)
        if worth_recording(before, self.link):
            self.recorded = msgspec.json.decode(msgspec.json.encode(shifted(self.link, self.jump)), type=UtilityLink)

    def write(self, peer: str, name: str, value: int) -> Written:
        point = BLOCK.point(name)
        found = verdict(self.link, self.now, POLICY)
        return self.block.write(self.masters[peer], BLOCK.address_of(name), encode(point, value), at=self.now, link=self.link, found=found)

    def put(self, peer: str, points: dict[str, int]) -> None:
        for name, value in points.items():
            assert self.write(peer, name, value) == Written()
        stage = self.stages.setdefault(peer, Stage())
        if self.s - stage.at_s >= STAGE_S:
            stage.points.clear()
        stage.points.update(points)
        stage.at_s = self.s

    @rule(peer=PEERS, data=st.data(), name=st.sampled_from(sorted(POINTS)))
    def stage(self, peer: str, data: st.DataObject, name: str) -> None:
        self.put(peer, {name: data.draw(POINTS[name])})

    @rule(peer=PEERS, seq=st.integers(1, 3), accepts=st.sampled_from([True, True, True, False]))
    def commit(self, peer: str, seq: int, accepts: bool) -> None:
        stage = self.stages.pop(peer, Stage())
        points = stage.points if self.s - stage.at_s < STAGE_S else {}
        before = self.block.acknowledged_seq
        written = self.write(peer, "CmdSeq", seq)
        order = {name: points[name] for name in ORDER_POINTS if name in points}
        change = {name: points[name] for name in ("FsWLim", "HbTms") if name in points}
        complete = (order.get("WLimEna", 1 if "WLim" in order else 0) == 0 and "WLimEna" in order) or "WLim" in order
        if not points or (order and not complete):
            assert written.command is None
            return
        command = written.command
        if command is None:
            assert self.newest == (seq, meant(points)), "a command was swallowed"
            return
        assert self.block.acknowledged_seq == before, "acknowledged before it was in force"
        if not accepts:
            self.newest = None
            assert self.block.settle(written.ticket, AckState.REJECTED_STATE)
            return
        self.newest = (seq, meant(points))
        if command.failsafe is not None:
            self.link, _ = step(self.link, command.failsafe, self.now, POLICY)
            self.failsafe_w = min(change.get("FsWLim", self.failsafe_w), POLICY.contract_w)
            self.timeout_s = change.get("HbTms", self.timeout_s)
            self.look_for_loss()
        if command.order is not None:
            self.link, _ = step(self.link, Ordered(command.order), self.now, POLICY)
            self.waiting = Given(self.s, order)
            self.start_what_waits()
        self.keep()
        assert self.block.settle(written.ticket, AckState.ACCEPTED)
        assert self.block.acknowledged_seq == seq

    @rule(peer=PEERS, value=st.integers(0, 3))
    def beat(self, peer: str, value: int) -> None:
        written = self.write(peer, "CtlHb", value)
        if written.beats is not None:
            self.link, _ = step(self.link, Beat(written.beats), self.now, POLICY)
            self.keep()
            self.beat_s = self.s

    @rule(seconds=st.sampled_from([1, 5, 29, 30, 59, 60, 200, 6_000]))
    def pass_time(self, seconds: int) -> None:
        self.s += seconds
        self.look_for_loss()
        self.start_what_waits()
        self.link, _ = step(self.link, Tick(), self.now, POLICY)
        self.keep()

    @rule(peer=PEERS, seq=st.integers(1, 3), limit_w=WATTS, validity_s=SECONDS, delay_s=SECONDS, enabled=st.sampled_from([0, 1]))
    def a_healthy_utility_orders(self, peer: str, seq: int, limit_w: int, validity_s: int, delay_s: int, enabled: int) -> None:
        """Without this the interesting states are rare."""
        self.beat(peer, (self.block.beats[0] + 1) % 1_000)
        self.put(peer, {"WLimEna": enabled, "WLim": limit_w, "WLimRvrtTms": validity_s, "StrTms": delay_s})
        self.commit(peer, seq, accepts=True)

    @rule(beats=st.integers(1, 20), peer=PEERS)
    def heartbeat_goes_on(self, beats: int, peer: str) -> None:
        for _ in range(beats):
            self.pass_time(5)
            self.beat(peer, self.block.beats[0] + 1)

    @rule(down_s=st.sampled_from([0, 5, 30, 59, 60, 600]))
    def crash(self, down_s: int) -> None:
        """The process dies and comes back with what the journal has; the wall is the only clock that survives."""
        assert self.recorded is not None
        self.s += down_s
        self.look_for_loss()
        self.start_what_waits()
        link = shifted(self.recorded, -self.jump)
        self.link, _ = step(resume(link, POLICY, self.now), Tick(), self.now, POLICY)
        self.block = LimitBlock(self.link)
        self.masters = {peer: Master(peer) for peer in self.masters}
        self.stages.clear()
        self.newest = None if self.link.order is None and self.link.next_order is None else self.newest
        self.keep()

    @rule(seconds=st.sampled_from([-7_200, -60, 60, 7_200]))
    def somebody_sets_the_clock(self, seconds: int) -> None:
        """While the process runs: only what is journaled and what the arbiter hears moves along."""
        self.jump += timedelta(seconds=seconds)
        if self.recorded is not None:
            self.recorded = shifted(self.link, self.jump)

    def look_for_loss(self) -> None:
        if self.beat_s is not None and self.s - self.beat_s >= self.timeout_s:
            self.lost_s = max(self.lost_s, min(self.s, self.beat_s + self.timeout_s))

    def start_what_waits(self) -> None:
        if self.waiting is not None and self.waiting.start_s <= self.s:
            self.running, self.waiting = self.waiting, None

    @invariant()
    def nothing_is_looser_than_somebody_allowed(self) -> None:
        found = verdict(self.link, self.now, POLICY)
        limit_w, running = found.limit_w, self.running
        alive = self.beat_s is not None and self.s - self.beat_s < self.timeout_s
        if not alive or running is None or running.at_s < self.lost_s:
            assert limit_w is not None, "unlimited without a live heartbeat and a fresh command"
            assert limit_w <= self.failsafe_w
        if running is None:
            return
        points = running.points
        if self.s >= running.end_s:
            allowed = points.get("WLimRvrt", self.failsafe_w) if points.get("WLimEnaRvrt", 1) else None
        elif self.s >= running.ramped_s:
            allowed = points["WLim"] if points.get("WLimEna", 1) else None
        else:
            return  # a ramp lies between what held and what is asked
        if allowed is not None:
            assert limit_w is not None, "unlimited though a limit was ordered"
            assert limit_w <= allowed

    @invariant()
    def the_arbiter_hears_no_less_than_the_verdict(self) -> None:
        found = verdict(self.link, self.now, POLICY)
        wall = self.now + self.jump
        told = [limit for limit in limits(self.link, self.now, POLICY, ahead=self.jump) if limit.holds_at(wall)]
        assert (found.limit_w is None) == (not told)
        assert all(limit.value <= (found.limit_w or 0) for limit in told)

    @invariant()
    def a_link_that_is_stepped_twice_at_the_same_moment_does_not_move(self) -> None:
        again, _ = step(self.link, Tick(), self.now, POLICY)
        assert replace(again) == self.link


LimitMachine.TestCase.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
TestLimitMachine = LimitMachine.TestCase
