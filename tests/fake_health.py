"""What the fake depot's health room says: packs with a history, one without an estimate, one whose last charge gave none."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from fake_depot import FakeLink, at

from bms_bridge.second_life.assumptions import Limit, bounds_of, named, shipped, with_number
from controller.ageing_view import AgeingRow, AgeingView
from controller.assumptions_view import AssumptionRow, AssumptionsView
from controller.health_view import (
    ChargePoint,
    ChargeState,
    FleetHealthView,
    HealthCharge,
    HealthEstimate,
    HealthTrend,
    PackAssumption,
    PackBeside,
    PackChoice,
    PackDuty,
    PackEnd,
    PackHealthRow,
    PackHealthView,
    PackOffer,
    PackPart,
    PackPolicy,
    PackProspect,
    PackTwinAsked,
    PackTwinStart,
)

NOW = at(1, 12)
NO_TREND = HealthTrend(None, None, None, "1 estimates over 0 days: 6 over 60 are needed")
DETAIL: dict[str, Any] = {
    "soc_from": 0.21,
    "soc_to": 0.93,
    "charged_ah": 172.4,
    "rested_before_min": 48.0,
    "rested_after_min": 95.0,
    "spread_mv": 11.0,
    "cells_told": 96,
    "weakest_cell": 55,
    "weakest_soh": 0.878,
    "weakest_error": 0.021,
    "modules": [0.914, 0.917, 0.911, 0.92, 0.886, 0.915, 0.913, None],
    "modules_spread_mv": [4.0, 5.0, 3.0, 4.0, 11.0, 4.0, 6.0, None],
}


LIFE = HealthEstimate(
    "life", "taught lives", NOW - timedelta(days=280), NOW - timedelta(days=1.2), 1450.0, 880.0, 2310.0, "",
    {
        "cycles_now": 610.0, "cycles_a_year": 290.0, "worth": "as the taught lives", "to_70": [1600, 2700, 4400],
        "worth_70": "further than any taught life: the curve alone",
    },
)  # fmt: skip


PROSPECT = PackProspect(
    made_at=NOW - timedelta(hours=3),
    health_at=NOW - timedelta(days=1.2),
    why_not="",
    grade="test required",
    because=["what it gives lies between 78.4% and 85.1%, on both sides of 80%"],
    notes=["it was tripped once"],
    completeness=0.7,
    missing=["slope of fade", "age and cycles"],
    beside=[
        PackBeside(
            "resistance", 1.24, 1.15, 1.35, "median of its newest 9 beside 12 like ones of when it was new", "", NOW - timedelta(days=1.2)
        ),
        PackBeside(
            "self-discharge",
            0.004,
            0.0,
            0.014,
            "cell 61 beyond the middle of the others; what balancing took is not told",
            "",
            NOW - timedelta(days=2),
        ),
        PackBeside("slope of fade", None, None, None, "", "it takes six estimates over half a year to tell how fast it fades now"),
    ],
    whole=PackPart("pack", 96, 0.784, 0.818, 0.851, 0.011, "test required", "vehicle again"),
    modules=[
        PackPart("module 1", 12, 0.86, 0.884, 0.91, 0.008, "vehicle again", "vehicle again"),
        PackPart("module 5", 12, 0.784, 0.818, 0.851, 0.019, "test required", "vehicle again"),
    ],
    better_apart=["module 1"],
    currency="INR",
    best="solar-storage",
    residual_paise=(11_240_000, 28_450_000, 46_100_000),
    recycling_paise=(5_100_000, 10_950_000, 17_200_000),
    offers=[
        PackOffer("vehicle-again", "a lighter vehicle", (-900_000, 17_300_000, 31_000_000), (0, 6, 8), (0, 1200, 2900), ""),
        PackOffer(
            "solar-storage", "solar storage: one cycle a day", (11_240_000, 28_450_000, 46_100_000), (7, 12, 12), (640, 2150, 3900), ""
        ),
        PackOffer("telecom-tower", "telecom tower: outages in the heat", (0, 0, 0), (0, 0, 0), (0, 0, 0), "it fades faster than before"),
    ],
    advice="It is worth most to retire it in 3 years (about 78% health), then to solar storage. Have it tested first.",
    choices=[
        PackChoice(0, 0.818, 0, 28_450_000, "solar-storage", 1.0),
        PackChoice(3, 0.781, 30_100_000, 21_000_000, "solar-storage", 0.96),
    ],
    range_ends=(4.0, 6.0, None),
    duties=[
        PackDuty("present", "", 0.0, 0.0, [], "it was heard of for 12 days; 30 are needed to know what it does"),
        PackDuty(
            "stationary",
            "solar storage: one cycle a day, cooled room",
            278.0,
            27.0,
            [
                PackEnd(0.8, (0.0, 0.9, 2.1), (0.0, 250.0, 580.0)),
                PackEnd(0.7, (4.1, 8.8, None), (1140.0, 2400.0, None)),
                PackEnd(0.6, (8.9, 17.2, None), (2400.0, 4500.0, None)),
            ],
        ),
        PackDuty(
            "ups",
            "uninterruptible supply: nearly always full, an hour's outage every day, warm room",
            73.0,
            36.0,
            [
                PackEnd(0.8, (0.0, 0.4, 0.9), (0.0, 29.0, 66.0)),
                PackEnd(0.7, (2.6, 4.3, 8.8), (190.0, 310.0, 640.0)),
                PackEnd(0.6, (6.0, 10.1, None), (440.0, 740.0, None)),
            ],
        ),
    ],
    run_years=20,
    assumptions=[
        PackAssumption("new_pack_per_kwh", 9000, 12_000, 15_000, "INR/kWh", "assumption; as the planner's price of a pack", False),
        PackAssumption("test_per_kwh", 100, 200, 300, "INR/kWh of nominal", "our recycler's offer", True),
        PackAssumption("vehicle_soh", 0.8, 0.8, 0.8, "", "usual band in the literature for reuse in vehicles", False),
    ],
    twin=PackTwinStart(
        "NMC", 80.0, 0.818, 0.02, 6.1, 1540.0, 29.5, 0.62, 0.31, past_told=True, today=PackTwinAsked(27.0, 0.55, 0.31, 290.0)
    ),
)


def hump(volts: float, centre: float) -> float:
    return 900 / (1 + ((volts - centre) / 0.05) ** 2) + 120


def ica(centre: float) -> dict[str, Any]:
    volts = [round(3.4 + 0.008 * k, 3) for k in range(96)]
    return {
        "most_c_rate": 0.41, "hottest_c": 34.2, "coldest_c": None,
        "ica": {
            "cell_v": volts, "ah_per_v": [round(hump(v, centre), 1) for v in volts], "peaks_v": [centre], "c_rate": 0.3,
            "notes": ["0.3 C: above 0.25 C polarisation shifts and blurs the peaks"],
        },
    }  # fmt: skip


def soh(days: float, value: float | None, half: float = 0.028, reason: str = "", detail: dict[str, Any] | None = None) -> HealthEstimate:
    until = NOW - timedelta(days=days)
    low, high = (None, None) if value is None else (value - half, value + half)
    return HealthEstimate("soh", "counted charge", until - timedelta(hours=3), until, value, low, high, reason, detail or {})


def by_model(days: float, value: float, half: float) -> HealthEstimate:
    until = NOW - timedelta(days=days)
    detail = {"charges": 9, "kind": "xjtu", "like": "charges that were taught", "distance": 2.1}
    return HealthEstimate("soh", "taught model", until - timedelta(hours=2), until, value, value - half, value + half, "", detail)


def ohm(days: float, value: float) -> HealthEstimate:
    until = NOW - timedelta(days=days)
    return HealthEstimate(
        "resistance", "current steps", until - timedelta(hours=2), until, value, value * 0.93, value * 1.08, "", {"steps": 3}
    )


CHARGE = ChargeState(
    at=NOW - timedelta(minutes=3), soc=0.634, low=0.601, high=0.667, reason="", bms_soc=0.55, disagree=True,
    note="its own system says 55%, its charge and voltage 60% to 67%: farther apart than both may be wrong "
    "(its system's taken for 5 %-points)",
    curve="its own, from 4 full charges, seen from 12% to 100%", curve_off_mv=41.0, curve_wrong=True,
    curve_note="the shipped curve does not fit this pack: off by 41 mV where it was seen; its own is used instead",
    capacity_ah=221.0, capacity_low_ah=214.0, capacity_high_ah=229.0, cell_mohm=0.31, cell_low_mohm=0.27, cell_high_mohm=0.36,
    offset_a=-0.42, full_at=NOW - timedelta(hours=9), fullest_cell=17, fullest_by=0.012, emptiest_cell=55, emptiest_by=-0.021,
    cells_error=0.008,
)  # fmt: skip


def charge_past() -> list[ChargePoint]:
    """Two days: a night's charge, driving, an afternoon unheard; its own system stays behind since yesterday."""
    found = []
    for k in range(192, 0, -1):
        at = NOW - timedelta(minutes=15 * k)
        if 60 <= k < 84:
            continue
        soc = 0.65 + 0.3 * math.sin(k / 15)
        found.append(ChargePoint(at, round(soc, 4), round(soc - 0.03, 4), round(soc + 0.03, 4), round(soc - (0.01 if k > 96 else 0.09), 4)))
    return found


