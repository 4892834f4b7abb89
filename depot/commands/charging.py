"""Commands of the yard: sessions, limits, supply, stays, batteries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from depot.commands.command import Command, ConnectorCommand
from depot.events import VisitAnnounced
from depot.values import PackKey, Role, Supply


@dataclass(frozen=True, slots=True, kw_only=True)
class StartCharging(ConnectorCommand):
    """Start a session now on ``connector``, as soon as the limits leave its minimum."""

    TITLE: ClassVar[str] = "Start session"


@dataclass(frozen=True, slots=True, kw_only=True)
class StopCharging(ConnectorCommand):
    """End the session on ``connector``; it is not started again for this visit unless asked."""

    TITLE: ClassVar[str] = "Stop session"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetManualLimit(Command):
    """Limit site, feeder or connector (such as CP1/1) to ``value_w`` until ``until`` (None: until cleared). ``scope_id`` "" = site.
    ``name``: of one that holds beside others of the same scope; the same name again replaces it."""

    TITLE: ClassVar[str] = "Set manual limit"

    value_w: int
    scope_id: str = ""
    until: datetime | None = None
    name: str = ""

    @property
    def target(self) -> str:
        return self.scope_id or "site"

    @property
    def limit_id(self) -> str:
        """Of the limit that it sets."""
        return manual_id(self.scope_id, self.name)

    @property
    def detail(self) -> Mapping[str, str]:
        named = {"name": self.name} if self.name else {}
        return {"value_w": str(self.value_w), "until": self.until.isoformat() if self.until else "", **named}


def manual_id(scope_id: str, name: str = "") -> str:
    """Id of a manual limit."""
    return f"manual:{scope_id}#{name}" if name else f"manual:{scope_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearManualLimit(Command):
    """Lift the manual limit of site (""), feeder or connector: the one of that ``name``."""

    TITLE: ClassVar[str] = "Lift manual limit"

    scope_id: str = ""
    name: str = ""

    @property
    def target(self) -> str:
        return self.scope_id or "site"

    @property
    def limit_id(self) -> str:
        """Of the limit that it lifts."""
        return manual_id(self.scope_id, self.name)

    @property
    def detail(self) -> Mapping[str, str]:
        return {"name": self.name} if self.name else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class SetSupply(Command):
    """Say what feeds the site: its generator, whose rating is then the site's limit, or the grid again."""

    TITLE: ClassVar[str] = "Say what feeds the site"

    supply: Supply = Supply.GENERATOR

    @property
    def target(self) -> str:
        return "site"

    @property
    def detail(self) -> Mapping[str, str]:
        return {"supply": self.supply.value}


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAvailability(ConnectorCommand):
    """Take a connector out of service or put it back (which also forgets that it disobeyed)."""

    TITLE: ClassVar[str] = "Change availability"

    operative: bool

    @property
    def detail(self) -> Mapping[str, str]:
        return {"operative": str(self.operative)}


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnounceVisit(Command):
    """State or change a vehicle's stay."""

    TITLE: ClassVar[str] = "Announce visit"

    visit: VisitAnnounced

    @property
    def target(self) -> str:
        return self.visit.vehicle_id

    @property
    def detail(self) -> Mapping[str, str]:
        return {"visit_id": self.visit.visit_id}


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelVisit(Command):
    """Take back a stay that will not happen."""

    TITLE: ClassVar[str] = "Cancel departure"

    visit_id: str
    vehicle_id: str = ""

    @property
    def target(self) -> str:
        return self.vehicle_id or self.visit_id

    @property
    def detail(self) -> Mapping[str, str]:
        return {"visit_id": self.visit_id}


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetPack(Command):
    """Declare a tripped pack safe: ``actor`` is the person, ``role`` the one of their session."""

    TITLE: ClassVar[str] = "Reset trip"

    pack: PackKey
    role: Role

    @property
    def target(self) -> str:
        return str(self.pack)

    @property
    def detail(self) -> Mapping[str, str]:
        return {"role": self.role.value}
