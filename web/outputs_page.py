"""Outputs on the page *Safety*: what each shall do and does, what is isolated; and the forms that isolate, reset and test.

POST /safety/isolate             a bay, a feeder, the site        POST /safety/isolation/reset   by a person who may reset
POST /safety/outputs/{id}/test   there and back again
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from controller.link import LinkProtocol
from controller.output_view import IsolatedArea, OutputRow, OutputsView
from controller.readmodel import NowView
from depot import commands as cmd
from depot.outputs import Area
from depot.values import InvalidValue
from web import actions, text
from web.context import Web, caller_of
from web.problems import Problem
from web.screens import carry_out

TEST_S = 90.0
"""A contactor waits for its current, and a siren is heard for a moment."""

_PROOF = {
    "awaited": ("st", "clock", "awaited"),
    "confirmed": ("st done", "finished", "confirmed"),
    "written": ("st", "info", "told, no read-back"),
    "not confirmed": ("st alarm", "faulted", "NOT confirmed"),
}
_STANDING = {
    "under way": ("st warn", "clock", "under way"),
    "isolated": ("st done", "finished", "isolated, confirmed"),
    "not isolated": ("st alarm", "faulted", "NOT isolated"),
}


def area_of(level: str, area_id: str) -> Area:
    """The area that a form or a body names. Raises :class:`~web.problems.Problem`."""
    try:
        return Area.of(level, area_id)
    except InvalidValue as error:
        raise Problem("invalid_request", str(error), errors={"area": str(error)}) from None


async def outputs_shown(web: Web) -> OutputsView | None:
    """The view; None for a depot without outputs."""
    try:
        return await web.link.show(OutputsView)
    except LinkProtocol:
        return None


def outputs_screens(web: Web) -> APIRouter:
    """Routes of the forms."""
    router = APIRouter(include_in_schema=False)

    @router.post("/safety/isolate")
    async def isolate(request: Request) -> Response:
        form = {name: str(value) for name, value in (await request.form()).items()}
        level, _, area_id = form.get("area", "").partition(" ")
        area = area_of(level, area_id)
        reason = actions.need_reason(form.get("reason", ""))
        command = cmd.IsolateArea(command_id=actions.new_id(), actor=caller_of(request).name, reason=reason, area=area)
        return await carry_out(web, request, command, f"Isolate {area}", back="/safety", urgent=True)

    @router.post("/safety/isolation/reset")
    async def reset(request: Request) -> Response:
        caller, form = caller_of(request), {name: str(value) for name, value in (await request.form()).items()}
        area = area_of(form.get("level", ""), form.get("area_id", ""))
        reason = actions.need_reason(form.get("reason", ""))
        if caller.role is None:
            raise Problem("forbidden", "An isolation is reset by a person, not by a machine.")
        command = cmd.ResetArea(command_id=actions.new_id(), actor=caller.name, reason=reason, area=area, role=caller.role)
        return await carry_out(web, request, command, f"Reset the isolation of {area}", back="/safety")

    @router.post("/safety/outputs/{output}/test")
    async def test(request: Request, output: str) -> Response:
        reason = actions.need_reason(str((await request.form()).get("reason", "")))
        command = cmd.TestOutput(command_id=actions.new_id(), actor=caller_of(request).name, reason=reason, output_id=output)
        return await carry_out(web, request, command, f"Test {output}", back="/safety", within_s=TEST_S)

    return router


def outputs_context(found: OutputsView | None, view: NowView) -> dict[str, Any]:
    """What the template needs of outputs; nothing where the depot has none."""
    if found is None:
        return {"outputs": [], "isolated": [], "isolatable": [], "output_problems": [], "has_outputs": False}
    clock = text.DepotTime(view.timezone, view.at)
    return {
        "outputs": [_output(row, clock) for row in found.outputs],
        "isolated": [_isolated(row, clock, number) for number, row in enumerate(found.isolated)],
        "isolatable": [
            {"value": row.area, "words": f"{area_of(row.level, row.area_id).title}: {_stations(row.stations)}, {_cut(row.cut_by)}"}
            for row in found.areas
        ],
        "output_problems": found.problems,
        "has_outputs": True,
    }


def _stations(count: int) -> str:
    return "1 station" if count == 1 else f"{count} stations"


def _cut(cut_by: str) -> str:
    return f"cut by {cut_by}" if cut_by else "no contactor of its own"


def _output(row: OutputRow, clock: text.DepotTime) -> dict[str, Any]:
    st, icon, word = _PROOF[row.proof]
    if row.waiting:
        st, icon, word = "st warn", "clock", "waits for the current to fall"
    passed = "passed" if row.test_passed else "FAILED"
    tested = "never" if row.tested_at is None else f"{clock.clock(row.tested_at)}, {passed}"
    return {
        "id": f"test-{row.output_id.replace('.', '-')}",
        "title": row.title,
        "kind": row.kind,
        "area": row.area,
        "commanded": row.commanded,
        "because": row.because,
        "emergency": row.emergency,
        "reads": row.reads or ("never read" if row.read_back else "no read-back"),
        "age": "never" if row.read_age_s is None else f"{text.age(row.read_age_s)} ago",
        "st": st,
        "icon": icon,
        "word": word,
        "against": row.against,
        "dead": f"{row.de_energised}, {'the safe side' if row.falls_safe else 'NOT the safe side'}",
        "watchdog": "by its watchdog" if row.watchdog else "no watchdog: it keeps its coil when this controller dies",
        "tested": tested,
        "test_words": f"{row.test_result}{f' ({row.tested_by})' if row.tested_by else ''}",
        "row": "alarm" if row.proof == "not confirmed" else "warn" if row.emergency else "",
        "action": f"/safety/outputs/{quote(row.output_id, safe='')}/test",
    }


def _isolated(row: IsolatedArea, clock: text.DepotTime, number: int) -> dict[str, Any]:
    st, icon, word = _STANDING[row.standing]
    return {
        "id": f"reset-area-{number}",
        "area": area_of(row.level, row.area_id).title,
        "level": row.level,
        "area_id": row.area_id,
        "since": clock.seconds(row.since),
        "origin": row.origin,
        "reason": row.reason or "no reason was given",
        "by": row.by,
        "st": st,
        "icon": icon,
        "word": word,
        "against": row.against,
        "against_reset": row.against_reset,
        "latched": row.latched,
        "recorded": row.recorded,
    }