UNTOLD = ChargeState(
    NOW, None, None, None, "no open-circuit curve is known for NCA cells: add a [[health.curve]] from the maker's data sheet"
)


def rows() -> dict[str, PackHealthRow]:
    def row(vehicle: str, newest: HealthEstimate | None, trend: HealthTrend = NO_TREND, why: str = "", **more: Any) -> PackHealthRow:
        said = {
            "chemistry": "NMC",
            "nominal_ah": 240.0,
            "cells": 96,
            "modules": 8,
            "charges": 41,
            "resistance": ohm(1.2, 61.0),
            "life": None,
        } | more
        return PackHealthRow(vehicle_id=vehicle, pack_id="P1", heard_at=NOW, soh=newest, trend=trend, why_not=why, **said)

    flat = "from 35% to 78% tells too little, as far as its voltages at rest can be believed: charge it from lower, or to full"
    missing = "its capacity when new is not known: enter it in the registry, or nominal_ah in [[health.pack]]"
    return {
        "E-103": row(
            "E-103",
            soh(1.2, 0.912, detail=DETAIL),
            HealthTrend(-0.021, -0.032, -0.011, ""),
            life=LIFE,
            soh_by=[soh(1.2, 0.912, detail=DETAIL), by_model(1.3, 0.895, 0.041)],
            soh_note="By counted charge, the narrower of 2 that agree.",
            grade="test required",
            grade_why=PROSPECT.because[0],
            charge=CHARGE,
        ),
        "E-109": row(
            "E-109",
            soh(12, 0.786, 0.03),
            why=flat,
            soh_by=[soh(12, 0.786, 0.03), by_model(1, 0.874, 0.03)],
            soh_note="They disagree: counted charge says 75.6% to 81.6%; taught model says 84.4% to 90.4%. One of them is wrong.",
            disagree=True,
            grade_why="it comes within minutes of the first estimate of its health",
        ),
        "E-118": row("E-118", soh(60, 0.93), grade="vehicle again", charge=UNTOLD),
        "E-127": row(
            "E-127", None, why=missing, nominal_ah=None, cells=None, modules=None, charges=0, resistance=None, chemistry="LFP",
            grade_why=missing,
        ),
    }  # fmt: skip


