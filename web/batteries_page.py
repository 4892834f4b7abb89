"""*Batteries*: health of the fleet's packs, and one pack's page.

GET /batteries                     the table
GET /batteries/{vehicle}/{pack}    one: health and resistance over time, its cells, charges, why nothing was estimated
"""

from __future__ import annotations

import statistics
from collections import Counter
from datetime import datetime
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from controller.anomalies_view import PackAlert, PackAlertsView
from controller.health_view import FleetHealthView, HealthCharge, HealthEstimate, HealthTrend, PackHealthRow, PackHealthView, PackPolicy
from web import text
from web.ageing_part import ageing_part, ageing_shown
from web.battery_charge import charge_context
from web.battery_prospect import TEST_REQUIRED, prospect_context
from web.battery_table import LOOKS, ORDERS, TESTED, Wanted
from web.charge_plot import charge_plot
from web.context import Web
from web.health_api import health_shown, off, pack_health
from web.health_plot import health_plot, ica_plot
from web.pack_page import pack_url
from web.packs_api import PackId, VehicleId
from web.problems import Problem
from web.reference_api import reference_test
from web.reference_part import reference_part

FROM, TO = 0.6, 1.05
"""The ends of the bars of health."""

OLD_DAYS = 45
REFRESH_S = 5
"""Health changes with charges, not with seconds."""

_SHOWN = 30


def battery_url(vehicle_id: str, pack_id: str) -> str:
    """The path of a pack's health."""
    return f"/batteries/{quote(vehicle_id, safe='')}/{quote(pack_id, safe='')}"


def batteries_screens(web: Web) -> APIRouter:
    """Routes of the pages."""
    router = APIRouter(include_in_schema=False)

    @router.get("/batteries")
    async def fleet(request: Request) -> Response:
        view = web.view()
        found = await health_shown(web, FleetHealthView)
        alerts = await health_shown(web, PackAlertsView) if found is not None else None
        ageing = ageing_part(await ageing_shown(web), text.DepotTime(view.timezone, view.at)) if found is not None else None
        context = fleet_context(found, alerts, off(view.clock_speed), Wanted.of(request.query_params))
        return web.pages.render(request, "batteries.html", view=view, screen="batteries", ageing=ageing, **context)

    @router.get("/batteries/{vehicle}/{pack}")
    async def one(request: Request, vehicle: VehicleId, pack: PackId) -> Response:
        view = web.view()
        if await health_shown(web, FleetHealthView) is None:
            raise Problem("not_found", off(view.clock_speed))
        found = await pack_health(web, vehicle, pack)
        clock = text.DepotTime(view.timezone, view.at)
        alerts = await health_shown(web, PackAlertsView)
        test = reference_part(await reference_test(web, vehicle), clock)
        return web.pages.render(request, "battery.html", view=view, screen="batteries", test=test, **pack_context(found, alerts, clock))

    return router


def fleet_context(found: FleetHealthView | None, alerts: PackAlertsView | None, why_off: str, wanted: Wanted) -> dict[str, Any]:
    """Everything that the table needs; ``found`` None: this depot estimates no health, for ``why_off``."""
    if found is None:
        return {"kept": False, "note": why_off, "rows": [], "summary": "", "wanted": wanted, "total": 0}
    count = _holding(alerts)
    rows = [_row(row, found.at, count[_name(row)]) for row in wanted.sorted(found.packs, count) if wanted.holds(row, count[_name(row)])]
    values = [row.soh.value for row in found.packs if row.soh is not None and row.soh.value is not None]
    summary = f"{len(found.packs)} packs" if len(found.packs) != 1 else "1 pack"
    if values:
        summary += f" · median health {text.number(100 * statistics.median(values), 1)} %"
    if without := len(found.packs) - len(values):
        summary += f" · {without} without an estimate"
    return {
        "kept": True,
        "note": found.note,
        "curves": found.curves,
        "rows": rows,
        "summary": summary,
        "wanted": wanted,
        "total": len(found.packs),
        "looks": LOOKS,
        "orders": ORDERS,
        "every": REFRESH_S,
    }


