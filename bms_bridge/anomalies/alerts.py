"""Alerts: one for each trouble of a pack, ranked, with the signals that caused it. Pure.

    PackDays --> leaks (cells against their pack) --+
             --> charts (packs against the cohort) -+--> Alert by pack, kind and cell --> ranked
             --> second opinion ----- agrees? ------+

A trouble that goes on is one alert, and what has a cause is not told twice: the imbalance that a leaking cell makes stands with the
leak. Kinds are hypotheses: there are no labelled faults of packs in the field to learn from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import numpy as np

from bms_bridge.anomalies.charts import CONFIRM_DAYS, Charted, charted
from bms_bridge.anomalies.cohorts import CHARTED, Grid, alike, grid_of
from bms_bridge.anomalies.leak import Leak, leaks
from bms_bridge.anomalies.outliers import Opinion, second_opinion
from bms_bridge.anomalies.pack_days import PackDays
from bms_bridge.chemistry import TABLE, Chemistry
from bms_bridge.health.files import Floats


class Kind(StrEnum):
    """What it looks like."""

    INTERNAL_SHORT = "internal_short"
    PLATING = "plating"
    SELF_DISCHARGE = "self_discharge"
    RESISTANCE = "resistance"
    IMBALANCE = "imbalance"


RANKS: Final = {Kind.INTERNAL_SHORT: 4, Kind.PLATING: 3, Kind.SELF_DISCHARGE: 2, Kind.RESISTANCE: 2, Kind.IMBALANCE: 1}
WORDS: Final = {
    Kind.INTERNAL_SHORT: "a cell loses charge by itself: perhaps an internal short",
    Kind.PLATING: "the voltage after a charge falls as if lithium had plated",
    Kind.SELF_DISCHARGE: "the pack loses more charge at rest than others like it",
    Kind.RESISTANCE: "resistance is above that of others of its age",
    Kind.IMBALANCE: "cells lie further apart than in others like it",
}
_KINDS: Final = {
    "spread_v": Kind.IMBALANCE,
    "resistance_ohm": Kind.RESISTANCE,
    "self_discharge": Kind.SELF_DISCHARGE,
    "relaxation_v": Kind.PLATING,
    "stripping_v": Kind.PLATING,
}
UNITS: Final = {"spread_v": "V", "resistance_ohm": "Ω", "self_discharge": "of its charge a day", "relaxation_v": "V", "stripping_v": "V"}
_SAID: Final = {
    "cell_loss": ("the cell loses", 100.0, "% of its charge a day"),
    "spread_v": ("its cells lie apart by", 1000.0, "mV"),
    "resistance_ohm": ("resistance of its mean cell", 1000.0, "mΩ"),
    "self_discharge": ("it loses at rest", 100.0, "% of its charge a day"),
    "relaxation_v": ("the voltage after a charge falls by", 1000.0, "mV"),
    "stripping_v": ("its fall after a charge lies above a smooth one by", 1000.0, "mV"),
}
"""Signal -> what people read of it, its scale, the unit for people."""
SPREAD_STARTS_V: Final = 0.15


@dataclass(frozen=True, slots=True)
class Cause:
    """A signal that caused an alert: its value and what would be usual, in ``unit``; ``sigmas`` on the robust scale."""

    signal: str
    value: float
    usual: float
    unit: str
    sigmas: float

    @property
    def words(self) -> str:
        """For people: ``the cell loses 0.49 % of its charge a day (usual 0, 14 σ)``; without σ where it only stands beside another."""
        what, scale, unit = _SAID.get(self.signal, (self.signal, 1.0, self.unit))
        sigmas = f", {self.sigmas:.0f} σ" if self.sigmas > 0 else ""
        return f"{what} {scale * self.value:.3g} {unit} (usual {scale * self.usual:.3g}{sigmas})"


@dataclass(frozen=True, slots=True)
class Alert:
    """``cell``: -1: the pack. ``since``, ``found``: days since 1970; ``now``: it holds in the newest readings. ``days_left``: until
    the spread of the cells reaches what the safety path derates at; None: not known. ``agrees``: the second opinion; None: it has
    none."""

    pack: str
    kind: Kind
    cell: int
    since: int
    found: int
    now: bool
    cohort: str
    causes: tuple[Cause, ...]
    days_left: float | None = None
    leak: Leak | None = None
    agrees: bool | None = None

    @property
    def sigmas(self) -> float:
        """Of its strongest signal."""
        return max(cause.sigmas for cause in self.causes)

    @property
    def key(self) -> str:
        """The same for the same trouble on every day: pack, kind, cell."""
        return f"{self.pack}/{self.kind}" + (f"/{self.cell + 1}" if self.cell >= 0 else "")


def watch(table: PackDays, *, opinion: bool = True, now: bool = False, grid: Grid | None = None) -> list[Alert]:
    """All alerts of a table, the most urgent first. ``opinion``: ask forest and autoencoder, too (scikit-learn). ``now``: only what holds
    in the newest readings: of 10,000 packs within a minute. ``grid``: of the charts, where the table itself holds the last weeks only."""
    grid = grid_of(table) if grid is None else grid
    found = [_of_leak(leak, table, grid) for leak in leaks(table, now=now)]
    newest: list[Floats] = []
    for name in CHARTED:
        if np.isfinite(grid.values[name]).any():
            chart = charted(grid, name)
            found += _of_chart(chart, grid)
            newest += [chart.level[:, -1].copy(), chart.change[:, -1].copy()]
    found = [alert for alert in _merged(found) if alert.now or not now]
    if opinion and found and newest:
        found = _asked(found, np.stack(newest, axis=1), grid)
    return sorted(found, key=_urgency)


def threshold_v(chemistry: str) -> float:
    """From which difference of cells on the safety path derates a pack of this chemistry."""
    return TABLE[Chemistry(chemistry)].cell_spread_from_v if chemistry in set(Chemistry) else SPREAD_STARTS_V


def _of_leak(leak: Leak, table: PackDays, grid: Grid) -> Alert:
    last = int(np.searchsorted(table.packs, leak.pack, "right")) - 1
    pack = grid.packs.index(leak.pack)
    cause = Cause("cell_loss", leak.share_per_day, 0.0, "of its charge a day", leak.sigmas)
    return Alert(
        pack=leak.pack,
        kind=Kind.INTERNAL_SHORT,
        cell=leak.cell,
        since=leak.since_day,
        found=leak.day,
        now=leak.now,
        cohort="the pack's other cells",
        causes=(cause, *(_spread(grid, pack))),
        days_left=leak.days_to_spread(threshold_v(str(table.labels["chemistry"][last]))),
        leak=leak,
    )


def _spread(grid: Grid, pack: int) -> tuple[Cause, ...]:
    values = grid.values["spread_v"][pack]
    newest = values[np.isfinite(values)]
    return (Cause("spread_v", float(newest[-1]), float(np.median(newest[:14])), "V", 0.0),) if len(newest) else ()


def _of_chart(chart: Charted, grid: Grid) -> list[Alert]:
    out = chart.out() > 0
    found = []
    for pack in np.flatnonzero(out.any(axis=1)):
        days = np.flatnonzero(out[pack])
        first, last = int(days[0]), int(days[-1])
        level, change = float(chart.level[pack, last]), float(chart.change[pack, last])
        cause = Cause(
            chart.signal,
            float(chart.smooth[pack, last]),
            float(chart.usual[pack, last]),
            UNITS[chart.signal],
            float(np.nanmax([level, change])),
        )
        found.append(
            Alert(
                pack=grid.packs[pack],
                kind=_KINDS[chart.signal],
                cell=-1,
                since=grid.day + first - CONFIRM_DAYS + 1,
                found=grid.day + first,
                now=last == out.shape[1] - 1,
                cohort=grid.cohorts[int(grid.groups[pack])],
                causes=(cause,),
            )
        )
    return found


def _merged(alerts: Sequence[Alert]) -> list[Alert]:
    """One for each key; an imbalance or a loss at rest in a pack with a leaking cell becomes one of the leak's causes. What holds now is
    not hidden behind a leak that is over."""
    found: dict[str, Alert] = {}
    for alert in alerts:
        known = found.get(alert.key)
        if known is not None:
            causes = (*known.causes, *alert.causes)
            found[alert.key] = replace(
                known, causes=causes, since=min(known.since, alert.since), found=min(known.found, alert.found), now=known.now or alert.now
            )
        else:
            found[alert.key] = alert
    leaking = [alert for alert in found.values() if alert.kind is Kind.INTERNAL_SHORT]
    shorts = {alert.pack: alert.key for alert in sorted(leaking, key=lambda leak: leak.now)}
    for key, alert in list(found.items()):
        if alert.kind in (Kind.IMBALANCE, Kind.SELF_DISCHARGE) and alert.pack in shorts and found[shorts[alert.pack]].now >= alert.now:
            leak = found[shorts[alert.pack]]
            others = [cause for cause in leak.causes if cause.signal not in {own.signal for own in alert.causes}]
            found[leak.key] = replace(leak, causes=(*others, *alert.causes))
            del found[key]
    return list(found.values())


def _asked(alerts: Sequence[Alert], features: Floats, grid: Grid) -> list[Alert]:
    """The alerts with what forest and autoencoder say of their packs today. ``features``: levels and changes of the newest charts."""
    says: dict[str, bool] = {}
    for group in range(len(grid.cohorts)):
        own = alike(grid, group)
        found: Opinion | None = second_opinion(features[own])
        if found is not None:
            says |= {grid.packs[pack]: bool(found.unlike[row]) for row, pack in enumerate(own)}
    return [replace(alert, agrees=says.get(alert.pack)) for alert in alerts]


def _urgency(alert: Alert) -> tuple[bool, int, float, float, str]:
    """What holds now first, then by kind, by days left, by sigmas."""
    left = alert.days_left if alert.days_left is not None else 1e9
    return not alert.now, -RANKS[alert.kind], left, -alert.sigmas, alert.key