def fleet(note: str = "") -> FleetHealthView:
    return FleetHealthView(NOW, True, note, NOW, list(rows().values()))


def pack(args: Mapping[str, str]) -> PackHealthView | None:
    row = rows().get(args["vehicle_id"])
    if row is None or row.pack_id != args["pack_id"]:
        return None
    estimates: list[HealthEstimate] = []
    if row.vehicle_id == "E-103":
        for k in range(14, 0, -1):
            estimates += [ohm(k * 20 + 1.2, 61.0 - 0.4 * k), soh(k * 20 + 1.2, 0.912 + 0.0012 * k + 0.006 * (-1) ** k)]
        estimates.append(
            soh(9, None, reason="it rested less than 30 minutes after this charge (heard for 12): its voltage does not tell its charge yet")
        )
        estimates += [by_model(1.3, 0.895, 0.041), ohm(1.2, 61.0), soh(1.2, 0.912, detail=DETAIL)]
    elif row.soh is not None:
        estimates.append(row.soh)
    charge = HealthCharge(NOW - timedelta(days=1.4), NOW - timedelta(days=1.3), 172.4, ica(3.66))
    old = HealthCharge(NOW - timedelta(days=281), NOW - timedelta(days=280.9), 180.1, ica(3.63))
    said = {"E-103": PROSPECT, "E-127": PackProspect(NOW, None, row.why_not)}.get(row.vehicle_id)
    ways = [
        PackPolicy("5 °C cooler (26 °C)", 1.31, (0.9, 1.6, 2.5)),
        PackPolicy("90% instead of 100% when ready", 1.12, (0.4, 0.6, 1.0)),
    ]
    note = "Beside its days so far (71% full on average, 31 °C), as its fleet ages. Nobody has measured it."
    told = row.life is not None
    return PackHealthView(
        NOW, row, estimates, [charge] if row.charges else [], old if row.charges else None, said, ways if told else [],
        note if told else "", charge_past() if row.charge is CHARGE else [],
    )  # fmt: skip


