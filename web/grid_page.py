"""*Grid*: the limits in force, the utility's link, the connection-point meter, the demand block, the feeders; and the
manual limit's form, which lives here and nowhere else.

    GET  /grid                     the page                       GET /limits   leads here
    POST /limits/manual            limit the site by hand         POST /limits/manual/clear   lift it
    POST /grid/supply              the site runs on its generator, or on the grid again
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from controller.failsafe_view import FailsafeView
from controller.grid_view import DemandView, GridFeeder, GridView, LimitRow, MasterWord, OrderView, UtilityView
from controller.limit_book_view import LimitBookView, OverrideRow
from controller.readmodel import NowView
from depot import commands as cmd
from depot.commands.charging import manual_id
from depot.values import Supply
from web import actions, charts, text
from web.assets_page import assets_context
from web.context import Web, caller_of
from web.meter_part import meter_part
from web.problems import Problem
from web.screens import carry_out, empty_limit

SOURCES = {
    "contract": "supply contract", "rating": "rating", "manual": "by hand", "scada": "SCADA", "failsafe": "fail-safe", "safety": "safety",
    "battery": "battery", "generator": "generator", "comeback": "slow return", "peak_target": "peak target",
    "external": "told by the station", "demand_response": "demand response", "schedule": "schedule",
    "reference_test": "reference test",
}  # fmt: skip
MANUAL = manual_id("")
"""The manual limit of the site that this page sets and lifts; others have names, and are on the page Limits."""

_LINK = {
    "init": ("warn", "clock", "waits for heartbeat and order"),
    "limited": ("done", "check", "up"),
    "unlimited_ctl": ("done", "check", "up, no limit"),
    "failsafe": ("alarm", "faulted", "fail-safe"),
    "unlimited_auto": ("warn", "clock", "silent, released by agreement"),
}
"""State of the link -> (class, symbol, words)."""

_COMPLIANCE = {
    "na": ("lost", "offline", "not known: no meter value"),
    "compliant": ("done", "check", "import is under the limit"),
    "ramping": ("warn", "clock", "coming down"),
    "not_compliant": ("alarm", "faulted", "import is OVER the limit"),
    "infeasible": ("alarm", "faulted", "the floor is above the limit"),
}


def grid_screens(web: Web) -> APIRouter:
    """Routes of the page and of its forms."""
    router = APIRouter(include_in_schema=False)

    @router.get("/grid")
    async def grid(request: Request) -> Response:
        return await grid_page(web, request, empty_limit())

    @router.get("/limits")
    async def limits() -> Response:
        return RedirectResponse("/grid", status_code=308)

    @router.post("/limits/manual")
    async def set_limit(request: Request) -> Response:
        form = {k: str(v) for k, v in (await request.form()).items()}
        view = web.fresh_view()
        try:
            value_w, until, reason = actions.parse_limit(
                view, value_kw=form.get("value_kw", ""), until=form.get("until", ""), reason=form.get("reason", "")
            )
        except Problem as problem:
            filled = {k: form.get(k, "") for k in ("value_kw", "until", "reason")}
            return await grid_page(web, request, empty_limit() | filled | {"errors": empty_limit()["errors"] | problem.errors}, status=422)
        command = cmd.SetManualLimit(
            command_id=actions.new_id(), actor=caller_of(request).name, reason=reason, value_w=value_w, until=until
        )
        return await carry_out(web, request, command, f"Limit the site to {text.kw(value_w)} kW", back="/grid")

    @router.post("/grid/supply")
    async def set_supply(request: Request) -> Response:
        form = await request.form()
        reason = actions.need_reason(str(form.get("reason", "")))
        wanted = str(form.get("supply", ""))
        if wanted not in list(Supply):
            raise Problem("invalid_request", "A site is fed by the grid or by its generator.")
        command = cmd.SetSupply(command_id=actions.new_id(), actor=caller_of(request).name, reason=reason, supply=Supply(wanted))
        title = "The site runs on its generator" if command.supply is Supply.GENERATOR else "The site is back on the grid"
        return await carry_out(web, request, command, title, back="/grid")

    @router.post("/limits/manual/clear")
    async def clear_limit(request: Request) -> Response:
        reason = actions.need_reason(str((await request.form()).get("reason", "")))
        command = cmd.ClearManualLimit(command_id=actions.new_id(), actor=caller_of(request).name, reason=reason)
        return await carry_out(web, request, command, "Lift the manual limit", back="/grid")

    return router


async def grid_page(web: Web, request: Request, form: dict[str, Any], *, status: int = 200) -> Response:
    """The page; ``form`` with its errors where it comes back."""
    view = web.view()
    found = await web.link.show(GridView)
    if found is None:
        raise Problem("core_unreachable", "The controller's core shows no grid yet.", headers={"retry-after": "3"})
    book = await web.link.show(LimitBookView)
    override = None if book is None else override_words(book.override, text.DepotTime(view.timezone, view.at))
    context = grid_context(found, view) | {"override": override} | {"form": form, "failed": any(form["errors"].values()), "dialog": True}
    context |= await assets_context(web)
    chart = web.pages.now_context(view)["chart"]
    return web.pages.render(request, "grid.html", view=view, status=status, screen="grid", chart=chart, **context)


def grid_context(g: GridView, view: NowView) -> dict[str, Any]:
    """Everything that the template needs."""
    clock = text.DepotTime(view.timezone, view.at)
    names = {f.feeder_id: f.name for f in g.feeders}
    site = next((row for row in g.limits if row.binds and not row.scope_id), None)
    manual = next((row for row in g.limits if row.limit_id == MANUAL), None)
    over = g.compliance in ("not_compliant", "infeasible")
    return {
        "g": g,
        "head": _head(site, clock),
        "comply": _COMPLIANCE.get(g.compliance, _COMPLIANCE["na"]),
        "source": _source(g, clock),
        "pickup": None
        if g.pickup is None
        else {"waiting": str(g.pickup.waiting), "at": clock.seconds(g.pickup.returned_at), "until": clock.seconds(g.pickup.until)},
        "comeback": _comeback(g, clock),
        "causes": [_cause(cause, clock) for cause in g.failsafe],
        "site_limit": text.kw(site.value_w if site is not None else g.contract_w),
        "site_bar": _share(g.site_w, site.value_w if site is not None else g.contract_w),
        "site_bar_css": "f-alarm" if over else "f-live",
        "meter": _meter(g),
        "told": meter_part(g.meter),
        "feeders": [_feeder(f) for f in g.feeders],
        "rows": [_row(row, names, clock) for row in g.limits],
        "link": None if g.utility is None else _link(g.utility, clock),
        "failsafe": _failsafe(g),
        "demand": _demand(g.demand, site, clock),
        "blocks": charts.block_chart(
            g.demand.blocks,
            running=(g.demand.begins_at, g.demand.expected_w),
            ends_at=g.demand.ends_at,
            highest_w=g.demand.highest_w,
            clock=clock,
        ),
        "manual": ""
        if manual is None
        else f"Now {text.kw(manual.value_w)} kW by {manual.set_by or 'hand'}: {manual.reason or 'no reason given'}.",
    }


def override_words(o: OverrideRow | None, clock: text.DepotTime) -> dict[str, str] | None:
    """For the banner."""
    if o is None:
        return None
    lifted = ", ".join(SOURCES.get(name, name) for name in o.sources)
    return {
        "head": f"Limits are overridden until {clock.clock(o.until)}",
        "words": f"{o.by} lets the load rise to {text.kw(o.value_w)} kW against limits {lifted}: {o.reason}",
    }


def _head(site: LimitRow | None, clock: text.DepotTime) -> dict[str, str]:
    if site is None or site.source == "contract":
        return {"st": "st", "symbol": "check", "words": "only the supply contract limits the site"}
    css = "st alarm" if site.source == "failsafe" else "st warn"
    until = f" until {clock.clock(site.until)}" if site.until is not None else ""
    return {"st": css, "symbol": "limit", "words": f"limited to {text.kw(site.value_w)} kW: {SOURCES.get(site.source, site.source)}{until}"}


def _source(g: GridView, clock: text.DepotTime) -> dict[str, str]:
    """The first box of the diagram: what feeds the site. ``other``: what a person may say instead."""
    s = g.supply
    if s is None:
        return {"title": "Grid connection", "value": text.kw(g.contract_w), "css": "", "note": "contract", "banner": "", "other": ""}
    who = f"{s.by}: {s.reason}" if s.by and s.reason else (s.by or s.reason)
    contact = f" The transfer switch says {s.contact}." if s.contact else ""
    if s.now == Supply.GENERATOR:
        since = clock.seconds(s.since)
        words = f"Since {since}, {who or 'no reason given'}. The whole site is held at {text.kw(s.rating_w)} kW.{contact}"
        return {
            "title": "Generator", "value": text.kw(s.rating_w), "css": "warn", "note": f"since {since}", "banner": words,
            "head": "The site runs on its generator", "other": "grid",
        }  # fmt: skip
    banner = {"banner": "", "head": ""}
    if s.limit_until is not None:
        words = f"The generator's {text.kw(s.rating_w)} kW stays the limit until {clock.seconds(s.limit_until)}.{contact}"
        banner = {"banner": words, "head": "Back on the grid"}
    note = "contract" if s.contact != "silent" else "switch contact silent"
    return {"title": "Grid connection", "value": text.kw(g.contract_w), "css": "", "note": note, "other": "generator", **banner}


def _share(part_w: float | None, whole_w: float) -> str:
    return f"{min(1.0, max(0.0, (part_w or 0) / whole_w)) * 100 if whole_w > 0 else 100.0 * bool(part_w):.2f}%"


def _meter(g: GridView) -> dict[str, str]:
    m = g.meter
    if m is None:
        return {
            "value": text.kw(g.site_w),
            "css": "",
            "note": "no meter configured",
            "age": f"background {text.kw(g.background_w)} kW assumed",
        }
    if m.power_w is None:
        return {"value": text.UNKNOWN, "css": "warn", "note": "never read", "age": f"background {text.kw(m.background_w)} kW assumed"}
    age = f"{text.age(m.age_s)} ago"
    if m.blind:
        return {"value": text.kw(m.power_w), "css": "warn", "note": "silent: fail-safe limit", "age": age}
    if m.stale:
        return {"value": text.kw(m.power_w), "css": "warn", "note": "old: worst background counts", "age": age}
    return {"value": text.kw(m.power_w), "css": "", "note": "measured", "age": age}


def _feeder(f: GridFeeder) -> dict[str, Any]:
    limited = f.source != "rating"
    held = max(0.0, min(1.0, f.reserved_w / f.limit_w)) if f.limit_w else 0.0
    return {
        "name": f.name if "feeder" in f.name.lower() else f"Feeder {f.name}",
        "power": text.kw(f.power_w),
        "limit": text.kw(f.limit_w),
        "share": f"{f.power_w / f.limit_w * 100:.0f} %" if f.limit_w else text.ABSENT,
        "bar": _share(f.power_w, f.limit_w),
        "bar_css": "f-warn" if limited else "f-live",
        "held_x": _share(f.power_w, f.limit_w),
        "held_w": f"{held * 100:.2f}%",
        "css": "warn" if limited else "",
        "source": SOURCES.get(f.source, f.source) if limited else "",
        "held": f"+{text.kw(f.reserved_w)} kW held" if f.reserved_w >= 500 else "",
        "note": f"{f.charging} of {f.connectors} charging",
    }


def _row(row: LimitRow, names: dict[str, str], clock: text.DepotTime) -> dict[str, str]:
    if row.coming:
        effect = "comes"
    elif row.binds:
        effect = "binds"
    else:
        effect = "slack"
    then = f", then {text.kw(row.then_w)} kW" if row.then_w is not None else ""
    until = text.ABSENT if row.until is None else clock.clock(row.until) + then
    always = row.source in ("contract", "rating")
    return {
        "scope": names.get(row.scope_id, row.scope_id) or "Site",
        "source": SOURCES.get(row.source, row.source),
        "value": text.kw(row.value_w),
        "by": " · ".join(part for part in (row.set_by, row.reason) if part and part != row.source) or text.ABSENT,
        "since": "always" if always else clock.seconds(row.since),
        "until": until,
        "effect": effect,
        "st": "st warn" if row.binds and not always else "st",
        "symbol": "limit" if row.binds else ("clock" if row.coming else "check"),
        "css": "warn" if row.binds and not always else "",
        "free": text.ABSENT if row.free_w is None or row.coming else text.kw(row.free_w),
    }


def _order(order: OrderView | None, clock: text.DepotTime) -> str:
    if order is None:
        return ""
    value = "no limit but the contract" if order.value_w is None else f"{text.kw(order.value_w)} kW"
    until = "" if order.until is None else f" until {clock.seconds(order.until)}"
    after = ""
    if order.until is not None:
        after = ", then no limit" if not order.reverts else ", then the fail-safe limit"
        if order.reverts and order.reversion_w is not None:
            after = f", then {text.kw(order.reversion_w)} kW"
    reason = f" ({order.reason})" if order.reason else ""
    return f"{value}{reason} from {clock.seconds(order.starts_at)}{until}{after}"


def _link(u: UtilityView, clock: text.DepotTime) -> dict[str, Any]:
    css, symbol, words = _LINK.get(u.state, ("lost", "offline", u.state))
    command = u.command
    if u.state in ("limited", "unlimited_ctl") and not u.alive:
        css, symbol, words = "warn", "clock", "heartbeat is late"
    return {
        "st": f"st {css}",
        "symbol": symbol,
        "words": words,
        "since": clock.seconds(u.since),
        "beat": "never heard" if u.beat_age_s is None else f"{text.age(u.beat_age_s)} ago",
        "timeout": f"{u.timeout_s} s",
        "order": _order(u.order, clock) or "none yet",
        "next": _order(u.next_order, clock),
        "seq": text.ABSENT if command is None else str(command.seq),
        "command": text.ABSENT if command is None else clock.seconds(command.at),
        "ack": text.ABSENT if command is None else command.state.replace("_", " "),
        "took": "" if command is None or command.took_s is None else f"in {text.age(command.took_s)}",
        "peer": command.peer if command is not None else (u.order.peer if u.order is not None else text.ABSENT),
        "connections": f"{u.connections} connected, {text.number(u.requests)} requests",
        "address": u.address or "not listening",
        "said": [_said(word, clock) for word in u.words],
        "delayed": f", {text.number(u.delayed)} of them waited because they came too fast" if u.delayed else "",
        "refusals": [{"what": what, "times": text.number(times)} for what, times in sorted(u.refusals.items())],
    }


def _said(word: MasterWord, clock: text.DepotTime) -> dict[str, str]:
    limits = ""
    if word.before_w is not None and word.after_w is not None:
        limits = f"{text.kw(word.before_w)} → {text.kw(word.after_w)}"
    return {
        "at": clock.seconds(word.at),
        "who": word.peer,
        "role": word.role,
        "seq": text.ABSENT if word.seq is None else str(word.seq),
        "asked": word.asked,
        "times": f" ({text.number(word.times)} times)" if word.times > 1 else "",
        "outcome": word.outcome,
        "limits": limits or text.ABSENT,
    }


def _comeback(g: GridView, clock: text.DepotTime) -> dict[str, str] | None:
    back = g.comeback
    if back is None:
        return None
    held, target = text.kw(back.from_w), text.kw(back.target_w)
    if g.at < back.starts_at:
        words = f"The site is held at {held} kW until {clock.seconds(back.starts_at)}, then rises along a ramp to {target} kW."
    else:
        words = f"The site rises along a ramp from {held} to {target} kW, and may draw {text.kw(back.now_w)} kW now."
    return {"until": clock.seconds(back.until), "after": SOURCES.get(back.after, back.after.replace("_", " ")), "words": words}


def _cause(cause: FailsafeView, clock: text.DepotTime) -> dict[str, str]:
    until = "" if cause.until is None else f", at {clock.seconds(cause.until)} at the latest"
    return {
        "reason": cause.reason[:1].upper() + cause.reason[1:],
        "since": clock.seconds(cause.since),
        "limit": text.kw(cause.limit_w),
        "ends": f"{cause.ends}{until}",
    }


def _failsafe(g: GridView) -> dict[str, str]:
    u = g.utility
    if g.failsafe:
        only_init = all(cause.cause == "utility" for cause in g.failsafe) and u is not None and u.state == "init"
        css, symbol = ("warn", "clock") if only_init else ("alarm", "faulted")
        lowest = text.kw(min(cause.limit_w for cause in g.failsafe))
        return {"st": f"st {css}", "symbol": symbol, "words": "in force", "text": f"The site is held at {lowest} kW or less."}
    if u is None:
        return {
            "st": "st",
            "symbol": "check",
            "words": "armed",
            "text": f"Without the meter for 30 s, or with a clock that is suspect, the site falls to {text.kw(g.failsafe_w)} kW.",
        }
    limit = text.kw(u.failsafe_w)
    if u.state == "unlimited_auto":
        words = "The fail-safe time is over, and the agreement with the utility releases the site. A heartbeat and an order end that."
        return {"st": "st warn", "symbol": "clock", "words": "over", "text": words}
    words = (
        f"Without a heartbeat for {u.timeout_s} s the site falls to {limit} kW; so it does without the meter for 30 s, and with a "
        f"clock that is suspect. The utility is told {u.failsafe_min_s // 3600} h as its least duration."
    )
    return {"st": "st", "symbol": "check", "words": "armed", "text": words}


def _demand(d: DemandView, site: LimitRow | None, clock: text.DepotTime) -> dict[str, str]:
    top_w = max(site.value_w if site is not None else 0, d.highest_w, d.expected_w or 0, 1)
    minutes = round((d.ends_at - d.begins_at).total_seconds() / 60)
    return {
        "title": {15: "Quarter-hour demand", 30: "Half-hour demand"}.get(minutes, f"Demand of {minutes} min"),
        "span": f"{clock.clock(d.begins_at)} to {clock.clock(d.ends_at)}",
        "expected": text.kw(d.expected_w),
        "bar": _share(d.expected_w, top_w),
        "tick": _share(d.highest_w, top_w),
        "left": text.countdown(d.left_s),
        "mean": text.kw(d.mean_w),
        "highest": text.kw(d.highest_w) if d.highest_w else text.UNKNOWN,
        "since": "" if d.highest_since is None else f"measured since {clock.clock(d.highest_since)}",
        "allowed": "" if d.allowed_w is None else text.kw(max(0, d.allowed_w)),
        "error": "" if d.error_w is None else f"± {text.kw(d.error_w)}",
        "target": "" if d.target_w is None else text.kw(d.target_w),
        "apparent": "" if d.predicted_va is None else text.kw(d.predicted_va),
        "highest_va": "" if d.highest_va is None else text.kw(d.highest_va),
        "clock": "" if d.clock is None or d.clock.known == "assumed" else f"meter's clock {d.clock.offset_s:+.0f} s, {d.clock.known}",
    }
