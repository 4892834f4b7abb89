"""What is decided of drills, as pure functions: when the next one is due, whether one passed, what speaks against one now.

[drill] weekday, at --next_at()--> the next moment by the depot's clock
links --verdict()--> passed, or failed
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from depot.emergency import Drill, DrillLink, DrillState, LinkState
from depot.values import PackKey

PACK: Final = PackKey("DRILL", "DRILL")
"""The synthetic pack. No vehicle may be called so."""

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

LINKS: Final[Mapping[str, str]] = {
    "guard": "The guard trips the synthetic pack",
    "latch": "The trip is on the disk",
    "response": "The table asks for the whole response",
    "chargers": "Chargers answer",
    "telemetry": "The broker passes telemetry on",
    "outputs": "Outputs go there and back",
    "notification": "Messages arrive",
    "evacuation": "Everybody answers the roll-call",
    "incident": "The incident file is on the disk",
}
"""The links of the chain, in the order in which they are tested."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """``weekday``: 0 is Monday. ``remind``: without a drill that passed for so long there is an alarm."""

    weekday: int
    at: time
    contactors: bool = False
    roll_call: bool = True
    remind: timedelta = timedelta(days=35)


def next_at(schedule: Schedule, now: datetime, zone: ZoneInfo) -> datetime:
    """The first moment after ``now`` at which the depot's clock shows weekday and time."""
    local = now.astimezone(zone)
    day = local.date() + timedelta(days=(schedule.weekday - local.weekday()) % 7)
    due = datetime.combine(day, schedule.at, zone)
    if due <= local:
        due = datetime.combine(day + timedelta(days=7), schedule.at, zone)
    return due.astimezone(now.tzinfo)


def verdict(links: Iterable[DrillLink]) -> DrillState:
    """A link that failed fails the drill; one that is not there proves nothing, and fails nothing."""
    return DrillState.FAILED if any(link.state is LinkState.FAILED for link in links) else DrillState.PASSED


def last_passed(drills: Mapping[str, Drill]) -> datetime | None:
    """When one passed last."""
    return max((drill.began_at for drill in drills.values() if drill.state is DrillState.PASSED), default=None)


def against(
    *, tripped: Sequence[PackKey], evacuating: bool, running: bool, frozen: bool, named_so: bool
) -> str:  # fmt: skip
    """What speaks against a drill now; empty: nothing."""
    if tripped:
        return f"{tripped[0]} is tripped: no drill beside a real emergency"
    if evacuating:
        return "an evacuation is under way: no drill beside a real emergency"
    if running:
        return "a drill is under way"
    if frozen:
        return "a drill must be recorded, and the journal cannot write"
    if named_so:
        return f"a vehicle is registered as {PACK.vehicle_id}: the synthetic pack would be taken for its own"
    return ""
