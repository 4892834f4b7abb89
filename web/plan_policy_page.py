"""*Policy*: what plans are made by, what else could be picked and what that costs, and the pick itself.

GET  /plan/policy      the policy in force, and the frontier: ?aim=wear|peak|readiness beside the bill
POST /plan/frontier    compute it anew, or stop that
POST /plan/policy      plan by this from now on, or by the settings' policy again
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from controller.link import LinkProtocol
from controller.plan_answers_view import AnswerState, FrontierRow, FrontierView
from controller.plan_policy import PlanPolicyView
from depot import commands as cmd
from depot.plan_policy import PlanAim, PolicyPick
from depot.values import InvalidValue
from web import actions, text
from web.charts import nice_top
from web.context import Web, caller_of
from web.plan_ask_page import plan_tabs
from web.problems import Problem
from web.screens import carry_out

NAMED = (
    ("cheapest", "Cheapest", "The least bill; everybody is served as far as the limits allow."),
    ("readiness", "Ready first", "Energy as early as the limits allow; the bill only decides between equals."),
    ("battery-life", "Battery life", "The bill and what holding charge does to the batteries, weighed in money."),
)
AIMS = (("wear", "Battery wear"), ("peak", "Highest demand"), ("readiness", "Lateness of energy"))
_NAMES = {"cost": "cheapest", "wear": "less wear", "peak": "a lower peak", "readiness": "earlier ready"}
HEIGHT = 226.0


class Dot(NamedTuple):
    """A point of the frontier in its chart: per cent of the width, px, class, words; ``n``: its line in the table."""

    x: float
    y: float
    css: str
    title: str
    n: int


def plan_policy_screens(web: Web) -> APIRouter:
    """Routes of the page and its forms."""
    router = APIRouter(include_in_schema=False)

    @router.get("/plan/policy")
    async def page(request: Request, aim: str = "peak") -> Response:
        policy, found = await web.link.show(PlanPolicyView), await frontier(web)
        if policy is None:
            raise Problem("core_unreachable", "The controller's core shows no policy yet.", headers={"retry-after": "3"})
        aim = aim if aim in dict(AIMS) else "peak"
        return web.pages.render(request, "plan_policy.html", view=web.view(), screen="plan", **policy_context(policy, found, aim))

    @router.post("/plan/frontier")
    async def compute(request: Request) -> Response:
        act = str((await request.form()).get("act", "start"))
        await frontier(web, act="stop" if act == "stop" else "start")
        return RedirectResponse("/plan/policy", status_code=303)

    @router.post("/plan/policy")
    async def pick(request: Request) -> Response:
        form = {name: str(value) for name, value in (await request.form()).items()}
        wanted = pick_from(form)
        command = cmd.PickPlanPolicy(
            command_id=actions.new_id(), actor=caller_of(request).name, reason=actions.need_reason(form.get("reason", "")), pick=wanted
        )
        title = "Plan by the settings' policy again" if wanted is None else f"Plan by {wanted.words}"
        return await carry_out(web, request, command, title, back="/plan/policy")

    return router


async def frontier(web: Web, **args: str) -> FrontierView:
    """The core's frontier; raises :class:`Problem` where it refuses."""
    try:
        found = await web.link.show(FrontierView, **args)
    except LinkProtocol as error:
        raise Problem("invalid_request", str(error)) from None
    if found is None:
        raise Problem("not_found", "This core makes no frontier.")
    return found


def pick_from(form: dict[str, str]) -> PolicyPick | None:
    """What the form picks; None: as in the settings. Raises :class:`Problem`."""
    if form.get("aim") == "settings":
        return None
    try:
        aim = PlanAim(form.get("aim", ""))
        weights = {name: float(form.get(name) or 0) for name in ("wear", "delay_per_kwh_h", "peak_per_kw")}
        return PolicyPick(aim, **weights)
    except (ValueError, InvalidValue) as error:
        raise Problem("invalid_request", f"This is nothing that can be picked: {error}") from None


