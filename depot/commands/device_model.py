"""Commands on stations' device models: variables, reports, monitors, wanted values and the repair of drift."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from depot.commands.command import Command
from depot.commands.stations import StationCommand
from depot.device_model import BaseReport, ComponentCriterion, MonitoringBase, MonitoringCriterion, MonitorWish, Variable, VariableSetting
from depot.wanted import WantedScope, WantedVariable

_NAMED = 8


def _named(variables: tuple[Variable, ...]) -> str:
    """Their names, the first ones of many, for the audit trail."""
    shown = ", ".join(str(variable)[:80] for variable in variables[:_NAMED])
    return shown + (f" and {len(variables) - _NAMED} more" if len(variables) > _NAMED else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class SetVariables(StationCommand):
    """Write variables of a station. Values may be secrets: they are not kept."""

    TITLE: ClassVar[str] = "Set variables"

    settings: tuple[VariableSetting, ...]

    @property
    def detail(self) -> Mapping[str, str]:
        return {"variables": _named(tuple(setting.variable for setting in self.settings))}

    @property
    def bare(self) -> Command:
        return replace(self, settings=())


@dataclass(frozen=True, slots=True, kw_only=True)
class AskReport(StationCommand):
    """Ask for a report: a base report, or a custom one of components that meet ``criteria`` and of ``variables``."""

    TITLE: ClassVar[str] = "Ask for a report"

    base: BaseReport | None = None
    criteria: tuple[ComponentCriterion, ...] = ()
    variables: tuple[Variable, ...] = ()

    @property
    def detail(self) -> Mapping[str, str]:
        if self.base is not None:
            return {"report": self.base.value}
        return {"report": "custom", "criteria": ", ".join(self.criteria), "variables": _named(self.variables)}


@dataclass(frozen=True, slots=True, kw_only=True)
class AskMonitoringReport(StationCommand):
    """Ask which monitors a station has."""

    TITLE: ClassVar[str] = "Ask for its monitors"

    criteria: tuple[MonitoringCriterion, ...] = ()
    variables: tuple[Variable, ...] = ()

    @property
    def detail(self) -> Mapping[str, str]:
        return {"criteria": ", ".join(self.criteria), "variables": _named(self.variables)}


@dataclass(frozen=True, slots=True, kw_only=True)
class SetMonitors(StationCommand):
    """Let a station tell by itself when variables do something."""

    TITLE: ClassVar[str] = "Set monitors"

    monitors: tuple[MonitorWish, ...]

    @property
    def detail(self) -> Mapping[str, str]:
        return {"monitors": _named(tuple(monitor.variable for monitor in self.monitors))}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearMonitors(StationCommand):
    """Remove monitors by their ids."""

    TITLE: ClassVar[str] = "Clear monitors"

    monitor_ids: tuple[int, ...]

    @property
    def detail(self) -> Mapping[str, str]:
        return {"monitors": ", ".join(map(str, self.monitor_ids[:50]))}


@dataclass(frozen=True, slots=True, kw_only=True)
class SetMonitoringBase(StationCommand):
    """Choose the set of monitors that a station starts from; custom ones may go."""

    TITLE: ClassVar[str] = "Set monitoring base"

    base: MonitoringBase

    @property
    def detail(self) -> Mapping[str, str]:
        return {"base": self.base.value}


@dataclass(frozen=True, slots=True, kw_only=True)
class SetMonitoringLevel(StationCommand):
    """Only what is as severe as this, or more, is told: 0 (danger) to 9 (debug)."""

    TITLE: ClassVar[str] = "Set monitoring level"

    severity: int

    @property
    def detail(self) -> Mapping[str, str]:
        return {"severity": str(self.severity)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeWantedVariables(Command):
    """Say which values variables shall have, for the depot (``name`` ""), a model (``vendor/model``) or a station."""

    TITLE: ClassVar[str] = "Change wanted variables"

    scope: WantedScope
    name: str = ""
    wanted: tuple[WantedVariable, ...] = ()
    removed: tuple[Variable, ...] = ()

    @property
    def target(self) -> str:
        return self.name or "depot"

    @property
    def detail(self) -> Mapping[str, str]:
        return {"wanted": _named(tuple(one.variable for one in self.wanted)), "removed": _named(self.removed)}


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairDrift(StationCommand):
    """Write the wanted values where a station has others. ``variables``: only these; none: all that differ."""

    TITLE: ClassVar[str] = "Repair drift"

    variables: tuple[Variable, ...] = ()

    @property
    def detail(self) -> Mapping[str, str]:
        return {"variables": _named(self.variables) or "all that differ"}
