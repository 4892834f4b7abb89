"""Commands that change what is registered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from depot.commands.command import Command
from depot.fleet import Driver, Pack, Vehicle
from depot.registry import FeederSpec, StationSpec
from depot.values import PackKey


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRegistry(Command):
    """Register, change and remove vehicles, packs and drivers; all or nothing.

    ``names``: names of drivers by driver_id, kept apart from the facts; "" takes a name away, who is not in it keeps his.
    """

    TITLE: ClassVar[str] = "Change registry"

    vehicles: tuple[Vehicle, ...] = ()
    packs: tuple[Pack, ...] = ()
    drivers: tuple[Driver, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    remove_vehicles: tuple[str, ...] = ()
    remove_packs: tuple[PackKey, ...] = ()
    remove_drivers: tuple[str, ...] = ()

    @property
    def target(self) -> str:
        return _targets(self.detail)

    @property
    def detail(self) -> Mapping[str, str]:
        return _detail(
            ("vehicle", [v.vehicle_id for v in self.vehicles]),
            ("pack", [str(p.key) for p in self.packs]),
            ("driver", [d.driver_id for d in self.drivers]),
            ("removed vehicle", self.remove_vehicles),
            ("removed pack", [str(p) for p in self.remove_packs]),
            ("removed driver", self.remove_drivers),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSite(Command):
    """Change stations and feeders beside the settings file, from the core's next start on; all or nothing.
    ``key_hashes``: keyed hash of the password, of stations that the file does not know. ``withdraw_…``: back to the file."""

    TITLE: ClassVar[str] = "Change site"

    stations: tuple[StationSpec, ...] = ()
    feeders: tuple[FeederSpec, ...] = ()
    key_hashes: Mapping[str, str] = field(default_factory=dict)
    retire_stations: tuple[str, ...] = ()
    withdraw_stations: tuple[str, ...] = ()
    withdraw_feeders: tuple[str, ...] = ()

    @property
    def target(self) -> str:
        return _targets(self.detail)

    @property
    def detail(self) -> Mapping[str, str]:
        return _detail(
            ("station", [s.station_id for s in self.stations]),
            ("feeder", [f.feeder_id for f in self.feeders]),
            ("retired station", self.retire_stations),
            ("withdrawn station", self.withdraw_stations),
            ("withdrawn feeder", self.withdraw_feeders),
        )


_LISTED = 20


def _detail(*parts: tuple[str, Sequence[str]]) -> Mapping[str, str]:
    """Ids per kind for the audit trail; long lists are cut, and say how long they are."""
    out = {}
    for kind, ids in parts:
        if ids:
            out[kind] = ", ".join(ids[:_LISTED]) + (f" and {len(ids) - _LISTED} more" if len(ids) > _LISTED else "")
    return out


def _targets(detail: Mapping[str, str]) -> str:
    return "; ".join(f"{kind} {ids}" for kind, ids in detail.items())[:200]
