"""What stations did while they were cut off for weeks: transactions that nobody heard of, and the messages that tell them.

    history = offline_history(rng, stations=…, connectors=…, transactions=…)
    history.queues[connector]       its messages in the order in which it sends them
    history.expected                what the journal must hold in the end, whatever was repeated, and in whatever order

A connector tells one transaction after the other: start, meter values, stop, the last two with the number that it was given
for the first. Some stops were lost (the next start shows where the register was), some starts (their stop comes with −1, or
with a number that nobody gave). Several connectors tell theirs at the same time, in any order among them.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto

from depot.values import ConnectorId

TAGS = 37
LOST = 0.04
"""Share of the transactions that lost their stop, and the same share their start."""
WEEKS = timedelta(days=28)
UNKNOWN_FROM = 2_000_000_000
"""Numbers from here on are given to nobody."""


class Fate(Enum):
    """What of a transaction reaches the depot."""

    WHOLE = auto()
    STOP_LOST = auto()
    START_LOST = auto()


@dataclass(slots=True, eq=False)
class Told:
    """One transaction as its station knows it, Wh by its register. ``number``: what the depot gave it."""

    connector: ConnectorId
    tag: str
    began_at: datetime
    ended_at: datetime
    start_wh: int
    stop_wh: int
    fate: Fate
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One message of a transaction. ``wh``, ``at``: the register that it tells, and when that was."""

    kind: str
    told: Told
    wh: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Totals:
    """``energy``: (transactions, Wh) by station and tag. ``orphans``: (station, Wh) of every stop that has no start."""

    energy: dict[tuple[str, str], tuple[int, int]]
    orphans: frozenset[tuple[str, int]]

    @property
    def count(self) -> int:
        return sum(count for count, _ in self.energy.values())

    @property
    def energy_wh(self) -> int:
        return sum(wh for _, wh in self.energy.values())


@dataclass(slots=True)
class History:
    """See the module."""

    transactions: list[Told] = field(default_factory=list)
    queues: dict[ConnectorId, list[Step]] = field(default_factory=dict)

    @property
    def expected(self) -> Totals:
        energy: dict[tuple[str, str], tuple[int, int]] = {}
        orphans = set()
        for told in self.transactions:
            if told.fate is Fate.START_LOST:
                orphans.add((told.connector.station_id, told.stop_wh))
                continue
            key = (told.connector.station_id, told.tag)
            count, wh = energy.get(key, (0, 0))
            energy[key] = (count + 1, wh + told.stop_wh - told.start_wh)
        return Totals(energy, frozenset(orphans))


def offline_history(rng: random.Random, *, connectors: Sequence[ConnectorId], transactions: int, until: datetime) -> History:
    """``transactions`` spread evenly over the connectors, the last of them over an hour before ``until``."""
    history = History()
    each = -(-transactions // len(connectors))
    for place, connector in enumerate(connectors):
        register_wh = 1_000_000 + place  # no two stops of one station tell the same register
        queue = history.queues[connector] = []
        slot = WEEKS / each
        before = Fate.WHOLE
        count = min(each, transactions - len(history.transactions))
        for n in range(count):
            began_at = until - WEEKS + n * slot - timedelta(hours=2) + slot * rng.uniform(0.0, 0.3)
            ended_at = began_at + slot * rng.uniform(0.2, 0.6)
            fate = Fate.WHOLE
            if before is Fate.WHOLE and 0 < n < count - 1 and rng.random() < 2 * LOST:  # two in a row could not be told apart
                fate = rng.choice((Fate.STOP_LOST, Fate.START_LOST))
            before = fate
            stop_wh = register_wh + 1000 * rng.randint(1, 60)
            told = Told(connector, f"TAG{rng.randrange(TAGS)}", began_at, ended_at, register_wh, stop_wh, fate)
            history.transactions.append(told)
            queue += _steps(rng, told)
            register_wh = stop_wh
    return history


def _steps(rng: random.Random, told: Told) -> list[Step]:
    steps = [] if told.fate is Fate.START_LOST else [Step("start", told, told.start_wh, told.began_at)]
    samples = rng.randint(0, 2)
    for n in range(1, samples + 1):
        share = n / (samples + 1)
        wh = round(told.start_wh + share * (told.stop_wh - told.start_wh))
        steps.append(Step("values", told, wh, told.began_at + share * (told.ended_at - told.began_at)))
    if told.fate is not Fate.STOP_LOST:
        steps.append(Step("stop", told, told.stop_wh, told.ended_at))
    return steps
