"""What people and machines read of what a pack is still good for: grade, value, advice, years ahead. Plain data."""

from __future__ import annotations

from datetime import datetime

import msgspec

Three = tuple[float, float, float]
Reached = tuple[float | None, float | None, float | None]
Paise = tuple[int, int, int]


class PackPart(msgspec.Struct, frozen=True):
    """A module, or the pack: what it gives (share of nominal; P5, P50, P95), its grade (or ``test required``) and the likeliest band."""

    name: str
    cells: int
    low: float
    soh: float
    high: float
    spread: float
    grade: str
    likeliest: str


class PackOffer(msgspec.Struct, frozen=True):
    """One way to go on. P10, P50, P90 of its value for the whole pack (paise, hundredths of the currency), of years of use, of kg CO2e
    saved beside recycling now. ``why_not``: "" where it fits; the numbers mean nothing else."""

    name: str
    text: str
    value_paise: Paise
    years: Three
    carbon_kg: Three
    why_not: str


class PackChoice(msgspec.Struct, frozen=True):
    """Leaving its vehicle after ``year`` years: health then (P50), worth of both uses as of today in paise (P50), the best use after it,
    share of cases in which its range still holds."""

    year: int
    soh: float
    in_vehicle_paise: int
    outside_paise: int
    outside: str
    served: float


class PackEnd(msgspec.Struct, frozen=True):
    """Years and full cycles from now to ``health`` (share of nominal); P10, P50, P90; null: not within the run."""

    health: float
    years: Reached
    full_cycles: Reached


class PackDuty(msgspec.Struct, frozen=True):
    """The pack under one duty in the twin. ``full_cycles_a_year``: in the first year; ``hottest_c``: the warmest that it gets.
    ``why_not``: why it was not run, "" where it was."""

    name: str
    text: str
    full_cycles_a_year: float
    hottest_c: float
    ends: list[PackEnd]
    why_not: str = ""


class PackTwinAsked(msgspec.Struct, frozen=True):
    """A duty by its numbers: °C around the pack, share of nominal that a round takes, capacities an hour of charging, full cycles a year,
    state of charge up to which it is charged; ``until``: the health that is asked for."""

    ambient_c: float
    depth: float
    c_rate: float
    cycles_a_year: float
    top_soc: float = 0.95
    until: float = 0.7


class PackTwinStart(msgspec.Struct, frozen=True):
    """What the twin begins with: what is known of the pack (null: not known), health with its standard deviation. ``today``: its present
    duty by its numbers; null: not known."""

    chemistry: str
    capacity_kwh: float
    soh: float
    soh_sd: float
    age_years: float | None
    full_cycles: float | None
    past_c: float
    past_soc: float
    past_c_rate: float
    past_told: bool
    today: PackTwinAsked | None = None


class PackTwinRun(msgspec.Struct, frozen=True):
    """A run of the twin. ``health``: P10, P50, P90 at the ends of years, now first; ``end``: years and full cycles to the health that was
    asked for; ``unserved``: share of what is asked that it cannot give, now and at the end. ``warnings``: how far it can be trusted.
    ``why_not``: why it was not run, "" where it was; the numbers mean nothing then."""

    asked: PackTwinAsked
    years: int
    why_not: str = ""
    health: list[Three] = []
    end: PackEnd | None = None
    full_cycles_a_year: float = 0.0
    hottest_c: float = 0.0
    unserved: tuple[float, float] = (0.0, 0.0)
    warnings: list[str] = []


class PackAssumption(msgspec.Struct, frozen=True):
    """A number of the value that nobody measured: a triangle, or a cut-off (all three the same). ``own``: from the depot's own file."""

    name: str
    low: float
    mid: float
    high: float
    unit: str
    source: str
    own: bool


class PackBeside(msgspec.Struct, frozen=True):
    """What the grade asks beside health. ``name``: ``resistance`` (times a new one's), ``self-discharge`` (share lost a month),
    ``slope of fade`` (times that before); ``low``, ``high``: 90 %; ``how``: it was made; ``value`` null: not known, for ``why_not``;
    ``at``: of what it is."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    how: str
    why_not: str
    at: datetime | None = None


class PackProspect(msgspec.Struct, frozen=True):
    """Made at ``made_at`` of the health of ``health_at``. ``grade``: a band, or ``test required``; ``because``: why that, in sentences;
    ``notes``: what else matters. ``completeness``: 0 to 1 of the data; ``missing``: kinds of data that are not there. ``whole`` null: no
    health is known. ``residual_paise``: P10, P50, P90 of the best use. ``range_ends``: years; null: unknown, or beyond ten years.
    ``why_not``: why there is no prospect at all, "" where there is one. ``beside``: what the grade asks beside health.
    ``twin``: what a run of the twin begins with; null: nothing is known of how such cells age."""

    made_at: datetime
    health_at: datetime | None
    why_not: str
    grade: str = ""
    because: list[str] = []
    notes: list[str] = []
    completeness: float = 0.0
    missing: list[str] = []
    whole: PackPart | None = None
    modules: list[PackPart] = []
    better_apart: list[str] = []
    currency: str = ""
    best: str = ""
    residual_paise: Paise | None = None
    recycling_paise: Paise | None = None
    no_value: str = ""
    offers: list[PackOffer] = []
    advice: str = ""
    choices: list[PackChoice] = []
    range_ends: Reached | None = None
    duties: list[PackDuty] = []
    run_years: int = 0
    assumptions: list[PackAssumption] = []
    beside: list[PackBeside] = []
    twin: PackTwinStart | None = None
