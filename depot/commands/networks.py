"""Commands on stations' network connection profiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from depot.commands.command import Command
from depot.commands.stations import StationCommand
from depot.network_profiles import NetworkProfile


@dataclass(frozen=True, slots=True, kw_only=True)
class SetNetworkProfile(StationCommand):
    """Give a station a profile in a slot. ``apn``, ``vpn``: as OCPP spells them, with their secrets, which are not kept;
    ``password``: for basic authentication by this profile (2.1). ``may_cut_off``: somebody knows that the address does not
    lead to this depot."""

    TITLE: ClassVar[str] = "Set network profile"

    slot: int
    profile: NetworkProfile
    apn: Mapping[str, Any] | None = field(default=None, repr=False)
    vpn: Mapping[str, Any] | None = field(default=None, repr=False)
    password: str = field(default="", repr=False)
    may_cut_off: bool = False

    @property
    def detail(self) -> Mapping[str, str]:
        found = {"slot": str(self.slot), "security profile": str(self.profile.security_profile)}
        return found | ({"may cut off": "yes"} if self.may_cut_off else {})

    @property
    def bare(self) -> Command:
        return replace(self, apn=None, vpn=None, password="")


@dataclass(frozen=True, slots=True, kw_only=True)
class SetNetworkPriority(StationCommand):
    """Say in which order a station tries its slots; it does so from its next boot on. ``may_cut_off`` as above."""

    TITLE: ClassVar[str] = "Set network priority"

    priority: tuple[int, ...]
    may_cut_off: bool = False

    @property
    def detail(self) -> Mapping[str, str]:
        found = {"priority": ", ".join(map(str, self.priority))}
        return found | ({"may cut off": "yes"} if self.may_cut_off else {})
