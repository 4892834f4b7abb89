"""Early work against risk: what looking at a pack now costs, and what waiting until its next service costs. Pure.

    Alert + Assumptions + what was found here --> Advice (now, or at the next service; both costs in paise)

    now      = early work
    waiting  = chance of the event before the service × cost of the event
             + the rest × chance that the trouble is real × work at the service

Every number is an assumption that can be edited (a TOML file of the same names); none was measured, for there are no field data of
pack faults. How probable it is that a trouble is real follows what work orders of this depot found (:mod:`.outcomes`). Where days
until the event are known, the event comes before the service by a lognormal spread of ``days_spread``.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from datetime import date
from pathlib import Path
from typing import Final

from bms_bridge.anomalies import AssumptionRefused
from bms_bridge.anomalies.alerts import Alert, Kind
from bms_bridge.anomalies.outcomes import LOOKS, REAL, Belief, Finding, believed
from bms_bridge.anomalies.pack_days import day_text
from bms_bridge.in_short import in_short
from depot.money_text import rupees

MOST_PAISE: Final = 10**13


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """``early_paise``: a workshop looks at the pack before its service; ``service_paise``: the same work while it is there anyway;
    ``event_paise``: the pack fails on the road or in the depot (towing, days out of service, its replacement). ``service_in_d``: days until
    the next service. ``real``: how probable it is that an alert of a kind is real, before anybody looked; ``real_looks``: so many looks
    this weighs as much as. ``yearly``: how probable the event is within a
    year, if it is real and no days left are known. ``days_spread``: of the estimate of days left (logarithmic)."""

    early_paise: int = 1_500_000
    service_paise: int = 500_000
    event_paise: int = 60_000_000
    service_in_d: float = 60.0
    days_spread: float = 0.5
    real: dict[str, float] = field(default_factory=lambda: dict(REAL))
    real_looks: float = LOOKS
    yearly: dict[str, float] = field(
        default_factory=lambda: {"internal_short": 0.3, "plating": 0.1, "self_discharge": 0.1, "resistance": 0.05, "imbalance": 0.05}
    )

    def __post_init__(self) -> None:
        for name in ("early_paise", "service_paise", "event_paise"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_PAISE:
                raise AssumptionRefused(f"{name} must be a whole number of paise, 0 or more, not {value!r}")
        for name, least, most in (("service_in_d", 0.0, 3650.0), ("days_spread", 0.05, 3.0), ("real_looks", 0.1, 10_000.0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
                raise AssumptionRefused(f"{name} must lie within {least:g} and {most:g}, not at {value!r}")
        for name in ("real", "yearly"):
            table = getattr(self, name)
            wrong = sorted(set(table) ^ {kind.value for kind in Kind}) if isinstance(table, dict) else ["no table"]
            if wrong:
                raise AssumptionRefused(f"[{name}] must have a value for each of {', '.join(Kind)}; look at {', '.join(wrong)}")
            for kind, value in table.items():
                if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
                    raise AssumptionRefused(f"{name}.{kind} must be a probability within 0 and 1, not {value!r}")


@dataclass(frozen=True, slots=True)
class Advice:
    """``due``: the day by which to work (days since 1970). ``chance``: of the event before the next service. ``belief``: how probable it is
    that the trouble is real."""

    act_now: bool
    due: int
    chance: float
    now_paise: int
    waiting_paise: int
    belief: Belief

    @property
    def words(self) -> str:
        """Two sentences: what to do, and what alerts of this kind were worth."""
        costs = f"now {rupees(self.now_paise, whole=True)}, waiting {rupees(self.waiting_paise, whole=True)} in the mean"
        when = f"work on it by {day_text(self.due)}" if self.act_now else f"look at it at the next service, {day_text(self.due)}"
        return f"{when} ({costs}; {100 * self.chance:.0f} % that it fails before the service). Of such alerts: {self.belief.words}."


def advise(alert: Alert, assumptions: Assumptions, today: int, found: Iterable[Finding] = ()) -> Advice:
    """What costs less in the mean. ``today``: days since 1970; the estimate of days left is of the newest reading. ``found``: what people
    found who looked after alerts of this depot."""
    a = assumptions
    belief = believed(found, a.real, looks=a.real_looks)[alert.kind]
    real = belief.real
    if alert.days_left is not None and alert.now:
        within = _before(a.service_in_d, alert.days_left, a.days_spread)
    else:
        within = 1 - (1 - a.yearly[alert.kind]) ** (a.service_in_d / 365)
    chance = real * within
    waiting = chance * a.event_paise + (real - chance) * a.service_paise
    act_now = a.early_paise < waiting
    left = alert.days_left if alert.days_left is not None and alert.now else a.service_in_d
    due = today + int(max(0.0, min(0.5 * left if act_now else a.service_in_d, a.service_in_d)))
    return Advice(act_now, due, chance, a.early_paise, round(waiting), belief)


def _before(days: float, median_d: float, spread: float) -> float:
    """How probable it is that what takes ``median_d`` in the middle, lognormal, takes no longer than ``days``."""
    if median_d <= 0:
        return 1.0
    return 0.5 * (1 + math.erf(math.log(max(days, 1e-9) / median_d) / (spread * math.sqrt(2))))


def read_assumptions(path: Path) -> Assumptions:
    """Assumptions of a TOML file; what it does not name stays as it is here. AssumptionRefused: not readable, unknown, or impossible."""
    try:
        read = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise AssumptionRefused(f"{path}: not readable as TOML ({in_short(error)})") from error
    known = {one.name for one in fields(Assumptions)}
    unknown = sorted(set(read) - known)
    if unknown:
        raise AssumptionRefused(f"{path}: there is no assumption {unknown[0]!r}; there are {', '.join(sorted(known))}")
    usual = Assumptions()
    for name in ("real", "yearly"):
        if isinstance(read.get(name), dict):
            read[name] = getattr(usual, name) | read[name]
    return replace(usual, **read)


def today_of(day: date) -> int:
    """Days since 1970."""
    return (day - date(1970, 1, 1)).days
