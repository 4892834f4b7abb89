"""*Plan*: what is planned against what was measured, who charges when and for how much, who is short.

GET /plan    ?by=vehicle|feeder  ?back=1-24 hours before now  ?vehicle=  the layer that is looked at
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from controller.plan_answers_view import AnswerState
from controller.plan_reasons_view import ExplanationView
from controller.plan_view import PlanHead, PlanRow, PlanView
from web import text
from web.context import Web
from web.plan_ask_page import plan_tabs
from web.plan_chart import slot_at, stack_chart, swatches
from web.plan_why import SLOT_FORM, columns, short_rows, slot_choices, slot_time, why_context, worth_chart
from web.problems import Problem

ROWS_SHOWN = 120
BACKS = (3, 12, 24)
_POLICIES = {"cheapest": "cheapest", "readiness": "ready first", "battery-life": "battery life"}
_SHORT_NAMED = 3


def plan_screens(web: Web) -> APIRouter:
    """The page's route."""
    router = APIRouter(include_in_schema=False)

    @router.get("/plan")
    async def page(request: Request, by: str = "vehicle", back: str = "12", vehicle: str = "", slot: str = "") -> Response:
        by = by if by in ("vehicle", "feeder") else "vehicle"
        back_h = int(back) if back.isdecimal() and len(back) < 3 and int(back) in BACKS else 12
        found = await plan_of(web, by=by, back_h=str(back_h), rows=str(ROWS_SHOWN))
        at, vehicle = slot_time(slot, found.timezone), vehicle[:80]
        why = await web.link.show(ExplanationView, vehicle=vehicle, slot="" if at is None else at.isoformat())
        context = plan_context(found, why, back_h=back_h, vehicle=vehicle, at=at)
        return web.pages.render(request, "plan.html", view=web.view(), screen="plan", **context)

    return router


async def plan_of(web: Web, **args: str) -> PlanView:
    """The core's picture; raises :class:`Problem` where it shows none."""
    found = await web.link.show(PlanView, **args)
    if found is None:
        raise Problem("core_unreachable", "The controller's core shows no plan yet.", headers={"retry-after": "3"})
    return found