def _holding(alerts: PackAlertsView | None) -> Counter[str]:
    """How many anomalies hold now, by VEHICLE/PACK."""
    return Counter(one.pack for one in alerts.alerts if one.holds_now) if alerts is not None else Counter()


def _name(row: PackHealthRow) -> str:
    return f"{row.vehicle_id}/{row.pack_id}"


def _row(row: PackHealthRow, at: datetime, alerts: int) -> dict[str, Any]:
    soh = row.soh
    old = soh is not None and (at - soh.until).days >= OLD_DAYS
    weak = soh is not None and soh.low is not None and soh.low < TESTED
    st = ("st lost", "info", "no estimate") if soh is None else ("st warn", "clock", "old") if old else ("st", "check", "estimated")
    if soh is not None and soh.high is not None and soh.high < TESTED:
        st = ("st warn", "risk", f"below {TESTED:.0%}")
    elif weak and not old:
        st = ("st warn", "risk", f"may be below {TESTED:.0%}")
    if row.disagree:
        st = ("st warn", "risk", "estimates disagree")
    if alerts:
        st = ("st alarm", "alarms", "1 anomaly" if alerts == 1 else f"{alerts} anomalies")
    return {
        "st": st,
        "vehicle": row.vehicle_id,
        "pack": row.pack_id,
        "href": battery_url(row.vehicle_id, row.pack_id),
        "kind": row.chemistry + (f" {text.number(row.nominal_ah)} Ah" if row.nominal_ah is not None else ""),
        "health": text.ABSENT if soh is None or soh.value is None else text.number(100 * soh.value, 1),
        "band": _band(soh),
        "meter": _meter(soh),
        "trend": _trend(row.trend),
        "trend_why": row.trend.reason,
        "resistance": text.ABSENT if row.resistance is None or row.resistance.value is None else _milli(row.resistance.value),
        "left": _left(row.life),
        "left_why": "" if row.life is None else row.life.reason,
        "grade": row.grade or "not yet",
        "grade_st": ("st warn", "risk") if row.grade == TEST_REQUIRED else ("st", "check") if row.grade else None,
        "grade_why": f"{row.grade_why[:1].upper()}{row.grade_why[1:]}." if row.grade_why else "",
        "age": text.ABSENT if soh is None else _ago((at - soh.until).total_seconds()),
        "charges": row.charges,
        "why": row.why_not,
    }


def _left(life: HealthEstimate | None) -> str:
    """P10 to P90 until 80 %: years where its cycles a year are known, else cycles."""
    if life is None or life.low is None or life.high is None:
        return text.ABSENT
    a_year = life.detail.get("cycles_a_year")
    if a_year:
        return f"{text.number(life.low / a_year, 1)} to {text.number(life.high / a_year, 1)} years"
    return f"{text.number(life.low)} to {text.number(life.high)} cycles"


def _life(life: HealthEstimate | None) -> dict[str, Any] | None:
    """The card of remaining life; None where no model of lives is set or nothing is known."""
    if life is None:
        return None
    if life.value is None:
        return {"why": life.reason, "facts": [], "worth": ""}
    detail, a_year = life.detail, life.detail.get("cycles_a_year")
    seventy = detail["to_70"]
    facts = [
        ("Until 80 %, P10 to P90", _left(life), ""),
        ("P50", text.number(life.value / a_year, 1) if a_year else text.number(life.value), " years" if a_year else " cycles"),
        ("Until 70 %, P10 to P90", f"{text.number(seventy[0])} to {text.number(seventy[2])}", " cycles"),
        ("Full cycles so far", text.number(detail["cycles_now"]), ""),
    ]
    if a_year:
        facts.append(("Full cycles a year", text.number(a_year), ""))
    return {"why": "", "facts": facts, "worth": f"Until 80 %: {detail['worth']}. Until 70 %: {detail['worth_70']}."}


def _way(one: PackPolicy) -> tuple[str, str, str]:
    """What is done otherwise, years more (P50), and P10 to P90."""
    low, mid, high = (text.number(years, 1) for years in one.years_more)
    return one.words, f"+{mid}", f"+{low} to +{high}"


