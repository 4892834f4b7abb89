"""Timestamps of a log that stand still or jump, repaired, and said. Pure.

    frames as written --TimeRepair.feed()--> frames with a time that goes on (``estimated`` where it is not the log's own)

Stand still: the same stamp on so many frames that no bus could have carried them at one instant, as loggers write whose clock was not
read. Their time is told by the frames that are sent at a known period (the DBC's cycle times, those of GB/T 27930); where
no such frame is there, each frame counts :data:`GUESS_S`, which gives an order and no durations. Jump: back by more than :data:`BACK_S`,
or ahead by more than :data:`AHEAD_S`; time then goes on from where it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from bms_bridge.can.frame import CanFrame

STUCK_FRAMES: Final = 64
BACK_S: Final = 0.5
AHEAD_S: Final = 3600.0
GUESS_S: Final = 0.001
_RELATIVE_BEFORE_S: Final = 365 * 86_400.0


@dataclass(slots=True)
class TimeReport:
    """What was repaired. ``guessed``: frames of which even the period was not known."""

    frames: int = 0
    stuck: int = 0
    guessed: int = 0
    jumps: int = 0
    disorder: int = 0
    relative: bool = False

    @property
    def sound(self) -> bool:
        """Nothing was repaired."""
        return not (self.stuck or self.jumps or self.disorder)

    def texts(self) -> list[str]:
        """For people; empty where all was well."""
        found = []
        if self.relative:
            found.append("its times begin near 1970: they count from the start of the log, not by a calendar")
        if self.stuck:
            how = (
                "by the periods of frames that are sent regularly"
                if self.guessed < self.stuck
                else "by counting frames: order holds, durations do not"
            )
            found.append(f"{self.stuck} of {self.frames} frames stand at a time that does not go on; theirs was estimated {how}")
        if self.jumps:
            found.append(f"its clock jumped {'once' if self.jumps == 1 else f'{self.jumps} times'}; time goes on from where it was")
        if self.disorder:
            found.append(f"{self.disorder} frames are slightly out of order; they count as at the time before them")
        return found


@dataclass(slots=True)
class TimeRepair:
    """``cycles_s``: period of the identifiers that are sent regularly. Holds back at most :data:`STUCK_FRAMES` frames; feed all, then
    :meth:`flush`."""

    cycles_s: Mapping[int, float] = field(default_factory=dict)
    report: TimeReport = field(default_factory=TimeReport)
    _held: list[CanFrame] = field(default_factory=list)
    _stuck: bool = False
    _stamp_s: float | None = None
    _offset_s: float = 0.0
    _now_s: float = 0.0
    _begun_s: float = 0.0
    _seen: dict[int, int] = field(default_factory=dict)

    def feed(self, frame: CanFrame) -> list[CanFrame]:
        """The frames whose time is now known."""
        self.report.frames += 1
        if self._held and frame.at_s != self._held[0].at_s:
            ready = self.flush()
            self._held.append(frame)
            return ready
        if self._stuck and frame.at_s == self._stamp_s:
            return [self._estimated(frame)]
        self._stuck = False
        self._held.append(frame)
        if len(self._held) < STUCK_FRAMES:
            return []
        return self._stand_still()

    def flush(self) -> list[CanFrame]:
        """What is held back: its stamps are believed."""
        ready = [self._placed(frame) for frame in self._held]
        self._held.clear()
        return ready

    def _stand_still(self) -> list[CanFrame]:
        self._stuck = True
        first = self._placed(self._held[0])
        self._begun_s, self._seen = first.at_s, {}
        ready = [self._estimated(frame) for frame in self._held]
        self._held.clear()
        return ready

    def _placed(self, frame: CanFrame) -> CanFrame:
        """A frame whose stamp goes on, or jumps."""
        stamp_s, before_s = frame.at_s, self._stamp_s
        self._stamp_s = stamp_s
        if before_s is None:
            self.report.relative = 0 <= stamp_s < _RELATIVE_BEFORE_S
            self._now_s = stamp_s
            return frame
        step_s = stamp_s - before_s
        if step_s < -BACK_S or step_s > AHEAD_S:
            self.report.jumps += 1
            self._offset_s = self._now_s - stamp_s
        elif step_s < 0:
            self.report.disorder += 1
        at_s = stamp_s + self._offset_s
        if at_s < self._now_s:
            if step_s >= 0:  # what was estimated ran ahead of the stamps that go on again
                self._offset_s += self._now_s - at_s
            at_s = self._now_s
        self._now_s = at_s
        return frame if at_s == stamp_s else frame._replace(at_s=at_s, estimated=True)

    def _estimated(self, frame: CanFrame) -> CanFrame:
        self.report.stuck += 1
        period_s = self.cycles_s.get(frame.can_id)
        if period_s is not None:
            count = self._seen.get(frame.can_id, 0)
            self._seen[frame.can_id] = count + 1
            self._now_s = max(self._now_s, self._begun_s + count * period_s)
        elif not self._seen:
            self.report.guessed += 1
            if not self.cycles_s:
                self._now_s += GUESS_S
        return frame._replace(at_s=self._now_s, estimated=True)