AGEING = AgeingView(
    at=NOW,
    kept=True,
    priced=True,
    rows=[
        AgeingRow(
            chemistry="LFP", source="table", calendar_counts=1.0, cycle_counts=1.0, calendar=0.71, cycle=0.93,
            calendar_interval=(0.52, 0.9), cycle_interval=(0.61, 1.25), packs=8, estimates=71, found_at=NOW - timedelta(days=5),
            follows=False, decided_by="meera", decided_at=NOW - timedelta(days=4), reason="the curve at rest was of other cells",
            looked_at=NOW - timedelta(days=5),
        ),
        AgeingRow(
            chemistry="LTO", source="table", calendar_counts=1.0, cycle_counts=1.0, looked_at=NOW - timedelta(hours=5),
            why_none="how LTO cells age is not in the table that plans count with (it knows LFP, NMC)",
        ),
        AgeingRow(
            chemistry="NMC", source="fleet", calendar_counts=1.82, cycle_counts=1.1, calendar=1.82, cycle=1.1,
            calendar_interval=(1.57, 2.07), cycle_interval=(0.74, 1.46), packs=23, estimates=412, found_at=NOW - timedelta(days=5),
            looked_at=NOW - timedelta(days=5),
        ),
    ],
)  # fmt: skip


def assumptions() -> AssumptionsView:
    """As shipped, one of them changed by a person."""
    given = with_number(shipped(), "numbers.test_per_kwh", 100, 180, 260, "offer of Pune Recycling")
    rows = []
    for name, one in named(given).items():
        limit = isinstance(one, Limit)
        low, mid, high = (one.value,) * 3 if isinstance(one, Limit) else (one.low, one.mid, one.high)
        least, most = bounds_of(name)
        more: dict[str, Any] = {}
        if name == "numbers.test_per_kwh":
            more = {"before": (150, 300, 600), "changed_by": "meera", "changed_at": NOW, "reason": "they tested ten packs"}
        words = name.partition(".")[2].replace("_", " ").replace(".", ": ")
        rows.append(
            AssumptionRow(
                name=name, words=words, low=low, mid=mid, high=high, unit="" if isinstance(one, Limit) else one.unit, source=one.source,
                limit=limit, origin="person" if more else "shipped", least=least, most=most, **more,
            )
        )  # fmt: skip
    return AssumptionsView(at=NOW, currency=given.currency, rows=rows)


def fill_health(link: FakeLink) -> None:
    """Let the fake core answer for the health room."""
    link.shown[AgeingView] = AGEING
    link.shown[FleetHealthView] = fleet()
    link.shown[AssumptionsView] = assumptions()
    link.made[PackHealthView] = pack