def _when(at: datetime, clock: text.DepotTime) -> str:
    return f"{clock.local(at):%-d %b %Y %H:%M}"


def _ago(seconds: float) -> str:
    return f"{seconds / 86_400:.0f} days ago" if seconds >= 2 * 86_400 else f"{text.age(seconds)} ago"


def _milli(value: float) -> str:
    return text.number(value, 0 if value >= 100 else 1)


def _band(soh: HealthEstimate | None) -> str:
    if soh is None or soh.low is None or soh.high is None:
        return text.ABSENT
    return f"{text.number(100 * soh.low, 1)} to {text.number(100 * soh.high, 1)}"


def _meter(soh: HealthEstimate | None) -> dict[str, str] | None:
    """The bar: where the interval lies, and the estimate in it."""
    if soh is None or soh.value is None or soh.low is None or soh.high is None:
        return None

    def at(value: float) -> float:
        return 100 * min(1.0, max(0.0, (value - FROM) / (TO - FROM)))

    return {"x": f"{at(soh.low):.1f}%", "width": f"{max(1.0, at(soh.high) - at(soh.low)):.1f}%", "mid": f"{at(soh.value):.1f}%"}


def _trend(trend: HealthTrend) -> str:
    if trend.per_year is None:
        return text.ABSENT
    sign = text.MINUS if trend.per_year < 0 else "+"
    return f"{sign}{text.number(abs(100 * trend.per_year), 1)}"


def pack_context(found: PackHealthView, alerts: PackAlertsView | None, clock: text.DepotTime) -> dict[str, Any]:
    """Everything that a pack's page needs."""
    row = found.row
    soh = [one for one in found.estimates if one.quantity == "soh" and (row.soh is None or one.method == row.soh.method)]
    ohms = [one for one in found.estimates if one.quantity == "resistance"]
    shown = _row(row, found.at, _holding(alerts)[_name(row)])
    detail = _by_cell(row)
    return {
        "row": shown,
        "name": row.vehicle_id,
        "pack": row.pack_id,
        "live_href": pack_url(row.vehicle_id, row.pack_id),
        "sub": _about(row),
        "health_chart": health_plot(soh, clock=clock, scale=100, unit="%", what="State of health", mark=(80.0, "80 %")),
        "ohm_chart": health_plot(ohms, clock=clock, scale=1, unit="mΩ", what="Resistance of the pack"),
        "facts": _facts(row, clock),
        "methods": _methods(row, clock),
        "note": row.soh_note,
        "disagree": row.disagree,
        "c": charge_context(row.charge, clock),
        "charge_chart": charge_plot(found.charge_past, clock),
        "o": prospect_context(found.prospect, clock),
        "trend": _trend_words(row.trend),
        "modules": _modules(detail),
        "weakest": _weakest(detail),
        "alerts": [_alert(one) for one in (alerts.alerts if alerts is not None else ()) if one.pack == _name(row)],
        "watched": _watched(alerts, clock),
        "life": _life(row.life),
        "ways": [_way(one) for one in found.otherwise],
        "ways_note": f"{found.otherwise_note[:1].upper()}{found.otherwise_note[1:]}",
        "ica_chart": ica_plot([one.detail for one in _curves(found)]),
        "ica_of": _ica_of(found, clock),
        "ica_note": _ica_note(found),
        "passport_href": f"{pack_url(row.vehicle_id, row.pack_id)}/passport",
        "estimates": [_estimate(one, clock) for one in reversed(found.estimates[-_SHOWN:])],
        "charges": [_charge(one, clock) for one in found.charges],
    }


def _curves(found: PackHealthView) -> list[HealthCharge]:
    """The newest charge with a curve, and the oldest one unless it is the same."""
    newest = next((one for one in found.charges if "ica" in one.detail), None)
    if newest is None:
        return []
    return [newest, *([found.oldest] if found.oldest is not None and found.oldest != newest else [])]


def _ica_of(found: PackHealthView, clock: text.DepotTime) -> str:
    curves = _curves(found)
    return (
        "last charge" if curves and curves[0] == found.charges[0] else f"charge of {_when(curves[0].started_at, clock)}" if curves else ""
    )


