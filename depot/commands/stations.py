"""Commands that concern stations as machines, and who may use them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from depot.commands.command import Command
from depot.events import Registration
from depot.registry import StationSpec
from depot.tokens import IdToken


@dataclass(frozen=True, slots=True, kw_only=True)
class StationCommand(Command):
    """Base of what acts on one station."""

    station_id: str

    @property
    def target(self) -> str:
        return self.station_id


@dataclass(frozen=True, slots=True, kw_only=True)
class AddStation(StationCommand):
    """A station becomes part of the depot at once, or gets connectors that it did not have. ``password`` "": it keeps the one
    that it has; a new station gets one made up, which the answer tells once. ``security_profile`` None: as the settings say."""

    TITLE: ClassVar[str] = "Add station"

    station: StationSpec
    password: str = field(default="", repr=False)
    registration: Registration = Registration.ACCEPTED
    security_profile: int | None = None
    item_limits: Mapping[str, int] = field(default_factory=dict)

    @property
    def detail(self) -> Mapping[str, str]:
        connectors = ", ".join(f"{c.connector}: {c.rated_w} W {c.current.value}" for c in self.station.connectors)
        return {"feeder": self.station.feeder_id, "connectors": connectors, "registration": self.registration.value}

    @property
    def bare(self) -> Command:
        return replace(self, password="")


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmitStation(StationCommand):
    """Say how far a station is admitted: accepted, pending (it may talk, and charge nobody) or rejected."""

    TITLE: ClassVar[str] = "Admit station"

    registration: Registration

    @property
    def detail(self) -> Mapping[str, str]:
        return {"registration": self.registration.value}


@dataclass(frozen=True, slots=True, kw_only=True)
class RetireStation(StationCommand):
    """Reject a station at once; from the core's next start on it is not counted any more."""

    TITLE: ClassVar[str] = "Retire station"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetItemLimits(StationCommand):
    """Say how many items a station takes in one message; names as in :data:`depot.events.ITEM_LIMITS`."""

    TITLE: ClassVar[str] = "Set item limits"

    limits: Mapping[str, int]

    @property
    def detail(self) -> Mapping[str, str]:
        return {name: str(value) for name, value in self.limits.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeTokens(Command):
    """List id tokens, change what the list says of them, or remove them (by :attr:`~depot.tokens.IdToken.key`); all or nothing."""

    TITLE: ClassVar[str] = "Change id tokens"

    tokens: tuple[IdToken, ...] = ()
    remove: tuple[str, ...] = ()

    @property
    def target(self) -> str:
        return f"{len(self.tokens) + len(self.remove)} id tokens"

    @property
    def detail(self) -> Mapping[str, str]:
        return {"listed": str(len(self.tokens)), "removed": str(len(self.remove))}


@dataclass(frozen=True, slots=True, kw_only=True)
class CallStation(StationCommand):
    """Send a station any call of its OCPP version, payload as it stands. What it may contain (keys, cards) is not kept."""

    TITLE: ClassVar[str] = "Call station"

    action: str
    payload: Mapping[str, Any] = field(default_factory=dict)

    @property
    def detail(self) -> Mapping[str, str]:
        return {"action": self.action[:60]}

    @property
    def bare(self) -> Command:
        return replace(self, payload={})
