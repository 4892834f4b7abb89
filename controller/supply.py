"""Which supply feeds the site, and the limit that follows: on a generator, its rating; lifted some time after the return.

    a person, the transfer switch's contact --> SupplyChanged (facts, one per source) --> limit of the site

On a generator while any source says so. The limit stays for the delay after the last one has said "grid": a supply that
has just come back may go again, and the load shall not jump at the moment of transfer. Pure functions of (facts, now).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from depot.state import SupplyFact
from depot.values import Limit, LimitSource, ScopeKind, Supply

HAND, CONTACT = "hand", "contact"
"""Sources: a person's command, the transfer switch's contact."""

SILENT_S = 30.0
"""A contact that was not read for so long counts as "on generator": unknown is the worst case (invariant 9)."""

LIMIT_ID = "generator"


@dataclass(frozen=True, slots=True)
class GeneratorSettings:
    """``rating_w``: what the generator can carry, of the whole site. ``return_delay_s``: how long the limit stays after
    the return."""

    rating_w: int
    return_delay_s: float = 300.0


def supply_of(facts: Mapping[str, SupplyFact]) -> Supply:
    """What feeds the site: the generator while any source says so."""
    return Supply.GENERATOR if any(fact.supply is Supply.GENERATOR for fact in facts.values()) else Supply.GRID


def limit_of(facts: Mapping[str, SupplyFact], settings: GeneratorSettings, now: datetime) -> Limit | None:
    """The generator's limit where it holds at ``now``."""
    running = [fact for fact in facts.values() if fact.supply is Supply.GENERATOR]
    if running:
        first = min(running, key=lambda fact: fact.since)
        return _limit(settings, first.since, None, first)
    returned = [fact for fact in facts.values() if fact.supply is Supply.GRID and fact.began is not None]
    if not returned:
        return None
    last = max(returned, key=lambda fact: fact.since)
    until = last.since + timedelta(seconds=settings.return_delay_s)
    if until <= now:
        return None
    return _limit(settings, last.began or last.since, until, last)


def _limit(settings: GeneratorSettings, since: datetime, until: datetime | None, fact: SupplyFact) -> Limit:
    what = "on generator" if until is None else "back on grid, and waits"
    reason = f"{what}: {fact.reason}" if fact.reason else what
    return Limit(LIMIT_ID, ScopeKind.SITE, settings.rating_w, LimitSource.GENERATOR, since, until=until, set_by=fact.by, reason=reason)


def contact_says(reading_at: datetime | None, closed: bool, *, closed_means: Supply, started: datetime, now: datetime) -> Supply | None:
    """What the contact says at ``now``; None: not read yet, and it is too early to say. A silent one is the worst case."""
    if reading_at is None or now - reading_at > timedelta(seconds=SILENT_S):
        silent_since = reading_at or started
        return Supply.GENERATOR if now - silent_since > timedelta(seconds=SILENT_S) else None
    other = Supply.GRID if closed_means is Supply.GENERATOR else Supply.GENERATOR
    return closed_means if closed else other