def policy_context(policy: PlanPolicyView, found: FrontierView, aim: str) -> dict[str, Any]:
    """Everything that the template needs."""
    clock = text.DepotTime(found.timezone, found.at)
    picked = policy.picked_at is not None
    who = f"{policy.picked_by} picked it at {clock.clock(policy.picked_at)}: {policy.reason}" if picked else "as in the settings"
    money = text.currency_symbol(found.currency)
    rows = [_row(row, n, money, found) for n, row in enumerate(found.rows, 1)]
    return {
        "tabs": plan_tabs("policy"),
        "words": policy.words[:1].upper() + policy.words[1:],
        "who": who,
        "undo": policy.configured if policy.picked_by or picked else "",
        "named": [{"aim": key, "name": name, "words": words, "here": policy.aim == key} for key, name, words in NAMED],
        "aims": [(f"/plan/policy?aim={key}", words, key == aim) for key, words in AIMS],
        "able": found.able,
        "state": found.state.value,
        "under_way": found.state in (AnswerState.WAITING, AnswerState.RUNNING),
        "progress": f"{100 * found.done / found.of if found.of else 0:.0f}%",
        "progress_words": f"{found.text}, {found.done} of {found.of} plans" if found.of else found.text,
        "failed": found.text if found.state is AnswerState.FAILED else "",
        "made": _made(found, clock),
        "rows": rows,
        "chart": _chart(found, aim, money) if len(found.rows) > 1 else None,
    }


def _made(found: FrontierView, clock: text.DepotTime) -> str:
    if found.asked_at is None or found.state is not AnswerState.DONE:
        return ""
    words = f"asked {clock.clock(found.asked_at)}, computed in {found.seconds:.1f} s"
    if not found.complete:
        words += ", not complete: the time was over"
    return words if found.current else f"{words}, for the plan before"


def _row(row: FrontierRow, n: int, money: str, found: FrontierView) -> dict[str, Any]:
    base = found.rows[0]
    more = row.cost - base.cost
    return {
        "n": n,
        "name": _NAMES.get(row.aim, row.aim) + (f", {row.step * 100:.0f} %" if row.aim != "cost" else ""),
        "cost": f"{money}{text.money(row.cost, found.currency)}",
        "more": "" if n == 1 else f"+{money}{text.money(max(0.0, more), found.currency)}",
        "wear": f"{money}{text.money(row.wear_cost, found.currency)}",
        "peak": f"{text.kw(row.peak_w)} kW",
        "late": _late(row),
        "missing": text.kwh(row.unmet_wh) if row.unmet_wh else "",
        "picked": row.picked,
        "weights": {"wear": f"{row.wear:g}", "delay_per_kwh_h": f"{row.delay_per_kwh_h:g}", "peak_per_kw": f"{row.peak_per_kw:g}"},
    }


def _late(row: FrontierRow) -> str:
    return f"{text.number(row.delay_kwh_h)} kWh·h"


def _score(row: FrontierRow, aim: str) -> float:
    return {"wear": row.wear_cost, "peak": row.peak_w / 1000, "readiness": row.delay_kwh_h}[aim]


def _chart(found: FrontierView, aim: str, money: str) -> dict[str, Any]:
    """Cost to the right, the aim upwards; the points of this aim's way are joined."""
    rows = found.rows
    costs = [row.cost for row in rows]
    low, high = min(costs), max(costs)
    spread = (high - low) or 1.0
    top, step = nice_top(max(_score(row, aim) for row in rows) * 1.05)

    def place(row: FrontierRow) -> tuple[float, float]:
        return 4 + 92 * (row.cost - low) / spread, HEIGHT * (1 - _score(row, aim) / top)

    dots = []
    for n, row in enumerate(rows, 1):
        x, y = place(row)
        css = "dot here" if row.picked else "dot" if row.aim in (aim, "cost") else "dot dim"
        title = f"{n}: {_NAMES.get(row.aim, row.aim)}, {money}{text.money(row.cost, found.currency)}"
        dots.append(Dot(round(x, 2), round(y, 1), css, title, n))
    way = sorted((place(row) for row in rows if row.aim in (aim, "cost")), key=lambda point: point[0])
    unit = {"wear": money.strip(), "peak": "kW", "readiness": "kWh·h"}[aim]
    return {
        "dots": dots,
        "lines": [(x1, y1, x2, y2) for (x1, y1), (x2, y2) in pairwise(way)],
        "grid": [(round(HEIGHT * (1 - k / 4), 1), text.number(step * k, 0 if step >= 1 else 2)) for k in range(5)],
        "height": HEIGHT,
        "unit": unit,
        "low": f"{money}{text.money(low, found.currency)}",
        "high": f"{money}{text.money(high, found.currency)}",
        "title": dict(AIMS)[aim],
    }
