"""Commands of the limit book: schedules, demand-response events, the override."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from depot.commands.command import Command
from depot.limit_book import EventChannel, Period, Weekly
from depot.values import LimitSource


@dataclass(frozen=True, slots=True, kw_only=True)
class SetLimitSchedule(Command):
    """A limit that comes by itself, ``weekly`` or ``once``. The same ``schedule_id`` again replaces it. ``scope_id``: "" the site, a
    feeder, or a connector such as CP1/1."""

    TITLE: ClassVar[str] = "Schedule a limit"

    schedule_id: str
    value_w: int
    scope_id: str = ""
    weekly: Weekly | None = None
    once: Period | None = None

    @property
    def target(self) -> str:
        return self.scope_id or "site"

    @property
    def detail(self) -> Mapping[str, str]:
        return {"schedule_id": self.schedule_id, "value_w": str(self.value_w)}


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveLimitSchedule(Command):
    """It does not come any more, and stops to hold."""

    TITLE: ClassVar[str] = "Remove a limit's schedule"

    schedule_id: str

    @property
    def target(self) -> str:
        return self.schedule_id


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnounceDemandEvent(Command):
    """Take up a demand-response event of the site: it allows ``limit_w``, or ``reduction_w`` less than ``baseline_w`` (None: what
    the depot measured at that time of the days before). The same ``event_id`` again changes it until it is over."""

    TITLE: ClassVar[str] = "Announce a demand-response event"

    event_id: str
    programme: str
    starts_at: datetime
    ends_at: datetime
    channel: EventChannel
    issued_at: datetime | None = None
    limit_w: int | None = None
    reduction_w: int | None = None
    baseline_w: int | None = None

    @property
    def target(self) -> str:
        return self.event_id

    @property
    def detail(self) -> Mapping[str, str]:
        allowed = f"limit {self.limit_w} W" if self.limit_w is not None else f"{self.reduction_w} W less than {self.baseline_w} W"
        return {
            "programme": self.programme,
            "allowed": allowed,
            "starts_at": self.starts_at.isoformat(),
            "ends_at": self.ends_at.isoformat(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelDemandEvent(Command):
    """The programme has called it off."""

    TITLE: ClassVar[str] = "Cancel a demand-response event"

    event_id: str

    @property
    def target(self) -> str:
        return self.event_id


@dataclass(frozen=True, slots=True, kw_only=True)
class OptOutOfDemandEvent(Command):
    """The depot does not take part (any more); the reason says why."""

    TITLE: ClassVar[str] = "Opt out of a demand-response event"

    event_id: str

    @property
    def target(self) -> str:
        return self.event_id


@dataclass(frozen=True, slots=True, kw_only=True)
class OverrideLimits(Command):
    """Let the load rise to ``value_w`` until ``until`` where limits of ``sources`` would hold it lower, because vehicles would
    otherwise miss their departure. No other limit is touched."""

    TITLE: ClassVar[str] = "Override limits"

    value_w: int
    until: datetime
    sources: tuple[LimitSource, ...]
    scope_id: str = ""

    @property
    def target(self) -> str:
        return self.scope_id or "site"

    @property
    def detail(self) -> Mapping[str, str]:
        return {"value_w": str(self.value_w), "until": self.until.isoformat(), "sources": ", ".join(self.sources)}


@dataclass(frozen=True, slots=True, kw_only=True)
class EndOverride(Command):
    """The overridden limits hold again at once."""

    TITLE: ClassVar[str] = "End the override"

    @property
    def target(self) -> str:
        return "site"
