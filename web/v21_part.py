"""What OCPP 2.1 adds to a station's page: DER controls with the grid operator's reason, alarms of the grid, batteries, tariffs. Each
card is there for a station that speaks 2.1, or where something is known."""

from __future__ import annotations

from typing import Any

from controller.battery_swaps import SwapsView
from controller.der import DerControlView, DerView, StationDerView
from controller.station_tariffs import StationTariffsView, TariffsView
from controller.stations_view import StationDetail
from web import text
from web.context import Web

SHOWN_ALARMS, SHOWN_SWAPS = 6, 6
_SWAPS = {"BatteryIn": "in", "BatteryOut": "out", "BatteryOutTimeout": "not taken"}


async def v21_context(web: Web, s: StationDetail, clock: text.DepotTime) -> dict[str, Any]:
    """Names for ``part_v21.html``."""
    der = await web.link.show(DerView, station_id=s.station_id)
    swaps = await web.link.show(SwapsView, station_id=s.station_id)
    tariffs = await web.link.show(TariffsView, station_id=s.station_id)
    known = der.stations[0] if der is not None and der.stations else None
    given = tariffs.stations[0] if tariffs is not None and tariffs.stations else None
    shows_der = known is not None and (s.version == "2.1" or known.controls or known.alarms)
    return {
        "der": _der(known, clock) if known is not None and shows_der else None,
        "batteries": _batteries(swaps, s.station_id, clock) if swaps is not None and (swaps.events or swaps.asked) else None,
        "tariffs": _tariffs(given, clock) if given is not None and given.defaults else None,
    }


def _der(known: StationDerView, clock: text.DepotTime) -> dict[str, Any]:
    active = known.active_alarms
    told = f"told {clock.seconds(known.reported_at)}" if known.reported_at else "as set here"
    return {
        "controls": [_control(c, clock) for c in known.controls],
        "alarms": [
            {
                "what": " · ".join(part for part in (a.control_type, a.fault) if part),
                "state": ("st", "check", "ended") if a.ended else ("st alarm", "faulted", "began"),
                "at": clock.seconds(a.reported_at),
                "detail": a.detail,
            }
            for a in known.alarms[:SHOWN_ALARMS]
        ],
        "active": f"{active} alarm{'s' if active != 1 else ''} of the grid" if active else "",
        "told": "its list is awaited" if known.awaited else told,
    }


def _control(c: DerControlView, clock: text.DepotTime) -> dict[str, Any]:
    settings = ", ".join(f"{name} {value:g}" for name, value in c.settings.items() if isinstance(value, int | float))
    state = ("st", "check", "holds now") if c.running else ("st warn", "waiting", "superseded") if c.superseded else ("st", "info", "set")
    return {
        "id": c.control_id,
        "kind": c.control_type + (" · default" if c.is_default else ""),
        "settings": settings or "a curve",
        "because": c.because or "not set here",
        "at": clock.seconds(c.set_at),
        "state": state,
    }


def _batteries(view: SwapsView, station_id: str, clock: text.DepotTime) -> dict[str, Any]:
    return {
        "inside": [
            {"slot": b.evse_id, "serial": b.serial, "soc": text.percent(b.soc), "soh": text.percent(b.soh)}
            for b in view.inside.get(station_id, ())
        ],
        "events": [
            {"at": clock.seconds(e.at), "kind": _SWAPS.get(e.kind, e.kind), "serials": ", ".join(b.serial for b in e.batteries)}
            for e in view.events[:SHOWN_SWAPS]
        ],
    }


def _tariffs(view: StationTariffsView, clock: text.DepotTime) -> list[dict[str, str]]:
    return [
        {
            "where": "all EVSEs" if t.evse_id == 0 else f"EVSE {t.evse_id}",
            "id": t.tariff_id,
            "currency": str(t.tariff.get("currency", text.ABSENT)),
            "at": clock.seconds(t.set_at),
        }
        for t in view.defaults
    ]
