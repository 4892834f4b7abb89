"""When a sample was true: a vehicle's clock is never trusted, but what it says is used. Pure.

    first sample ──▶ offset = received − reported            the difference of the clocks, and the quickest way so far
    each sample  ──▶ age = (received − reported) − offset    how much longer than the quickest one it was under way

The offset follows a quicker sample at once, and a slower one by :data:`DRIFT` at most: as much as a poor clock loses. What is
slower than that is late. So it does not matter whether a clock is an hour or fifty years off, nor that it runs a little slow.

    a clock that was set            late samples that go on at the pace of time: believed again after a while, and told
    a clock that stands still       the same time, again and again, while values change: the time of arrival counts, and told
    a clock of another age          1970, as a unit says that has not heard the time yet: its steps count, not its date
"""

from __future__ import annotations

import math
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from bms_bridge.issues import Issue, IssueKind

LATE_S: Final = 30.0
"""A sample that is later than this is late: it can trip, but neither refresh nor clear anything."""

DRIFT: Final = 0.001
"""The most that a vehicle's clock may lose against ours: 86 s a day."""

TOLD_DRIFT: Final = 0.0001
"""A clock that gains or loses more than this (9 s a day) is told of, once in :data:`DRIFT_OVER_S`."""

DRIFT_OVER_S: Final = 3600.0
STILL_SAMPLES: Final = 10
STILL_S: Final = 30.0
"""So many samples with other values, over so long, all of the same time: the clock stands still."""

ABSURD_S: Final = 366 * 86400.0
_REBASE_SAMPLES, _REBASE_S = 10, 30.0
_PACE_S, _PACE_SHARE = 2.0, 0.02


class LateRun(Struct, frozen=True):
    """Late samples one after the other: how many, and when the first one came and was reported."""

    count: int
    received_s: float
    reported_s: float
    last_reported_s: float


class ClockTrack(Struct, frozen=True):
    """What is known of a vehicle's clock. Times are Unix seconds, ``received`` by our clock and ``reported`` by its own.

    ``offset_s`` None: nothing yet. ``reported_since_s``: when the newest reported time came first. ``still``: samples with
    other values and the same time since then. ``anchor``: (received, offset) from which the drift is reckoned. ``drift``:
    seconds that it loses a second, as found last. ``other_age``: the same of times that are years off."""

    offset_s: float | None = None
    at_s: float = 0.0
    reported_s: float = 0.0
    reported_since_s: float = 0.0
    still: int = 0
    run: LateRun | None = None
    anchor: tuple[float, float] = (0.0, 0.0)
    drift: float = 0.0
    other_age: ClockTrack | None = None

    def stands(self, now_s: float, pace: float) -> bool:
        """Whether the clock was found to stand still."""
        return self.still >= STILL_SAMPLES and now_s - self.reported_since_s >= STILL_S * pace


def placed(
    track: ClockTrack, received_s: float, reported_s: float | None, *, retained: bool, changed: bool, pace: float, issues: list[Issue]
) -> tuple[ClockTrack, float, bool]:
    """The track with one more sample, how old that was when it came, and whether it is late or out of order.

    ``changed``: its values are others than the last one's. ``pace``: lateness is borne so many times longer."""
    if reported_s is None:
        return track, math.inf if retained else 0.0, retained
    delay_s = received_s - reported_s
    if retained:
        # perhaps kept by the broker since long ago: it says nothing of the clocks, and is never the newest
        age_s = max(0.0, delay_s - (track.offset_s or 0.0))
        issues.append(Issue(IssueKind.LATE, f"the broker had kept it, for about {age_s:.0f} s"))
        return track, age_s, True
    if not abs(delay_s) <= ABSURD_S:
        issues.append(Issue(IssueKind.CLOCK, f"its clock is {abs(delay_s) / 86400:.0f} days off; only the steps of its time count"))
        other, age_s, late = _followed(track.other_age or ClockTrack(), received_s, reported_s, changed, pace, issues)
        return replace(track, other_age=other), age_s, late
    track, age_s, late = _followed(track, received_s, reported_s, changed, pace, issues)
    return (track if track.other_age is None else replace(track, other_age=None)), age_s, late


def _followed(
    track: ClockTrack, received_s: float, reported_s: float, changed: bool, pace: float, issues: list[Issue]
) -> tuple[ClockTrack, float, bool]:
    delay_s = received_s - reported_s
    before_s = track.offset_s
    if before_s is None:
        return _begun(received_s, reported_s), 0.0, False
    if reported_s == track.reported_s and changed:
        track = replace(track, still=track.still + 1)
        if track.stands(received_s, pace):
            words = f"its clock has stood still for {received_s - track.reported_since_s:.0f} s; the time of arrival counts"
            issues.append(Issue(IssueKind.CLOCK, words))
            return track, 0.0, False
    offset_s = min(delay_s, before_s + DRIFT * max(0.0, received_s - track.at_s))
    age_s = delay_s - offset_s
    backwards = reported_s < track.reported_s
    if not backwards and age_s <= LATE_S * pace:
        if before_s - delay_s > LATE_S * pace:
            issues.append(
                Issue(IssueKind.CLOCK, f"its clock was set by about {before_s - delay_s:.0f} s, or its way here is as much shorter")
            )
            return _begun(received_s, reported_s), 0.0, False
        return _news(track, received_s, reported_s, offset_s, issues), age_s, False
    run = _run_on(track.run, received_s, reported_s)
    if run.count >= _REBASE_SAMPLES and received_s - run.received_s >= _REBASE_S:
        # not one delayed sample but a stream at the pace of time: its clock was set
        issues.append(Issue(IssueKind.CLOCK, f"its clock was set by about {before_s - delay_s:.0f} s"))
        return _begun(received_s, reported_s), 0.0, False
    issues.append(Issue(IssueKind.LATE, "out of order" if backwards else f"{age_s:.0f} s late"))
    return replace(track, run=run), age_s, True


def _begun(received_s: float, reported_s: float) -> ClockTrack:
    offset_s = received_s - reported_s
    return ClockTrack(offset_s, received_s, reported_s, received_s, anchor=(received_s, offset_s))


def _news(track: ClockTrack, received_s: float, reported_s: float, offset_s: float, issues: list[Issue]) -> ClockTrack:
    moved = reported_s != track.reported_s
    anchor, drift = track.anchor, track.drift
    if received_s - anchor[0] >= DRIFT_OVER_S:
        drift = (offset_s - anchor[1]) / (received_s - anchor[0])
        anchor = (received_s, offset_s)
        if abs(drift) > TOLD_DRIFT:
            words = f"its clock {'loses' if drift > 0 else 'gains'} {abs(drift) * 86400:.0f} s a day; that is allowed for"
            issues.append(Issue(IssueKind.CLOCK, words))
    return ClockTrack(
        offset_s,
        received_s,
        reported_s,
        received_s if moved else track.reported_since_s,
        0 if moved else track.still,
        None,
        anchor,
        drift,
        track.other_age,
    )


def _run_on(run: LateRun | None, received_s: float, reported_s: float) -> LateRun:
    """The run of late samples with one more. It begins anew where time does not go on in it as it does here: out of order,
    or a store of the past that is emptied faster than it was filled."""
    if run is not None and reported_s > run.last_reported_s:
        passed_s = received_s - run.received_s
        if abs(reported_s - run.reported_s - passed_s) <= _PACE_S + _PACE_SHARE * passed_s:
            return LateRun(run.count + 1, run.received_s, run.reported_s, reported_s)
    return LateRun(1, received_s, reported_s, reported_s)