def plan_context(
    view: PlanView, why: ExplanationView | None, *, back_h: int, vehicle: str = "", at: datetime | None = None
) -> dict[str, Any]:
    """Everything that the template needs. ``at``: in the slot that is looked into."""
    clock = text.DepotTime(view.timezone, view.at)
    slot = None if at is None else clock.local(at).strftime(SLOT_FORM)
    number = None if at is None else int((at - view.slots.start).total_seconds() // view.slots.slot_s)
    chosen = number if number is not None and view.slots.now <= number < len(view.slots.price) else None

    def address(**changed: str) -> str:
        wanted = {"by": view.by, "back": str(back_h), "vehicle": vehicle, "slot": slot or ""} | changed
        defaults = {"by": "vehicle", "back": "12", "vehicle": "", "slot": ""}
        query = urlencode({name: value for name, value in wanted.items() if value != defaults[name]})
        return f"/plan?{query}" if query else "/plan"

    rows = [_row(row, view, clock, address) for row in view.rows]
    nothing = view.plan is None and not view.waiting
    links = columns(view, clock, address) if view.plan is not None else ()
    worth = None if why is None else worth_chart(view.slots, why, at=view.at, clock=clock, chosen=chosen, links=links)
    return why_context(why, view, clock, vehicle) | {
        "tabs": plan_tabs("plan"),
        "worth": worth,
        "choices": slot_choices(view, clock),
        "asked": {"slot": slot or "", "vehicle": vehicle, "by": view.by, "back": str(back_h)},
        "names": [row.vehicle_id for row in view.rows],
        "subtitle": _subtitle(view, clock),
        "banner": _banner(view, clock),
        "empty": _empty(view) if view.plan is None else None,
        "nothing": nothing,
        "tiles": [] if view.plan is None else _tiles(view, view.plan, why, clock),
        "plot": None if nothing else stack_chart(view, clock=clock, chosen=vehicle, slot=chosen, links=links),
        "key": swatches(view, vehicle),
        "by_tabs": [(address(by=by), words, view.by == by) for by, words in (("vehicle", "By vehicle"), ("feeder", "By feeder"))],
        "back_tabs": [(address(back=str(hours)), f"{hours} h back", hours == back_h) for hours in BACKS],
        "short": _short(view, clock, {} if why is None or why.behind else short_rows(why.shorts)),
        "rows": rows,
        "hidden": max(0, view.total - len(view.rows)),
        "total": view.total,
        "currency": text.currency_symbol(view.currency).strip(),
    }


def _subtitle(view: PlanView, clock: text.DepotTime) -> str:
    plan = view.plan
    if plan is None:
        return "no plan yet"
    policy = _POLICIES.get(view.policy, view.policy)
    took = f"{plan.solve_s:.2f} s" if plan.solve_s >= 0.005 else "under 0.01 s"
    words = f"made {clock.seconds(plan.made_at)}, {text.age((view.at - plan.made_at).total_seconds())} ago, in {took}"
    words += f" · {plan.solver} · policy: {policy}"
    if plan.over:
        return f"{words} · over since {clock.clock(plan.expires_at)}"
    if view.next_at is not None:
        words += f" · next {clock.clock(view.next_at)} at the latest" if view.next_at > view.at else " · the next is due"
    return words


def _banner(view: PlanView, clock: text.DepotTime) -> dict[str, str] | None:
    """What is wrong with the planner, and what holds meanwhile."""
    state = {"late": "The planner is late", "dead": "The planner is down", "off": "The planner is off"}.get(view.planner)
    if state is None and not view.fallback and view.failed_since is None:
        return None
    since = f" since {clock.clock(view.failed_since)}" if view.failed_since is not None else ""
    holds = "No plan is in force: vehicles charge under the limits, earliest departure first."
    if not view.fallback and view.plan is not None and not view.plan.over:
        holds = f"The last plan holds until {clock.clock(view.plan.expires_at)}, then earliest departure first."
    elif not view.fallback:
        holds = "Limits hold all the same."
    return {
        "css": "alarm" if view.fallback and view.failed_since is not None else "warn",
        "head": (state or "No new plan") + since,
        "words": f"{view.planner_text[:1].upper()}{view.planner_text[1:]}. {holds}",
    }


def _empty(view: PlanView) -> dict[str, str]:
    if not view.waiting:
        return {
            "title": "Nothing to plan",
            "words": "No vehicle is here or announced that wants energy. A plan comes by itself with the first one; announce departures, "
            "so that vehicles are planned before they come.",
        }
    what = f"{view.waiting} vehicle{' wants' if view.waiting == 1 else 's want'} energy"
    if view.planner in ("dead", "off", "late"):
        return {
            "title": "No plan",
            "words": f"{what}. {view.planner_text[:1].upper()}{view.planner_text[1:]}. Earliest departure goes first.",
        }
    return {"title": "No plan yet", "words": f"{what}; the first plan is being made. Until then earliest departure goes first."}


def _tiles(view: PlanView, plan: PlanHead, why: ExplanationView | None, clock: text.DepotTime) -> list[dict[str, str]]:
    """The six numbers; the last two once the plan is explained."""
    money = text.currency_symbol(view.currency).strip()
    until = clock.clock(plan.expires_at if plan.over else slot_at(view.slots, len(view.slots.price)))
    demand = "" if not plan.demand_cost else f"{money}{text.money(plan.demand_cost, view.currency)} of it for demand"
    named = [row.vehicle_id for row in view.rows if row.unmet_wh][:_SHORT_NAMED]
    more = plan.short - len(named)
    who = ", ".join(named) + (f" and {more} more" if more > 0 else "")
    contract = view.slots.limit_w[view.slots.now]
    return [
        {
            "title": f"Cost until {until}", "before": money, "value": text.money(plan.cost, view.currency), "unit": "", "css": "",
            "note": demand,
        },
        {
            "title": "Highest demand", "before": "", "value": text.kw(plan.peak_w), "unit": "kW", "css": "",
            "note": "" if contract is None else f"limit now {text.kw(contract)} kW",
        },
        {
            "title": "Missing at departure", "before": "", "value": text.kwh(plan.unmet_wh), "unit": "kWh",
            "css": "c-alarm" if plan.unmet_wh else "", "note": who if plan.unmet_wh else "everybody is served",
        },
        {
            "title": "Still planned", "before": "", "value": text.kwh(plan.planned_wh), "unit": "kWh", "css": "",
            "note": f"for {plan.vehicles} vehicle{'' if plan.vehicles == 1 else 's'}",
        },
        *_compared(view, plan, why, money),
    ]  # fmt: skip


def _compared(view: PlanView, plan: PlanHead, why: ExplanationView | None, money: str) -> list[dict[str, str]]:
    """What the plan saves against charging at once, and what it costs the batteries."""
    known = why if why is not None and (why.behind or why.plan_id == plan.plan_id) and why.at_once is not None else None
    saved = {"title": "Saved by the plan", "before": "", "value": text.ABSENT, "unit": "", "css": "", "note": "being computed"}
    wear = saved | {"title": "Battery wear"}
    if known is None or known.at_once is None:
        if why is not None and why.state is AnswerState.FAILED:
            saved["note"] = wear["note"] = "the plan could not be explained"
        return [saved, wear]
    other = known.at_once
    less = other.cost - (plan.cost if known.cost is None else known.cost)
    saved |= {"before": money, "value": text.money(less, view.currency)}
    over = f", {text.kw(other.over_limit_w)} kW above the limit" if other.over_limit_w > 500 else ""
    saved["note"] = f"uncontrolled {money}{text.money(other.cost, view.currency)}, peak {text.kw(other.peak_w)} kW{over}"
    if known.wear_cost is None or other.wear_cost is None:
        wear["note"] = "set pack_life.price_per_kwh to see it"
    else:
        wear |= {"before": money, "value": text.money(known.wear_cost, view.currency)}
        basis = f"; {known.wear_basis}" if known.wear_basis else ""
        wear["note"] = f"uncontrolled {money}{text.money(other.wear_cost, view.currency)}{basis}"
    return [saved, wear]


def _short(view: PlanView, clock: text.DepotTime, known: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Who leaves short, in words; with the cause and what would help where the plan is explained (``known``)."""
    found = []
    for row in view.rows:
        if not row.unmet_wh:
            continue
        reason = known.get(row.vehicle_id)
        words = f"{row.vehicle_id} {short_words(row, clock)}." if reason is None else reason["words"]
        href = f"/departures/form?{urlencode({'visit': row.visit_id})}"
        found.append({"words": words, "remedies": [] if reason is None else reason["remedies"], "href": href})
    return found


def short_words(row: PlanRow, clock: text.DepotTime) -> str:
    """``leaves 05:30 with 71 % instead of 80 %, 12.4 kWh short``."""
    charge = ""
    if row.soc_departure is not None and row.soc_target is not None and row.soc_departure < row.soc_target:
        charge = f" with {text.percent(row.soc_departure)} % instead of {text.percent(row.soc_target)} %,"
    return f"leaves {clock.clock(row.depart_at)}{charge} {text.kwh(row.unmet_wh)} kWh short"


def _row(row: PlanRow, view: PlanView, clock: text.DepotTime, address: Any) -> dict[str, Any]:
    where = row.label if row.present else ""
    arrives = "here" if row.present else clock.clock(row.arrive_at)
    pauses = f", {row.pauses} pause{'' if row.pauses == 1 else 's'}" if row.pauses else ""
    planned = text.ABSENT
    if row.starts_at is not None and row.stops_at is not None:
        begins = "now" if row.starts_at <= view.at else clock.clock(row.starts_at)
        planned = f"{begins} to {clock.clock(row.stops_at)}{pauses}"
    leaves = text.ABSENT if row.soc_departure is None else f"{text.percent(row.soc_departure)} %"
    target = "" if row.soc_target is None else f"of {text.percent(row.soc_target)} %"
    if row.why_not:
        planned = f"not planned: {row.why_not}"
    beside = []
    if row.precondition_w and row.precondition_at is not None:
        beside.append(f"preconditioning {text.kw(row.precondition_w)} kW from {clock.clock(row.precondition_at)}")
    if row.full_due:
        beside.append("a full charge is due")
    if row.tested:
        beside.append("in a reference test")
    if row.shed_wh:
        beside.append(f"{text.kwh(row.shed_wh)} kWh of it do not fit")
    return {
        "vehicle": row.vehicle_id,
        "beside": ", ".join(beside),
        "href": address(vehicle=row.vehicle_id),
        "css": "alarm" if row.unmet_wh else "warn" if row.why_not else "",
        "where": where or text.ABSENT,
        "arrives": arrives,
        "leaves": clock.clock(row.depart_at),
        "to_flow": text.kwh(row.to_flow_wh),
        "planned": planned,
        "energy": text.ABSENT if view.plan is None or view.plan.over else text.kwh(row.planned_wh),
        "missing": text.kwh(row.unmet_wh) if row.unmet_wh else "",
        "cost": text.ABSENT if row.cost is None else text.money(row.cost, view.currency, digits=0 if row.cost >= 100 else 2),
        "charge": leaves,
        "target": target,
    }