def _ica_note(found: PackHealthView) -> str:
    if not found.charges:
        return "It comes with its first whole charge."
    curves, last = _curves(found), found.charges[0]
    none = (
        ""
        if "ica" in last.detail
        else f"The last charge gave none: {last.detail.get('no_ica', 'it was judged before such curves were kept')}."
    )
    if not curves:
        return none
    said = curves[0].detail
    at = ", ".join(text.number(volts, 3) for volts in said["ica"]["peaks_v"])
    words = f"Peaks at {at} V." if at else "No peak stands out."
    return " ".join([words, *(f"{note[:1].upper()}{note[1:]}." for note in said["ica"]["notes"]), *([none] if none else [])])


def _alert(one: PackAlert) -> dict[str, Any]:
    return {
        "st": ("st warn", "risk", "holds now") if one.holds_now else ("st", "clock", "over"),
        "what": one.kind.replace("_", " ") + (f", cell {one.cell}" if one.cell is not None else ""),
        "since": one.since,
        "why": one.why,
        "advice": one.advice if one.holds_now else "",
    }


def _watched(found: PackAlertsView | None, clock: text.DepotTime) -> str:
    if found is None or found.looked_at is None:
        return (found.note if found is not None else "") or "Nobody has looked yet; it is done once a day."
    return f"Looked for at {_when(found.looked_at, clock)}, once a day."


def _about(row: PackHealthRow) -> str:
    parts = [
        row.chemistry,
        f"{text.number(row.nominal_ah, 0)} Ah when new" if row.nominal_ah is not None else "",
        f"{row.cells} cells in series" if row.cells is not None else "",
        f"{row.modules} modules" if row.modules is not None and row.modules > 1 else "",
        f"{row.charges} charges seen" if row.charges != 1 else "1 charge seen",
    ]
    return " · ".join(part for part in parts if part)


def _facts(row: PackHealthRow, clock: text.DepotTime) -> list[tuple[str, str, str]]:
    """(what, value, unit) of the newest estimate."""
    soh = row.soh
    if soh is None or soh.value is None:
        return []
    detail = soh.detail
    found = [("State of health", text.number(100 * soh.value, 1), " %"), ("Between", _band(soh), " %")]
    if row.nominal_ah is not None:
        found.append(("Capacity now", text.number(row.nominal_ah * soh.value, 1), " Ah"))
    found.append(("By", soh.method, ""))
    if "like" in detail:
        found.append(("Median of its last", text.number(detail["charges"]), " charges"))
        found.append(("Like", detail["like"], ""))
    if "soc_from" in detail:
        found.append(("Charged from", f"{text.percent(detail['soc_from'])} to {text.percent(detail['soc_to'])}", " %"))
        found.append(("That took", text.number(detail["charged_ah"], 1), " Ah"))
        found.append(("Rested before, after", f"{detail['rested_before_min']:.0f}, {detail['rested_after_min']:.0f}", " min"))
    if "spread_mv" in detail:
        found.append(("Cells apart at rest", text.number(detail["spread_mv"], 1), " mV"))
    found.append(("Estimated from the charge of", _when(soh.until, clock), ""))
    return found


def _by_cell(row: PackHealthRow) -> dict[str, Any]:
    """The details of the newest estimate that knows cells or modules: counted charge's, whichever counts."""
    known = [one for one in (row.soh, *row.soh_by) if one is not None and ("cells_told" in one.detail or "modules" in one.detail)]
    return known[0].detail if known else {}


def _methods(row: PackHealthRow, clock: text.DepotTime) -> list[dict[str, Any]]:
    """The newest estimate of each method, where there are several."""
    if len(row.soh_by) < 2:
        return []
    return [
        {
            "what": f"{one.method[:1].upper()}{one.method[1:]}",
            "value": _band(one),
            "when": _when(one.until, clock),
            "counts": row.soh is not None and one.method == row.soh.method,
        }
        for one in row.soh_by
    ]


