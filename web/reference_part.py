"""The part of a pack's page with its reference test, and the forms that order one or call it off.

POST /batteries/{vehicle}/{pack}/reference-test            order one
POST /batteries/{vehicle}/{pack}/reference-test/call-off   end it
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from controller.reference_view import ReferenceTestView
from depot import commands as cmd
from web import actions, text
from web.context import Web, caller_of
from web.packs_api import PackId, VehicleId
from web.problems import Problem
from web.reference_api import WAIT_MOST_H, until_of
from web.screens import carry_out

WAITS = (("0", "Now, or not at all"), ("24", "Within a day"), ("168", "Within a week"), ("672", "Within four weeks"))
"""How long a test may wait, h."""

_STATES = {
    "": ("st", "info", ""),
    "waiting": ("st", "clock", "waits"),
    "rest_before": ("st", "clock", "rests"),
    "pulses": ("st", "charging", "pulses"),
    "charge": ("st", "charging", "charges"),
    "rest_after": ("st", "clock", "rests"),
}
_ENDS = {"done": ("st done", "check", "done"), "broken_off": ("st warn", "risk", "broken off")}


def reference_screens(web: Web) -> APIRouter:
    """Routes of the forms."""
    router = APIRouter(include_in_schema=False)

    @router.post("/batteries/{vehicle}/{pack}/reference-test")
    async def begin(request: Request, vehicle: VehicleId, pack: PackId) -> Response:
        form = {name: str(value) for name, value in (await request.form()).items()}
        command = cmd.OrderReferenceTest(
            command_id=actions.new_id(),
            actor=caller_of(request).name,
            reason=actions.need_reason(form.get("reason", "")),
            vehicle_id=vehicle,
            until=until_of(web.view().at, _number(form, "wait_h", "The time it may wait, in hours,", 0, WAIT_MOST_H)),
            most_soc=_number(form, "most_soc", "The charge at which it begins, in %,", 5, 90) / 100,
        )
        return await carry_out(web, request, command, f"Reference test of {vehicle}", back=_back(vehicle, pack))

    @router.post("/batteries/{vehicle}/{pack}/reference-test/call-off")
    async def end(request: Request, vehicle: VehicleId, pack: PackId) -> Response:
        reason = actions.need_reason(str((await request.form()).get("reason", "")))
        command = cmd.CallOffReferenceTest(command_id=actions.new_id(), actor=caller_of(request).name, reason=reason, vehicle_id=vehicle)
        return await carry_out(web, request, command, f"Call off the reference test of {vehicle}", back=_back(vehicle, pack))

    return router


def reference_part(found: ReferenceTestView | None, clock: text.DepotTime) -> dict[str, Any] | None:
    """What the part shows; None: this core runs no tests."""
    if found is None:
        return None
    over = found.phase == "over"
    st = _ENDS.get(found.outcome, ("st", "info", found.outcome.replace("_", " "))) if over else _STATES.get(found.phase, _STATES[""])
    facts: list[tuple[str, str, str]] = []
    if found.ordered_at is not None:
        facts.append(("Ordered", f"{found.ordered_by}, {_when(found.ordered_at, clock)}", ""))
        facts.append(("Why", found.reason, ""))
    if found.phase == "waiting" and found.most_soc is not None:
        facts.append(("Begins at", f"{text.percent(found.most_soc)} or less", " %"))
    if found.began_at is not None:
        facts.append(("Begun", _when(found.began_at, clock), ""))
        facts.append(("At", found.connector, ""))
        facts.append(("Pulses between", f"{text.kw(found.low_w)} and {text.kw(found.high_w)}", " kW"))
        facts.append(("Charge at", text.kw(found.rate_w), " kW"))
    if found.limit_w is not None:
        facts.append(("Limit now", text.kw(found.limit_w), " kW"))
    if found.ends_about is not None:
        facts.append(("Ends about", _when(found.ends_about, clock), ""))
    if found.ended_at is not None:
        facts.append(("Ended", _when(found.ended_at, clock), ""))
    return {
        "st": st,
        "words": found.words,
        "facts": facts,
        "able": found.able,
        "why_not": "" if found.phase and not over else found.why_not,
        "open": bool(found.phase) and not over,
        "waits": WAITS,
    }


def _when(at: datetime, clock: text.DepotTime) -> str:
    return f"{clock.local(at):%-d %b %Y %H:%M}"


def _number(form: dict[str, str], name: str, words: str, low: float, high: float) -> float:
    try:
        value = float(form.get(name) or 0)
    except ValueError:
        value = -1.0
    if not low <= value <= high:
        raise Problem("invalid_request", f"{words} must be a number within {low:g} and {high:g}.")
    return value


def _back(vehicle: str, pack: str) -> str:
    return f"/batteries/{quote(vehicle, safe='')}/{quote(pack, safe='')}"
