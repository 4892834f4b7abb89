"""What is an alarm, and when it begins and ends: ISA-18.2 for one depot. Pure; ``depot.alarms`` has the life cycle itself.

    conditions that hold now + alarms that stand + timers  --decide-->  facts (raised, cleared, unshelved) + timers

The kinds are in :mod:`controller.alarm_kinds`. A condition raises its alarm after ``on_s`` without a break and clears it after
``off_s``; one that comes and goes is held longer. Conditions come from sources (:class:`Conditions`): rooms of the core that watch
something. A source that can't say anything now says None, and its alarms stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

from controller.alarm_kinds import KINDS, Kind, describe
from depot import events as ev
from depot.alarms import Alarms, AlarmState

__all__ = [
    "CHATTER_HOLD", "CHATTER_TIMES", "CHATTER_WITHIN", "FLOOD_BEGINS", "FLOOD_ENDS", "FLOOD_WINDOW", "KINDS", "MOST_ALARMS", "SHELVE_MOST",
    "SHELVE_MOST_WORST", "Condition", "Conditions", "Kind", "Timers", "decide", "describe", "flooded", "may_shelve",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that holds now. ``subject``: what it is about (a connector, a vehicle, "" for the site). ``title`` and
    ``action``: one sentence each, about this very case; empty: the kind's. ``suppressed_by``: why it needs nobody now,
    though it holds (its charger is out of service): suppressed by design."""

    kind: str
    subject: str = ""
    title: str = ""
    action: str = ""
    suppressed_by: str = ""

    @property
    def key(self) -> str:
        return f"{self.kind}:{self.subject}"


class Conditions(Protocol):
    """Who watches something. ``kinds``: all that it can ever report; ``conditions``: those that hold now, or None where
    it can't say (it has not looked yet)."""

    @property
    def kinds(self) -> frozenset[str]: ...
    def conditions(self, now: datetime) -> Iterable[Condition] | None: ...


MOST_ALARMS: Final = 2000
"""Beyond so many at once no more are raised: the board is lost anyway, and says how many there are."""

CHATTER_TIMES: Final = 3
CHATTER_WITHIN: Final = timedelta(minutes=15)
CHATTER_HOLD: Final = 10
"""An alarm that was raised so often within that time clears only after so many times its ``off_s``."""

FLOOD_WINDOW: Final = timedelta(minutes=10)
FLOOD_BEGINS: Final = 10
FLOOD_ENDS: Final = 5
"""More than ten new alarms in ten minutes are more than one person can follow, the usual measure of an alarm flood; over below five."""


@dataclass(frozen=True, slots=True)
class Timers:
    """``on``: since when a condition without an alarm holds; ``off``: since when an active alarm's condition is gone;
    ``raises``: when each was raised lately, or would have been. Forgotten in a restart, which is harmless: delays begin anew."""

    on: Mapping[str, datetime] = field(default_factory=dict)
    off: Mapping[str, datetime] = field(default_factory=dict)
    raises: Mapping[str, tuple[datetime, ...]] = field(default_factory=dict)


def decide(
    alarms: Alarms, seen: Mapping[str, Condition], watched: frozenset[str], timers: Timers, now: datetime
) -> tuple[list[ev.Event], Timers]:
    """What has begun and ended by ``now``. ``seen``: conditions that hold, by key; ``watched``: kinds whose sources
    could say. Alarms of other kinds stay as they are."""
    facts: list[ev.Event] = []
    on: dict[str, datetime] = {}
    off: dict[str, datetime] = {}
    raises = {key: kept for key, at in timers.raises.items() if (kept := tuple(t for t in at if now - t <= CHATTER_WITHIN))}
    count = len(alarms)
    for key, condition in seen.items():
        standing = alarms.get(key)
        kind = KINDS[condition.kind]
        if standing is not None and standing.active:
            gone = timers.off.get(key)
            if gone is not None and (now - gone).total_seconds() >= kind.off_s:
                raises[key] = (*raises.get(key, ()), now)  # without the hold it would be raised anew: it goes on chattering
            continue
        if condition.suppressed_by:
            continue
        since = timers.on.get(key, now)
        if (now - since).total_seconds() < kind.on_s or (standing is None and count >= MOST_ALARMS):
            on[key] = since
            continue
        count += standing is None
        raises[key] = (*raises.get(key, ()), now)
        title, action = condition.title or kind.meaning, condition.action or kind.action
        facts.append(ev.AlarmRaised(key, kind.name, condition.subject, title, action, kind.priority))
    for key, alarm in alarms.items():
        if alarm.shelf is not None and alarm.shelf.until is not None and alarm.shelf.until <= now:
            facts.append(ev.AlarmUnshelved(key, "its time was over"))
        if not alarm.active:
            continue
        found = seen.get(key)
        if found is not None and found.suppressed_by:
            facts.append(ev.AlarmCleared(key, f"suppressed: {found.suppressed_by}"))
        elif alarm.kind not in KINDS:
            facts.append(ev.AlarmCleared(key, "this version does not watch it"))
        elif found is None and alarm.kind in watched:
            since = timers.off.get(key, now)
            hold = CHATTER_HOLD if len(raises.get(key, ())) >= CHATTER_TIMES else 1
            if (now - since).total_seconds() >= KINDS[alarm.kind].off_s * hold:
                facts.append(ev.AlarmCleared(key))
            else:
                off[key] = since
    return facts, Timers(on, off, raises)


def flooded(raised: Sequence[datetime], now: datetime, *, was: bool) -> bool:
    """Whether alarms come faster than a person can follow. ``raised``: when the last ones came."""
    count = sum(now - at < FLOOD_WINDOW for at in raised)
    return count >= FLOOD_ENDS if was else count > FLOOD_BEGINS


SHELVE_MOST: Final = timedelta(hours=12)
SHELVE_MOST_WORST: Final = timedelta(hours=1)


def may_shelve(kind: str, priority: int, state: AlarmState, span: timedelta | None) -> str | None:
    """Why this alarm may not be put aside for ``span`` (None: taken out of service); None where it may."""
    known = KINDS.get(kind)
    if known is not None and not known.shelvable:
        return f"an alarm of the kind {kind} cannot be put aside: it ends when its cause does"
    if span is None:
        return None if priority > 1 else "an alarm of priority 1 cannot be taken out of service: shelve it for an hour at most"
    if span <= timedelta(0):
        return "the shelf would end before it begins"
    most = SHELVE_MOST_WORST if priority <= 1 else SHELVE_MOST
    if span > most:
        return f"an alarm of priority {priority} may be shelved for {most.total_seconds() / 3600:.0f} h at most"
    return None