def _weakest(detail: dict[str, Any]) -> str:
    told = ""
    if odd := detail.get("odd_cells"):
        named = f"Cell {odd[0]} lies" if len(odd) == 1 else f"Cells {', '.join(map(str, odd))} lie"
        told = f"{named} 0.3 V or more from the others at rest: dead, or a broken wire. The estimate is of the others. "
    if "weakest_cell" not in detail:
        return told.strip()
    value, error = 100 * detail["weakest_soh"], 100 * detail["weakest_error"]
    weakest = (
        f"Weakest of {detail['cells_told']} cells: no. {detail['weakest_cell']}, {text.number(value, 1)} % (±{text.number(error, 1)})."
    )
    return told + weakest


def _modules(detail: dict[str, Any]) -> dict[str, Any] | None:
    """The map of modules: one field each, twelve in a row; None where the pack is one."""
    values: list[float | None] = detail.get("modules", [])
    if not values:
        return None
    told = [value for value in values if value is not None]
    low, high = (min(told), max(told)) if told else (0.0, 0.0)
    columns = min(12, len(values))
    width = 100.0 / columns
    spreads: list[float | None] = detail.get("modules_spread_mv", [])
    fields = []
    for number, value in enumerate(values):
        tone = 0.4 - 0.28 * ((value - low) / (high - low) if value is not None and high > low else 1.0)
        fields.append(
            {
                "css": "f-lost" if value is None else "f-t2",
                "tone": f"{tone:.2f}",
                "x": f"{number % columns * width:.3f}",
                "mid": f"{(number % columns + 0.5) * width - 0.2:.3f}",
                "y": number // columns * 32,
                "text": text.ABSENT if value is None else text.number(100 * value, 0 if columns > 6 else 1),
            }
        )
    worst = max((spread for spread in spreads if spread is not None), default=None)
    return {
        "fields": fields,
        "width": f"{width - 0.4:.3f}",
        "height": -(-len(values) // columns) * 32 - 2,
        "words": f"health of {len(told)} modules, {100 * low:.1f} to {100 * high:.1f} %" if told else "no module has an estimate",
        "weakest": told and values.index(low) + 1,
        "low": text.number(100 * low, 1),
        "high": text.number(100 * high, 1),
        "spread": "" if worst is None else text.number(worst, 1),
    }


def _trend_words(trend: HealthTrend) -> str:
    if trend.per_year is None or trend.low is None or trend.high is None:
        return f"No trend yet: {trend.reason}."
    low, high = 100 * trend.low, 100 * trend.high
    return f"It changed by {_trend(trend)} %-points a year so far ({_signed(low)} to {_signed(high)}). What comes may be faster."


def _signed(value: float) -> str:
    return f"{text.MINUS if value < 0 else '+'}{text.number(abs(value), 1)}"


def _estimate(one: HealthEstimate, clock: text.DepotTime) -> dict[str, str]:
    scale, unit = {"soh": (100.0, " %"), "resistance": (1.0, " mΩ")}.get(one.quantity, (1.0, " cycles"))
    value = text.ABSENT if one.value is None else text.number(scale * one.value, 1)
    band = text.ABSENT
    if one.low is not None and one.high is not None:
        band = f"{text.number(scale * one.low, 1)} to {text.number(scale * one.high, 1)}"
    return {
        "at": _when(one.until, clock),
        "what": {"soh": "health", "life": "life to 80 %"}.get(one.quantity, one.quantity),
        "method": one.method,
        "value": value,
        "unit": unit if one.value is not None else "",
        "band": band,
        "reason": one.reason,
    }


def _charge(one: HealthCharge, clock: text.DepotTime) -> dict[str, str]:
    hottest, rate = one.detail.get("hottest_c"), one.detail.get("most_c_rate")
    return {
        "at": _when(one.started_at, clock),
        "lasted": text.age((one.ended_at - one.started_at).total_seconds()),
        "ah": text.number(one.charged_ah, 1),
        "rate": text.ABSENT if rate is None else text.number(rate, 2),
        "hottest": text.ABSENT if hottest is None else text.number(hottest, 1),
    }
