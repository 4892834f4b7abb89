"""Solar plants and stationary batteries on the page *Grid*: a table, and a battery's mode.

POST /grid/batteries/{asset}/mode    keep it at 0 W, or let the depot decide again
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from controller.assets_view import AssetsView, BatteryView, PvView
from depot import commands as cmd
from depot.assets import AssetMode
from web import actions, text
from web.context import Web, caller_of
from web.problems import Problem
from web.screens import carry_out

_STATES = {
    "running": ("st done", "check", "in service"),
    "idle": ("st", "check", "at rest"),
    "limited": ("st warn", "clock", "limited"),
    "local": ("st warn", "risk", "local control"),
    "off": ("st lost", "offline", "off"),
    "fault": ("st alarm", "faulted", "fault"),
    "unknown": ("st lost", "offline", "unknown"),
}


def assets_screens(web: Web) -> APIRouter:
    """The form's route."""
    router = APIRouter(include_in_schema=False)

    @router.post("/grid/batteries/{asset}/mode")
    async def set_mode(request: Request, asset: str) -> Response:
        form = await request.form()
        reason = actions.need_reason(str(form.get("reason", "")))
        wanted = str(form.get("mode", ""))
        if wanted not in list(AssetMode):
            raise Problem("invalid_request", "A battery is in standby, or the depot decides (auto).")
        command = cmd.SetAssetMode(
            command_id=actions.new_id(), actor=caller_of(request).name, reason=reason, asset_id=asset, mode=AssetMode(wanted)
        )
        title = f"Battery {asset}: {'standby' if command.mode is AssetMode.STANDBY else 'the depot decides'}"
        return await carry_out(web, request, command, title, back="/grid")

    return router


async def assets_context(web: Web) -> dict[str, Any]:
    """What the template needs; ``assets`` None where the site has none."""
    found = await web.link.show(AssetsView)
    if found is None or not (found.pv or found.batteries):
        return {"assets": None}
    energy_kwh = sum(found.forecast_w) * found.slot_s / 3600 / 1000
    return {
        "assets": {
            "batteries": [_battery(battery) | {"number": n} for n, battery in enumerate(found.batteries, 1)],
            "plants": [_plant(plant) for plant in found.pv],
            "forecast": f"{energy_kwh:.0f} kWh of sun are counted on in the next 24 h" if found.pv else "",
        }
    }


def _state(state: str, *, stale: bool, read: bool) -> tuple[str, str, str]:
    if stale:
        return ("st alarm", "offline", "silent" if read else "not heard yet")
    return _STATES.get(state, _STATES["unknown"])


def _age(age_s: float | None) -> str:
    return "" if age_s is None else f"{age_s:.0f} s ago"


def _signed(watts: int | None) -> str:
    return text.UNKNOWN if watts is None else text.kw(watts)


def _percent(share: float | None) -> str:
    return text.UNKNOWN if share is None else f"{100 * share:.0f} %"


def _battery(b: BatteryView) -> dict[str, Any]:
    does = "" if b.power_w is None else "charges" if b.power_w > 0 else "gives" if b.power_w < 0 else "rests"
    notes = [note for note in (b.trouble, ", ".join(b.alarms), "" if b.temp_c is None else f"{b.temp_c:.0f} °C") if note]
    setpoint = text.UNKNOWN if b.setpoint_w is None else _signed(b.setpoint_w)
    return {
        "id": b.asset_id,
        "state": _state(b.state, stale=b.stale, read=b.power_w is not None),
        "power": _signed(b.power_w),
        "does": does,
        "age": _age(b.age_s),
        "soc": _percent(b.soc),
        "range": f"{100 * b.soc_min:.0f} to {100 * b.soc_max:.0f} % of {b.capacity_wh / 1000:.0f} kWh",
        "setpoint": setpoint,
        "because": ("" if b.confirmed or b.setpoint_w is None else "not confirmed, ") + b.because if b.controlled else "only looked at",
        "plan": text.UNKNOWN if b.plan_w is None else _signed(b.plan_w),
        "counted": _signed(b.counted_w),
        "notes": " · ".join(notes),
        "standby": b.mode == AssetMode.STANDBY.value,
        "controlled": b.controlled,
    }


def _plant(p: PvView) -> dict[str, Any]:
    notes = [p.trouble, ", ".join(p.alarms), "" if p.limit_share is None else f"held at {100 * p.limit_share:.0f} %"]
    notes.append("strings " + " · ".join(text.kw(w) for w in p.strings_w) + " kW" if p.strings_w else "")
    return {
        "id": p.asset_id,
        "state": _state(p.state, stale=p.stale, read=p.gives_w is not None),
        "gives": text.UNKNOWN if p.gives_w is None else text.kw(p.gives_w),
        "rated": text.kw(p.rated_w),
        "age": _age(p.age_s),
        "notes": " · ".join(note for note in notes if note),
    }
