"""Facts of the site: limits, supply, the utility."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from depot.events.envelope import Event
from depot.values import Limit, Supply, UtilityLink


@dataclass(frozen=True, slots=True)
class LimitSet(Event):
    TYPE: ClassVar[str] = "limit.value_set"
    limit: Limit


@dataclass(frozen=True, slots=True)
class LimitCleared(Event):
    TYPE: ClassVar[str] = "limit.value_cleared"
    limit_id: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SupplyChanged(Event):
    """What feeds the site, as ``source`` says it: ``hand`` (a person) or ``contact`` (the transfer switch)."""

    TYPE: ClassVar[str] = "supply.source_changed"
    source: str
    supply: Supply
    reason: str = ""


@dataclass(frozen=True, slots=True)
class UtilityLinkChanged(Event):
    """The utility's order, fail-safe settings or link mode changed, or its heartbeat was seen again (sparsely recorded).
    ``link`` holds wall-clock times. ``cause``: what happened, in words; the envelope's actor says who."""

    TYPE: ClassVar[str] = "utility.link_changed"
    link: UtilityLink
    cause: str = ""


@dataclass(frozen=True, slots=True)
class UtilityCommandAnswered(Event):
    """A master of the utility's side (the envelope's actor) wanted something: what came of it. ``seq``: its number; None for
    writes that were refused, ``count`` of which this tells. ``asked``: what it wanted, or why it was refused, in words.
    ``role``: what its certificate says, "" without one. ``before_w``, ``after_w``: the site's limit in force, W."""

    TYPE: ClassVar[str] = "utility.command_answered"
    seq: int | None
    outcome: str
    asked: str = ""
    role: str = ""
    count: int = 1
    before_w: int | None = None
    after_w: int | None = None
