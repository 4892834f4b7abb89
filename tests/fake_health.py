"""What the fake depot's health room says: packs with a history, one without an estimate, one whose last charge gave none."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from fake_depot import FakeLink, at

from controller.health_view import FleetHealthView, HealthCharge, HealthEstimate, HealthTrend, PackHealthRow, PackHealthView

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


def ohm(days: float, value: float) -> HealthEstimate:
    until = NOW - timedelta(days=days)
    return HealthEstimate(
        "resistance", "current steps", until - timedelta(hours=2), until, value, value * 0.93, value * 1.08, "", {"steps": 3}
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
        "E-103": row("E-103", soh(1.2, 0.912, detail=DETAIL), HealthTrend(-0.021, -0.032, -0.011, ""), life=LIFE),
        "E-109": row("E-109", soh(12, 0.786, 0.03), why=flat),
        "E-118": row("E-118", soh(60, 0.93)),
        "E-127": row(
            "E-127", None, why=missing, nominal_ah=None, cells=None, modules=None, charges=0, resistance=None, chemistry="LFP"
        ),
    }  # fmt: skip


def fleet(note: str = "") -> FleetHealthView:
    return FleetHealthView(NOW, True, note, NOW, list(rows().values()))


def pack(args: Mapping[str, str]) -> PackHealthView | None:
    row = rows().get(args["vehicle_id"])
    if row is None:
        return None
    estimates: list[HealthEstimate] = []
    if row.vehicle_id == "E-103":
        for k in range(14, 0, -1):
            estimates += [ohm(k * 20 + 1.2, 61.0 - 0.4 * k), soh(k * 20 + 1.2, 0.912 + 0.0012 * k + 0.006 * (-1) ** k)]
        estimates.append(
            soh(9, None, reason="it rested less than 30 minutes after this charge (heard for 12): its voltage does not tell its charge yet")
        )
        estimates += [ohm(1.2, 61.0), soh(1.2, 0.912, detail=DETAIL)]
    elif row.soh is not None:
        estimates.append(row.soh)
    charge = HealthCharge(NOW - timedelta(days=1.4), NOW - timedelta(days=1.3), 172.4, ica(3.66))
    old = HealthCharge(NOW - timedelta(days=281), NOW - timedelta(days=280.9), 180.1, ica(3.63))
    return PackHealthView(NOW, row, estimates, [charge] if row.charges else [], old if row.charges else None)


def fill_health(link: FakeLink) -> None:
    """Let the fake core answer for the health room."""
    link.shown[FleetHealthView] = fleet()
    link.made[PackHealthView] = pack
